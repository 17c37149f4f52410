/** `./hongbao set grow` with real files, servers and processes: the log itself is in set-log-grow. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { cents, lsn, setId } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { MariaDb } from '../../ops/rig/mariadb.ts';
import { freePort } from '../../ops/rig/ports.ts';
import type { RigProcess } from '../../ops/rig/process.ts';
import { Rig } from '../../ops/rig/rig.ts';
import { tierProcess } from '../../ops/rig/tier.ts';
import { grow } from '../../ops/set/grow.ts';
import { createRouter } from '../../router/router.ts';
import { loadTopology, saveTopology } from '../../router/topology-file.ts';
import { firstTopology } from '../../router/topology.ts';
import { openReplica } from '../../set-node/open-replica.ts';
import { until } from './fake-set.ts';

const SET = setId(1);
const PASSWORD = 'grown-up';
const SILENT = { info() {}, warn() {}, error() {} };
const clock = new SystemClock();

let rig: Rig;
let starts = 0;
beforeEach(async () => {
  rig = await Rig.open();
  loadKeyFile(keyFile());
});
afterEach(() => rig.close());

const file = (name: string): string => join(rig.dir, name);
const keyFile = (): string => file('keys');
const topologyFile = (): string => file('topology.json');
const sqlite = (replica: number): string => `sqlite:${file(`replica-${replica}`)}`;
const address = (): string => `unix:${file('node')}`;

async function makeSet(first: string): Promise<void> {
  const nodes = [{ primary: address(), backup: '' }];
  const set = {
    id: SET,
    state: 'active',
    weight: 1,
    region: '',
    nodes,
    replicas: [first],
  } as const;
  await saveTopology(topologyFile(), firstTopology({ clusterId: '01'.repeat(16), sets: [set] }));
}

async function startNode(metricsPort = 0): Promise<RigProcess> {
  starts += 1;
  const node = tierProcess({
    rig,
    tier: 'set-node',
    name: `node-${starts}`,
    settings: { topologyFile: topologyFile(), keyFile: keyFile(), metricsPort },
    env: { HONGBAO_DB_PASSWORD: PASSWORD },
  });
  await node.start();
  return node;
}

/** Balances of these people. Who is new gets the given cents; the others have theirs already. */
async function balances(welcomeCents: number, ...names: readonly string[]): Promise<number[]> {
  const topology = await loadTopology(topologyFile());
  if (topology === null) throw new Error('no topology');
  const random = new SystemRandom();
  const router = createRouter({ topology, clock, random, log: SILENT, connect: openSetNode });
  try {
    await until(() => router.isUp(SET), 10_000);
    const found: number[] = [];
    for (const name of names) {
      const user = parseUserId(name);
      if (user === null) throw new Error(`not a user: ${name}`);
      const command = { type: 'wallet.open', user, welcomeCents: cents(welcomeCents) } as const;
      const { outcome } = await router.command(SET, command);
      if (outcome.status !== 'ok' || outcome.type !== 'wallet.open') throw new Error('no wallet');
      found.push(outcome.balanceCents);
    }
    return found;
  } finally {
    await router.close();
  }
}

async function growInto(...to: readonly string[]): Promise<{ status: number; said: string }> {
  const lines: string[] = [];
  const status = await grow({
    setId: SET,
    topologyFile: topologyFile(),
    to,
    keyFile: keyFile(),
    password: PASSWORD,
    print: (line) => lines.push(line),
    complain: (line) => lines.push(line),
  });
  return { status, said: lines.join('\n') };
}

/** `LSN checksum` of every entry of one replica. */
async function journal(dsn: string): Promise<string[]> {
  const store = await openReplica({ setId: SET, dsn, password: PASSWORD, clock, log: SILENT });
  try {
    const entries = await store.read({ after: lsn(0), limitBytes: 16 * 1_048_576 });
    return entries.map((entry) => `${entry.lsn} ${toHex(entry.sum)}`);
  } finally {
    await store.close();
  }
}

/** Replicas that count and have everything. */
async function wholeReplicas(): Promise<number> {
  const client = openSetNode(address());
  try {
    const { replicas } = await client.status();
    return replicas.filter(({ active, lagEntries }) => active && Number(lagEntries) === 0).length;
  } finally {
    client.close();
  }
}

/** A sample of /metrics by its name with labels. */
async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? Number.NaN);
}

function untilWhole(count: number): Promise<void> {
  return expect
    .poll(() => wholeReplicas().catch(() => 0), { timeout: 10_000, interval: 50 })
    .toBe(count);
}

