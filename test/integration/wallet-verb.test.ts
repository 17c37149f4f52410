/** `./hongbao wallet` against a running embedded server. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { HongbaoClient, fetchDevToken } from '../../client/index.ts';
import { UsageError } from '../../ops/cli.ts';
import type { Embedded } from '../../ops/start.ts';
import { startEmbedded } from '../../ops/start.ts';
import { verb } from '../../ops/verb/wallet.ts';

let folder: string;
let data: string;
let server: Embedded;
let alice: HongbaoClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hb-wallet-'));
  data = join(folder, 'data');
  server = await startEmbedded({
    dataDir: data,
    port: 0,
    host: '127.0.0.1',
    sets: 2,
    replicas: 1,
    demoCents: 1_000,
    pageDir: join(folder, 'no-page'),
    log: { info() {}, warn() {}, error() {} },
  });
  const { url: baseUrl } = server;
  const token = await fetchDevToken({ baseUrl, userId: 'alice' });
  alice = new HongbaoClient({ url: `${baseUrl.replace('http', 'ws')}/v1/ws`, token });
  await alice.connect();
});

afterAll(async () => {
  alice?.close();
  await server?.lifecycle.end();
  await rm(folder, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<{ status: number; out: string; error: string }> {
  const out = vi.spyOn(console, 'log').mockImplementation(() => {});
  const error = vi.spyOn(console, 'error').mockImplementation(() => {});
  const json = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  try {
    const status = await verb.run([...args, '--data', data]);
    const text = (spy: typeof out): string => spy.mock.calls.flat().join('\n');
    const line = String(json.mock.calls[0]?.[0] ?? '');
    return { status, out: text(out) + line, error: text(error) };
  } finally {
    out.mockRestore();
    error.mockRestore();
    json.mockRestore();
  }
}

const WHO = ['--operator', 'ops-1', '--reason', 'case 7'];

test('show tells balance, state and the newest lines', async () => {
  const { status, out } = await run('show', 'alice');
  expect(status).toBe(0);
  expect(out).toMatch(/balance +10\.00/);
  expect(out).toMatch(/state +free/);
  expect(out).toMatch(/10\.00 wallet\.open/);
  const stranger = await run('show', 'nobody', '--json');
  const shown: unknown = JSON.parse(stranger.out);
  const wallet = { exists: false, balanceCents: 0, frozen: false };
  expect(shown).toMatchObject({ ok: true, conditions: { wallet } });
});

test('frozen: nothing leaves; unfrozen: it does; both are journaled with who and why', async () => {
  const frozen = await run('freeze', 'alice', ...WHO);
  expect([frozen.status, frozen.error]).toEqual([0, '']);
  expect(frozen.out).toMatch(/^frozen: alice\njournaled at \d+:\d+:\d+ by ops-1, id .*: case 7$/);
  expect((await run('show', 'alice')).out).toMatch(/state +frozen/);
  const out = { amountCents: 1, destination: 'bank' };
  await expect(alice.wallet.withdraw(out)).rejects.toMatchObject({ code: 'wallet_frozen' });
  await expect(alice.wallet.topup(out)).rejects.toMatchObject({ code: 'bad_argument' });
  await expect(alice.wallet.topup({ amountCents: 1 })).rejects.toMatchObject({
    code: 'wallet_frozen',
  });
  expect((await run('unfreeze', 'alice', ...WHO)).status).toBe(0);
  expect(await alice.wallet.withdraw(out)).toMatchObject({ balanceCents: 999 });
});

test('adjust adds and takes, never below zero, and once for each id', async () => {
  const more = await run('adjust', 'alice', '5.01', ...WHO, '--json');
  const { conditions } = JSON.parse(more.out) as { conditions: { id: string } };
  expect(conditions).toMatchObject({ status: 'ok', balanceCents: 1_500, operator: 'ops-1' });
  const again = await run('adjust', 'alice', '5.01', ...WHO, '--json', '--id', conditions.id);
  expect(JSON.parse(again.out)).toMatchObject({ conditions: { balanceCents: 1_500 } });
  const other = await run('adjust', 'alice', '5.02', ...WHO, '--id', conditions.id);
  expect(other).toMatchObject({ status: 1, error: 'alice: id_reused' });
  const less = await run('adjust', 'alice', '-15.01', ...WHO);
  expect(less).toMatchObject({ status: 1, error: 'alice: insufficient_funds' });
  expect((await run('adjust', 'alice', '-15.00', ...WHO)).out).toContain('alice, now 0.00');
  expect((await alice.wallet.get()).balanceCents).toBe(0);
});

test.each([
  [['melt', 'alice', ...WHO], 'show, statement, freeze, unfreeze, adjust'],
  [['freeze', 'alice'], '--reason is missing'],
  [['freeze', 'alice', '1.00', ...WHO], 'AMOUNT goes with adjust'],
  [['adjust', 'alice', ...WHO], 'AMOUNT goes with adjust'],
  [['adjust', 'alice', '100', ...WHO], "'100' is not like 12.34"],
  [['adjust', 'alice', '0.00', ...WHO], 'amount_out_of_range'],
  [['freeze', 'alice', '--reason', 'x'.repeat(129)], 'bad_argument'],
  [['freeze', 'alice', ...WHO, '--id', 'seven'], 'no UUIDv7'],
  [['freeze', 'alice', ...WHO, '--topology', '/nowhere.json'], 'there is no topology'],
])('%j is a wrong call', async (args, says) => {
  const called = run(...args);
  await expect(called).rejects.toThrow(UsageError);
  await expect(called).rejects.toThrow(says);
});

test('only the owner of the data directory reads where the Sets listen; it goes with the server', async () => {
  const path = join(data, 'running.json');
  expect(Object.keys(JSON.parse(await readFile(path, 'utf8')) as object)).toHaveLength(2);
  expect((await stat(path)).mode & 0o077).toBe(0);
  await server.lifecycle.end();
  await expect(run('show', 'alice')).rejects.toThrow('no server runs there');
});
