import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { setId } from '../../lib/core/units.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { freePort } from '../../ops/rig/ports.ts';
import { createRouter } from '../../router/router.ts';
import { saveTopology } from '../../router/topology-file.ts';
import { firstTopology } from '../../router/topology.ts';
import { until } from './fake-set.ts';

const MAIN = fileURLToPath(new URL('../../set-node/main.ts', import.meta.url));
const SILENT = { info() {}, warn() {}, error() {} };
const SET = setId(1);

let folder: string;
let children: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hb-'));
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const address = (slot: number): string => `unix:${join(folder, `node-${slot}`)}`;

const topology = (nodes: number) =>
  firstTopology({
    clusterId: '01'.repeat(16),
    sets: [
      {
        id: SET,
        state: 'active',
        weight: 1,
        region: '',
        nodes: Array.from({ length: nodes }, (_, slot) => ({
          primary: address(slot),
          backup: '',
        })),
        replicas: [0, 1, 2].map((replica) => `sqlite:${join(folder, `replica-${replica}`)}`),
      },
    ],
  });

/** A set-node in a process of its own; its lines of log. */
function start(flags: readonly string[]): { child: ChildProcess; lines: string[] } {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      MAIN,
      `--topology-file=${join(folder, 'topology.json')}`,
      `--key-file=${join(folder, 'keys')}`,
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  children.push(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n')));
  }
  return { child, lines };
}

const has = (lines: readonly string[], event: string): boolean =>
  lines.some((line) => line.includes(`"event":"${event}"`));

test('a node serves its Set, says so, and ends in order', { timeout: 30_000 }, async () => {
  await saveTopology(join(folder, 'topology.json'), topology(1));
  const metricsPort = await freePort();
  const { child, lines } = start([`--metrics-port=${metricsPort}`]);
  await until(() => has(lines, 'ready'), 15_000);
  const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${metricsPort}${path}`);
  await until(() => has(lines, 'set_leading'), 10_000);
  expect([(await ask('/healthz')).status, (await ask('/readyz')).status]).toEqual([200, 200]);
  const router = createRouter({
    topology: topology(1),
    clock: new SystemClock(),
    random: new SystemRandom(),
    log: SILENT,
    connect: openSetNode,
  });
  await until(() => router.isUp(SET));
  const { outcome } = await router.command(SET, { type: 'ids.reserve', count: 1 });
  expect(outcome.status).toBe('ok');
  const client = openSetNode(address(0));
  expect(await client.status()).toMatchObject({ setId: 1, nodeSlot: 0, role: 'leading' });
  // The only node of its Set hands nothing over.
  expect(await client.stepDown()).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const text = await (await ask('/metrics')).text();
  expect(text).toMatch(/hongbao_set_role\{set="1",role="leading"\} 1/);
  expect(text).toMatch(/hongbao_set_replica_active\{set="1",replica="2"\} 1/);
  expect(text).toMatch(/hongbao_set_takeovers_total\{set="1"\} 1/);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  await expect(client.status()).rejects.toThrow('UNAVAILABLE');
  client.close();
  await router.close();
});

test.each([
  [['--node-slot=1', '--sets=1'], 'Set 1 has no such node'],
  [['--node-slot=1'], 'serves no Set'],
  [['--sets=7'], 'there is no Set 7'],
  [['--sets=x'], 'sets are numbers'],
])('what makes no sense is refused: %j', { timeout: 20_000 }, async (flags, reason) => {
  await saveTopology(join(folder, 'topology.json'), topology(1));
  const { child, lines } = start(flags);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  expect(await ended).toBe(1);
  expect(lines.join('\n')).toContain(reason);
});

test('two replicas in one file are refused', { timeout: 20_000 }, async () => {
  const [set] = topology(1).sets;
  if (set === undefined) throw new Error('no Set');
  const shared = `sqlite:${join(folder, 'replica-0')}`;
  const replicas = [shared, `sqlite:${join(folder, 'replica-1')}`, shared];
  const made = firstTopology({ clusterId: '01'.repeat(16), sets: [{ ...set, replicas }] });
  await saveTopology(join(folder, 'topology.json'), made);
  const { child, lines } = start([]);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  expect(await ended).toBe(1);
  expect(lines.join('\n')).toContain('shared_data_directory');
});

test(
  'two disks of three after a kill: only an operator may trust them',
  { timeout: 40_000 },
  async () => {
    await saveTopology(join(folder, 'topology.json'), topology(1));
    const first = start([]);
    await until(() => has(first.lines, 'set_leading'), 15_000);
    const ended = new Promise((resolve) => first.child.once('exit', resolve));
    first.child.kill('SIGKILL');
    await ended;
    for (const end of ['', '-wal', '-shm'])
      await rm(join(folder, `replica-2${end}`), { force: true });
    const waiting = start([]);
    await until(() => has(waiting.lines, 'takeover_failed'), 15_000);
    expect(has(waiting.lines, 'set_leading')).toBe(false);
    waiting.child.kill('SIGKILL');
    const signed = start(['--trust-disks=true']);
    await until(() => has(signed.lines, 'set_leading'), 15_000);
    expect(has(signed.lines, 'trust_disks')).toBe(true);
  },
);
