/** `./hongbao start` as a process: what it refuses, how it ends, and what it finds again. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedOptions, Ended } from '../../ops/prove/embedded.ts';
import { EmbeddedProcess, NotReady } from '../../ops/prove/embedded.ts';
import { Line } from '../../ops/prove/line.ts';

const ROOT = resolve(import.meta.dirname, '../..');

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'hb-start-'));
});
afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

/** How a start that must not come up ended. */
async function refused(options: EmbeddedOptions): Promise<Ended> {
  try {
    const running = await EmbeddedProcess.start(options);
    await running.stop();
  } catch (error) {
    if (error instanceof NotReady) return error.ended;
    throw error;
  }
  throw new Error('it started');
}

async function balanceOf(running: EmbeddedProcess, userId: string): Promise<unknown> {
  const { url, socketUrl } = running;
  const line = await Line.open({ url, socketUrl, userId });
  const answer = await line.ask('wallet.get', {});
  line.close();
  return answer?.ok === true ? answer.d['balanceCents'] : answer;
}

describe('a second start', () => {
  test('on the same data is data_in_use, on the same port port_in_use; the first serves on', async () => {
    const dataDir = join(scratch, 'second');
    const first = await EmbeddedProcess.start({ dataDir });
    try {
      const sameData = await refused({ dataDir });
      expect(sameData.status).toBe(1);
      expect(sameData.stderr).toMatch(/^hongbao start: data_in_use: /m);

      const port = Number(new URL(first.url).port);
      const samePort = await refused({ dataDir: join(scratch, 'other'), port });
      expect(samePort.status).toBe(1);
      expect(samePort.stderr).toMatch(new RegExp(`^hongbao start: port_in_use: .*${port}`, 'm'));

      expect(await balanceOf(first, 'alice')).toBe(200_000);
    } finally {
      await first.stop();
    }
  });
});

describe('SIGTERM', () => {
  test('ends with 0, and the next start finds what was there', async () => {
    const dataDir = join(scratch, 'term');
    const args = ['--demo-cents=777'];
    const first = await EmbeddedProcess.start({ dataDir, args });
    expect(await balanceOf(first, 'alice')).toBe(777);
    const ended = await first.stop();
    expect([ended.status, ended.signal]).toEqual([0, null]);

    // More demo money for new users; alice is not one.
    const second = await EmbeddedProcess.start({ dataDir, args: ['--demo-cents=999'] });
    expect(await balanceOf(second, 'alice')).toBe(777);
    expect(await balanceOf(second, 'bob')).toBe(999);
    expect((await second.stop()).status).toBe(0);
  });
});

test('an unknown flag is the caller’s mistake: help and exit 2', () => {
  const main = join(ROOT, 'ops/main.ts');
  const args = ['--disable-warning=ExperimentalWarning', main, 'start', '--prot', '1'];
  const ended = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
  expect(ended.status).toBe(2);
  expect(ended.stdout).toBe('');
  expect(ended.stderr).toContain('unknown flag --prot');
  expect(ended.stderr).toContain('--port');
});

const TABLES = ['journal', 'journal_discarded', 'replica_state', 'commit_point'];

/** Everything that recovery rests on, as text: two looks are equal when nothing was changed. */
function contentOf(path: string): string {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = TABLES.map((table) => [table, database.prepare(`SELECT * FROM ${table}`).all()]);
    return JSON.stringify(rows, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    );
  } finally {
    database.close();
  }
}

type Place = 'middle' | 'last';

/** Flips one bit of one payload. @returns the LSN */
function corrupt(path: string, place: Place): number {
  const database = new DatabaseSync(path);
  try {
    const rows = database
      .prepare('SELECT lsn, payload FROM journal WHERE length(payload) > 0 ORDER BY lsn')
      .all();
    const last = Number(database.prepare('SELECT max(lsn) AS lsn FROM journal').get()?.['lsn']);
    const row = rows.at(place === 'last' ? -1 : Math.floor(rows.length / 2));
    const lsn = Number(row?.['lsn']);
    if ((lsn === last) !== (place === 'last')) throw new Error(`LSN ${lsn} of ${last}`);
    const payload = Uint8Array.from(row?.['payload'] as Uint8Array);
    const at = Math.floor(payload.length / 2);
    payload[at] = (payload[at] ?? 0) ^ 1;
    database.prepare('UPDATE journal SET payload = ? WHERE lsn = ?').run(payload, lsn);
    return lsn;
  } finally {
    database.close();
  }
}

type End = 'kill -9' | 'clean end';

/** A data directory with some money in it whose process has ended. */
async function ended(args: { name: string; sets: number; end: End }): Promise<string> {
  const dataDir = join(scratch, args.name);
  const running = await EmbeddedProcess.start({ dataDir, args: [`--sets=${args.sets}`] });
  for (let n = 1; n <= 6 * args.sets; n++) await balanceOf(running, `user-${n}`);
  if (args.end === 'kill -9') running.kill();
  else await running.stop();
  await running.ended;
  return dataDir;
}

/** What two starts on a corrupt journal do: a refusal that mended something lets the second in. */
async function startTwice(args: { dataDir: string; set: number; place: Place }) {
  const { dataDir, set, place } = args;
  const path = join(dataDir, `set-${set}`, 'replica-0.sqlite');
  const lsn = corrupt(path, place);
  const before = contentOf(path);
  const both = [await refused({ dataDir }), await refused({ dataDir })];
  return {
    status: both.map((one) => one.status),
    names: both.map(({ stderr }) =>
      stderr.includes(`\nhongbao start: corrupt_journal: Set ${set}, LSN ${lsn}: `),
    ),
    unchanged: contentOf(path) === before,
  };
}

const REFUSED = { status: [1, 1], names: [true, true], unchanged: true };

describe('a corrupt journal row', () => {
  test.each<Place>(['middle', 'last'])(
    'refuses to serve, names Set and LSN, and changes nothing: %s',
    async (place) => {
      const dataDir = await ended({ name: `corrupt-${place}`, sets: 1, end: 'kill -9' });
      expect(await startTwice({ dataDir, set: 1, place })).toEqual(REFUSED);
    },
  );

  test('of one Set keeps the whole process from serving', async () => {
    const dataDir = await ended({ name: 'corrupt-one', sets: 2, end: 'kill -9' });
    expect(await startTwice({ dataDir, set: 2, place: 'middle' })).toEqual(REFUSED);
  });

  // The snapshot of a clean end covers the journal, and recovery reads only what lies above it.
  test('is found below a snapshot, too', async () => {
    const dataDir = await ended({ name: 'corrupt-clean', sets: 1, end: 'clean end' });
    expect(await startTwice({ dataDir, set: 1, place: 'middle' })).toEqual(REFUSED);
  });
});
