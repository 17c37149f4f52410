/** `./hongbao packet` and `wallet statement` beside a real server, and on journals that lie. */
import { mkdtemp, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { HongbaoClient, fetchDevToken } from '../../client/index.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { asId, setOfId } from '../../lib/core/ids.ts';
import type { Log } from '../../lib/port/log.ts';
import { plansOf } from '../../ops/audit/plans.ts';
import { main } from '../../ops/main.ts';
import { openJournals } from '../../ops/packet/journals.ts';
import { provePacketVerify } from '../../ops/packet/prove.ts';
import { tampered } from '../../ops/packet/tamper.ts';
import { startEmbedded } from '../../ops/start.ts';
import type { Embedded } from '../../ops/start.ts';

/** A name that a sheet would run. */
const EVE = '=1+cmd|"x",y';
const PEOPLE = ['alice', 'bob', EVE];

let dataDir: string;
let server: Embedded | null = null;
const clients = new Map<string, HongbaoClient>();
const of = (user: string): HongbaoClient => clients.get(user)!;
let drained = '';
let live = '';
let refunded = '';

async function signIn(userId: string): Promise<void> {
  const baseUrl = `http://127.0.0.1:${server!.port}`;
  const client = new HongbaoClient({
    url: `ws://127.0.0.1:${server!.port}/v1/ws`,
    token: () => fetchDevToken({ baseUrl, userId }),
  });
  clients.set(userId, client);
  await client.connect();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await holds()).toBe(true), {
    timeout: 15_000,
    interval: 100,
  });
}

async function stop(): Promise<void> {
  for (const client of clients.values()) client.close();
  await server?.lifecycle.end();
  server = null;
}

beforeAll(async () => {
  const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };
  dataDir = await mkdtemp(join(tmpdir(), 'hongbao-packet-'));
  server = await startEmbedded({
    dataDir,
    port: 0,
    host: '127.0.0.1',
    sets: 2,
    replicas: 1,
    demoCents: 100_000,
    pageDir: join(dataDir, 'no-page'),
    log: silent,
  });
  for (const user of PEOPLE) await signIn(user);
  const alice = of('alice');
  const { groupId } = await alice.group.create({ name: '一家人' });
  const { invite } = await alice.group.invite(groupId);
  for (const user of PEOPLE.slice(1)) await of(user).group.join(invite);
  const send = async (d: object): Promise<string> =>
    (await alice.packet.send({ groupId, totalCents: 1_000, count: 3, ...d })).packetId;
  drained = await send({ timing: 'pre_split' });
  for (const user of PEOPLE) await of(user).packet.grabAndOpen(drained);
  live = await send({ kind: 'exclusive', receivers: PEOPLE });
  await of('bob').packet.grabAndOpen(live);
  refunded = await send({ lifetimeMs: 1_000, kind: 'equal' });
  await of('bob').packet.grabAndOpen(refunded);
  await until(async () => (await alice.packet.get(refunded)).phase === 'refunded');
  await until(async () => (await alice.wallet.get()).arrivingCents === 0);
});

afterAll(async () => {
  await stop();
  await rm(dataDir, { recursive: true, force: true });
});

type Ran = { status: number; out: string; errors: string; json: Record<string, unknown> };

