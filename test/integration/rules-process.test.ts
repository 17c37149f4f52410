/** `./hongbao set upgrade` with real processes, one of them of an older build. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setId } from '../../lib/core/units.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { upgrade } from '../../ops/set/upgrade.ts';
import type { NodeStatus__Output } from '../../proto/gen/hongbao/NodeStatus.ts';
import { saveTopology } from '../../router/topology-file.ts';
import { firstTopology } from '../../router/topology.ts';

const MAIN = fileURLToPath(new URL('../../set-node/main.ts', import.meta.url));
const OLD_BUILD = new URL('./old-build.ts', import.meta.url).href;

let folder: string;
let children: ChildProcess[];
/** What the processes wrote: why they do not what they should. */
let said = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hb-'));
  children = [];
  said = '';
});

afterEach(async () => {
  for (const child of children) await kill(child);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

function start(slot: number, build: 'old' | 'new'): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      ...(build === 'old' ? [`--import=${OLD_BUILD}`] : []),
      MAIN,
      `--topology-file=${join(folder, 'topology.json')}`,
      `--key-file=${join(folder, 'keys')}`,
      `--node-slot=${slot}`,
      ...(build === 'new' ? ['--new-set-rules=1'] : []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  children.push(child);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const address = (slot: number): string => `unix:${join(folder, `node-${slot}`)}`;
const nodesOf = () => [0, 1].map((slot) => ({ primary: address(slot), backup: '' }));

/** null: it does not answer. */
function statusOf(slot: number): Promise<NodeStatus__Output | null> {
  return openSetNode(address(slot))
    .status()
    .catch(() => null);
}

async function untilRole(slot: number, role: string): Promise<void> {
  const end = performance.now() + 15_000;
  for (let seen = ''; seen !== role;) {
    if (performance.now() > end) throw new Error(`node ${slot} is ${seen}, not ${role}: ${said}`);
    await sleep(50);
    seen = (await statusOf(slot))?.role ?? 'away';
  }
}

async function raise(rules: number): Promise<{ exit: number; said: string[] }> {
  const lines: string[] = [];
  const say = (line: string): number => lines.push(line);
  const set = { id: setId(1), nodes: nodesOf() };
  return { exit: await upgrade({ set, rules, print: say, complain: say }), said: lines };
}

test(
  '[L23] raised when no node is older, and refused until then',
  { timeout: 60_000 },
  async () => {
    const replicas = [0, 1, 2].map((replica) => `sqlite:${join(folder, `replica-${replica}`)}`);
    const nodes = nodesOf();
    const set = { id: setId(1), state: 'active', weight: 1, region: '', nodes, replicas } as const;
    const topology = firstTopology({ clusterId: '01'.repeat(16), sets: [set] });
    await saveTopology(join(folder, 'topology.json'), topology);
    start(0, 'new');
    await untilRole(0, 'leading');
    expect(await raise(2)).toEqual({ exit: 1, said: ['node 1 of Set 1 does not answer'] });
    const old = start(1, 'old');
    await untilRole(1, 'following');
    expect(await raise(2)).toEqual({
      exit: 1,
      said: ['node 1 of Set 1 is too old: it reads up to rules 1'],
    });
    expect(await statusOf(0)).toMatchObject({ rules: 1, rulesMax: 3 });
    await kill(old);
    const renewed = start(1, 'new');
    await untilRole(1, 'following');
    expect(await raise(2)).toEqual({ exit: 0, said: ['Set 1 is at rules 2'] });
    expect(await raise(2)).toEqual({ exit: 0, said: ['Set 1 is at rules 2'] });
    const lowered = await raise(1);
    expect([lowered.exit, lowered.said[0]]).toEqual([1, 'Set 1 is at rules 2: never lowered']);
    await kill(renewed);
    start(1, 'old');
    await untilRole(1, 'refused');
    expect((await statusOf(1))?.reason).toMatch(/^Set 1, LSN \d+: rules 2, .* too old/);
    expect(await statusOf(0)).toMatchObject({ role: 'leading', rules: 2 });
  },
);
