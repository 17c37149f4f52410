import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Command } from '../../lib/core/command.ts';
import { asId } from '../../lib/core/ids.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { cents, epochOf, setId, timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { createRouter } from '../../router/router.ts';
import { firstTopology } from '../../router/topology.ts';
import { FakeSet, until } from './fake-set.ts';

const ALICE = parseUserId('alice')!;
const SET = setId(0);
const SILENT = { info() {}, warn() {}, error() {} };
const FIRST = epochOf(1, 0);
const SECOND = epochOf(2, 1);

let folder: string;
let nodes: [FakeSet, FakeSet];
let router: TopologyRouter;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hb-'));
  nodes = [new FakeSet(0, folder, 'a'), new FakeSet(0, folder, 'b')];
  for (const node of nodes) {
    node.epoch = 0;
    node.decide = (command) => (node.epoch === 0 ? refused(command) : opened(command));
    node.reply = ({ tag }) =>
      node.epoch === 0 ? { tag, status: 'set_unavailable' } : { tag, status: 'ok', money: {} };
    await node.start();
  }
});

afterEach(async () => {
  await router.close();
  for (const node of nodes) await node.stop();
  await rm(folder, { recursive: true, force: true });
});

function connect(): void {
  router = createRouter({
    topology: firstTopology({
      clusterId: '00'.repeat(16),
      sets: [
        {
          id: SET,
          state: 'active',
          weight: 1,
          region: '',
          nodes: nodes.map(({ address }) => ({ primary: address, backup: '' })),
          replicas: [],
        },
      ],
    }),
    clock: new SystemClock(),
    random: new SystemRandom(),
    log: SILENT,
    connect: openSetNode,
  });
}

/** Node `slot` leads from now on, and everybody says so. */
function lead(slot: 0 | 1, epoch: number): void {
  for (const [index, node] of nodes.entries()) {
    node.epoch = index === slot ? epoch : 0;
    node.leaderEpoch = epoch;
  }
  for (const node of nodes) node.tell();
}

function open(number: number): Command {
  return { type: 'packet.open', packetId: asId(BigInt(number)), user: ALICE, grant: null };
}

function opened(command: Command): Outcome {
  if (command.type !== 'packet.open') return { type: command.type, status: 'malformed' };
  const amountCents = cents(Number(command.packetId));
  const rest = { order: 1, left: 0, at: timeMs(5), seed: new Uint8Array() };
  return { type: 'packet.open', status: 'ok', amountCents, ...rest };
}

function refused({ type }: Command): Outcome {
  return { type, status: 'set_unavailable' };
}

function sent(node: FakeSet): string[] {
  return node.messages.flat().map(({ hex }) => hex);
}