/** The command line in this process; what it says is caught. */
async function run(...args: string[]): Promise<Ran> {
  const out: string[] = [];
  const errors: string[] = [];
  const say = (to: string[]) => (line: unknown) => void to.push(`${String(line)}\n`);
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(say(out)),
    vi.spyOn(console, 'error').mockImplementation(say(errors)),
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => errors.push(String(text)) > 0),
  ];
  try {
    const status = await main(args);
    const last = out.at(-1) ?? '';
    const json = args.includes('--json') ? (JSON.parse(last) as Ran['json']) : {};
    return { status, out: out.join(''), errors: errors.join(''), json };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

test('replay: all Sets, in order, and tables and leader say the same', async () => {
  for (const packetId of [drained, live, refunded]) {
    const args = ['packet', 'replay', packetId, '--data', dataDir, '--json'];
    const { status, errors, json } = await run(...args);
    expect({ packetId, status, errors }).toEqual({ packetId, status: 0, errors: '' });
    const { steps, leader, tables } = json['conditions'] as {
      steps: { kind: string; restCents: number | null }[];
      leader: string;
      tables: { differences: string[] }[];
    };
    expect({ leader, different: tables.flatMap((one) => one.differences) }).toEqual({
      leader: 'equal',
      different: [],
    });
    expect(steps[0]?.kind).toBe('send');
    const kinds = new Set(steps.map(({ kind }) => kind));
    for (const kind of ['create', 'announce', 'open', 'credit', 'receipt']) {
      expect(kinds).toContain(kind);
    }
    expect(kinds.has('expire') && kinds.has('refund')).toBe(packetId === refunded);
  }
  const told = await run('packet', 'replay', drained, '--data', dataDir);
  expect(told.out).toContain('everything fits');
  expect(told.out).toContain('share 3, 0 left');
});

test('verify: ended ones, live ones, all of them, none, and through the door', async () => {
  const at = ['--data', dataDir];
  expect(await run('packet', 'verify', drained, ...at)).toMatchObject({ status: 0, errors: '' });
  expect(await run('packet', 'verify', refunded, ...at)).toMatchObject({ status: 0 });
  expect(await run('packet', 'verify', live, ...at)).toMatchObject({ status: 3 });
  expect(await run('packet', 'show', live, ...at)).toMatchObject({ status: 0 });
  expect(await run('packet', 'verify', '4096', ...at)).toMatchObject({ status: 1 });
  expect(await run('packet', 'verify', 'x', ...at)).toMatchObject({ status: 2 });
  const all = await run('packet', 'verify', '--all', ...at, '--json');
  expect(all.status).toBe(0);
  expect(all.json['figures']).toMatchObject([
    { value: 2 },
    { value: 4 },
    { value: 1 },
    { value: 0 },
  ]);
  const door = ['--url', `http://127.0.0.1:${server!.port}`, '--user'];
  expect(await run('packet', 'verify', drained, ...door, 'bob')).toMatchObject({ status: 0 });
  expect(await run('packet', 'verify', live, ...door, 'bob')).toMatchObject({ status: 3 });
  expect(await run('packet', 'verify', drained, ...door, 'mallory')).toMatchObject({ status: 1 });
});

test('a statement as CSV is text that no sheet runs, and adds up', async () => {
  const { balanceCents } = await of(EVE).wallet.get();
  const args = ['wallet', 'statement', EVE, '--data', dataDir];
  const { status, out } = await run(...args);
  expect(status).toBe(0);
  const rows = out.split('\r\n');
  expect(rows[0]).toBe(
    'user,time_utc,reason,packet_id,amount,amount_cents,balance,balance_cents,lsn,leg',
  );
  expect(rows.at(-1)).toBe('');
  const body = rows.slice(1, -1);
  // Quoted because of its quotes and comma; a sheet reads text behind the apostrophe.
  for (const row of body) expect(row.startsWith(`"'=1+cmd|""x"",y",`)).toBe(true);
  expect(body[0]).toContain(',opening,,,,0.00,0,');
  expect(body.at(-1)).toContain(`,closing,,,,${(balanceCents / 100).toFixed(2)},${balanceCents},`);
  expect(body[1]).toMatch(
    /,\d{4}-\d\d-\d\dT[\d:.]+Z,wallet\.open,,1000\.00,100000,1000\.00,100000,/,
  );
  const json = await run(...args, '--format', 'json', '--from', '2026-01-01');
  expect(JSON.parse(json.out)).toMatchObject({ user: EVE, closingCents: balanceCents });
  expect(await run(...args, '--from', 'yesterday')).toMatchObject({ status: 2 });
});

test('a table row that is a cent off, then a share that is: both are said', async () => {
  await stop();
  const set = setOfId(asId(BigInt(drained)));
  const path = join(dataDir, `set-${set}`, 'replica-0.sqlite');
  const at = ['--data', dataDir];
  expect(await run('packet', 'replay', drained, ...at)).toMatchObject({ status: 0 });
  const db = new DatabaseSync(path);
  const change = `UPDATE p_red_packet_record SET amount_cents = amount_cents + ?
    WHERE packet_id = ? AND claim_order = 2`;
  db.prepare(change).run(1, BigInt(drained));
  const row = await run('packet', 'replay', drained, ...at);
  expect(row.status).toBe(1);
  expect(row.errors).toContain(`I11 Set ${set}`);
  expect(row.errors).toContain(`red_packet_record ${drained}/2`);
  db.prepare(change).run(-1, BigInt(drained));

  const topologyFile = join(dataDir, 'topology.json');
  const journals = await openJournals(await plansOf({ topologyFile, dataDir, password: '' }));
  const entries: Entry[] = [];
  for await (const entry of journals.find(({ setId }) => setId === set)!.entries()) {
    entries.push(entry);
  }
  await Promise.all(journals.map((journal) => journal.close()));
  const lie = tampered(entries, { packetId: asId(BigInt(drained)), tamper: 'share' })!;
  const write = db.prepare('UPDATE journal SET payload = ?, prev = ?, sum = ? WHERE lsn = ?');
  const chain = db.prepare('UPDATE journal SET prev = ?, sum = ? WHERE lsn = ?');
  for (const [index, { payload, prev, sum, lsn }] of lie.entries()) {
    if (payload === entries[index]?.payload) chain.run(prev, sum, lsn);
    else write.run(payload, prev, sum, lsn);
  }
  db.close();
  const verified = await run('packet', 'verify', drained, ...at);
  expect(verified.status).toBe(1);
  expect(verified.errors).toMatch(/^A2 share 1 /);
  const all = await run('packet', 'verify', '--all', ...at);
  expect(all.status).toBe(1);
  expect(
    all.errors
      .trimEnd()
      .split('\n')
      .every((line) => line.includes(drained)),
  ).toBe(true);
  // Its credit arrived as it was: the journals of two Sets tell two stories.
  const replayed = await run('packet', 'replay', drained, ...at);
  expect(replayed.errors).toContain('M8 open of LSN');
});

test('the proof, in short: every sort of packet, and every lie once', async () => {
  const { result, findings } = await provePacketVerify({
    packets: 60,
    lies: 1,
    seed: 11,
    say: () => undefined,
  });
  expect(findings).toEqual([]);
  expect(result.ok).toBe(true);
}, 240_000);