test('three files: refused while a node runs; again after a crash before the topology', async () => {
  await makeSet(sqlite(0));
  const old = await startNode();
  expect(await balances(500, 'ann', 'bob')).toEqual([500, 500]);
  expect(await growInto(sqlite(1), sqlite(2))).toMatchObject({
    status: 1,
    said: expect.stringContaining('runs: stop it first') as string,
  });
  await old.terminate();
  const before = await journal(sqlite(0));
  await copyFile(topologyFile(), file('topology-1'));

  const { status, said } = await growInto(sqlite(1), sqlite(2));
  expect([status, said]).toEqual([0, expect.stringContaining('N=3, Q=2 is journaled')]);
  const after = await journal(sqlite(0));
  expect(after.slice(0, before.length)).toEqual(before);
  expect(await journal(sqlite(1))).toEqual(after);
  expect(await journal(sqlite(2))).toEqual(after);

  // It died before it wrote the topology: only the same three replicas are right now.
  await copyFile(file('topology-1'), topologyFile());
  for (const wrong of [
    [sqlite(1), sqlite(7)],
    [sqlite(2), sqlite(1)],
  ]) {
    expect((await growInto(...wrong)).said).toContain('not to this replica');
  }
  expect((await growInto(sqlite(1), sqlite(2))).said).toContain('says N=3 already');
  expect((await loadTopology(topologyFile()))?.sets[0]?.replicas).toEqual(
    [0, 1, 2].map((replica) => sqlite(replica)),
  );
  expect(await journal(sqlite(0))).toEqual(after);
  expect((await growInto(sqlite(1), sqlite(2))).said).toContain('already');
  await expect(growInto(sqlite(1), sqlite(7))).rejects.toThrow('has other replicas');

  const grown = await startNode();
  expect(await balances(700, 'ann', 'eve')).toEqual([500, 700]);
  await untilWhole(3);
  await grown.terminate();
  expect((await journal(sqlite(2))).slice(0, after.length)).toEqual(after);
});

test.each([
  [[1], 'two new replicas'],
  [[1, 1], 'two new replicas'],
  [[0, 1], 'two new replicas'],
  [[1, 'replica'], 'a replica is mysql'],
  [[1, 'mysql://u:secret@127.0.0.1:1/x'], 'has a password'],
])('refused before anything is opened: %j', async (to, reason) => {
  await makeSet(sqlite(0));
  const dsns = to.map((one) => (typeof one === 'number' ? sqlite(one) : one));
  await expect(growInto(...dsns)).rejects.toThrow(reason);
});

describe.each([
  ['a file', [1, 2]],
  ['a server', [0, 1, 2]],
])('from %s into MariaDB', (_, indices) => {
  test('same LSNs and checksums; one server dies and comes back', { timeout: 60_000 }, async () => {
    const servers = await Promise.all(
      indices.map((index) => MariaDb.start({ rig, name: `db${index}` })),
    );
    const access = { setId: SET, password: PASSWORD };
    for (const server of servers) await server.createSet(access);
    const dsns = servers.map((server) => server.dsnOf({ setId: SET }));
    const [first = '', second = '', third = ''] = dsns.length === 3 ? dsns : [sqlite(0), ...dsns];
    await makeSet(first);
    const old = await startNode();
    expect(await balances(500, 'ann', 'bob')).toEqual([500, 500]);
    await old.terminate();
    const before = await journal(first);
    expect(before.length).toBeGreaterThan(2);

    expect((await growInto(second, third)).said).toContain('N=3, Q=2 is journaled');
    const metricsPort = await freePort();
    const untilMetric = (name: string, value: number): Promise<void> =>
      expect
        .poll(() => metric(metricsPort, `${name}{set="1",replica="2"}`), { timeout: 10_000 })
        .toBe(value);
    const node = await startNode(metricsPort);
    expect(await balances(700, 'ann', 'eve')).toEqual([500, 700]);
    await untilWhole(3);
    await servers.at(-1)?.kill();
    expect(await balances(900, 'bob', 'sue')).toEqual([500, 900]);
    await untilWhole(2);
    await untilMetric('hongbao_set_replica_reachable', 0);
    expect(await metric(metricsPort, 'hongbao_set_readmissions_total{set="1",replica="2"}')).toBe(
      0,
    );
    await servers.at(-1)?.start();
    await untilWhole(3);
    await untilMetric('hongbao_set_replica_reachable', 1);
    await untilMetric('hongbao_set_readmissions_total', 1);
    expect(await metric(metricsPort, 'hongbao_set_amnesia_total{set="1",replica="2"}')).toBe(0);
    await node.terminate();
    const whole = await journal(first);
    expect(whole.slice(0, before.length)).toEqual(before);
    expect(await journal(second)).toEqual(whole);
    expect(await journal(third)).toEqual(whole);
  });
});