describe('a Set of two nodes', () => {
  test('the hint of a node that does not lead is followed', async () => {
    lead(1, SECOND);
    connect();
    expect((await router.command(SET, open(1))).outcome).toMatchObject({ status: 'ok' });
    expect((await router.query(SET, { money: {} })).status).toBe('ok');
    expect(sent(nodes[0])).toEqual([]);
    expect((await router.command(SET, open(1))).mark.epoch).toBe(SECOND);
  });

  test('without a hint the other node is found', async () => {
    nodes[1].epoch = SECOND;
    connect();
    await until(() => router.isUp(SET), 6_000);
    expect((await router.command(SET, open(1))).outcome).toMatchObject({ status: 'ok' });
  });

  test('a refused command goes to the leader with the same bytes, and is certain', async () => {
    lead(0, FIRST);
    connect();
    await until(() => router.isUp(SET));
    // It stops leading; what is on its way to it is refused, and nobody else leads yet.
    nodes[0].epoch = 0;
    const answer = router.command(SET, open(3));
    await until(() => sent(nodes[0]).length > 0);
    lead(1, SECOND);
    expect((await answer).outcome).toMatchObject({ status: 'ok', amountCents: 3 });
    expect(sent(nodes[1])).toEqual(sent(nodes[0]));
  });

  test('without a leader the caller hears set_unavailable after about a second', async () => {
    lead(0, FIRST);
    connect();
    await until(() => router.isUp(SET));
    for (const node of nodes) [node.epoch, node.leaderEpoch] = [0, 0];
    for (const node of nodes) node.tell();
    await until(() => !router.isUp(SET));
    const start = performance.now();
    const options = { deadlineMs: 60_000 };
    const { outcome } = await router.command(SET, open(1), options);
    const { status } = await router.query(SET, { money: {} }, options);
    expect([outcome.status, status]).toEqual(['set_unavailable', 'set_unavailable']);
    expect(performance.now() - start).toBeLessThan(1_500);
    // Nobody asks, and still it is noticed at once when somebody leads.
    lead(1, SECOND);
    await until(() => router.isUp(SET), 1_000);
    expect((await router.command(SET, open(2))).outcome).toMatchObject({ status: 'ok' });
  });

  test('a killed leader: what lay with it is asked of the next one', async () => {
    lead(0, FIRST);
    nodes[0].decide = () => null;
    connect();
    const answer = router.command(SET, open(4));
    await until(() => sent(nodes[0]).length === 1);
    await nodes[0].stop();
    nodes[1].leaderEpoch = FIRST;
    setTimeout(() => lead(1, SECOND), 600);
    const start = performance.now();
    expect((await answer).outcome).toMatchObject({ status: 'ok', amountCents: 4 });
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(sent(nodes[1])).toEqual(sent(nodes[0]));
  });

  test('a command that a dead leader may have done is unknown when nobody follows it', async () => {
    lead(0, FIRST);
    nodes[0].decide = () => null;
    connect();
    const answer = router.command(SET, open(4), { deadlineMs: 1_500 });
    await until(() => sent(nodes[0]).length === 1);
    await nodes[0].stop();
    expect((await answer).outcome.status).toBe('unknown');
  });

  test('a leader that is stopped and says nothing does not hold the caller', async () => {
    lead(0, FIRST);
    connect();
    await until(() => router.isUp(SET));
    nodes[0].paused = true;
    const answer = router.command(SET, open(5));
    await until(() => sent(nodes[0]).length === 1);
    setTimeout(() => {
      [nodes[1].epoch, nodes[1].leaderEpoch] = [SECOND, SECOND];
    }, 900);
    const start = performance.now();
    expect((await answer).outcome).toMatchObject({ status: 'ok', amountCents: 5 });
    expect(performance.now() - start).toBeLessThan(2_500);
    // It wakes, and still says that it leads: its epoch is older than what is known.
    nodes[0].paused = false;
    nodes[0].tell();
    expect((await router.command(SET, open(6))).outcome).toMatchObject({ status: 'ok' });
    expect(sent(nodes[0])).toHaveLength(1);
  });

  test('the event line follows the leader and reports the gap once it leads', async () => {
    lead(0, FIRST);
    connect();
    const gaps: number[] = [];
    router.onEvents({ events: () => undefined, gap: () => gaps.push(nodes[1].epoch) });
    router.watchUser(ALICE);
    await until(() => nodes[0].eventStreams.length === 1);
    const [first] = nodes[0].eventStreams;
    await until(() => nodes[0].interests.length > 0);
    first?.send({ setId: 0, epoch: FIRST, leaderEpoch: FIRST, firstNumber: 1 });
    await until(() => gaps.length === 1);
    first?.send({ setId: 0, epoch: 0, leaderEpoch: SECOND, firstNumber: 1 });
    await until(() => nodes[1].interests.length > 0);
    expect(nodes[1].interests[0]?.addUsers).toEqual(['alice']);
    const [second] = nodes[1].eventStreams;
    second?.send({ setId: 0, epoch: 0, leaderEpoch: 0, firstNumber: 1 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(gaps).toHaveLength(1);
    second?.send({ setId: 0, epoch: SECOND, leaderEpoch: SECOND, firstNumber: 1 });
    await until(() => gaps.length === 2);
  });
});
