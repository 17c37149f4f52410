import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Command } from '../../lib/core/command.ts';
import type { CommandId } from '../../lib/core/ids.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import { cents } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { StandbyWorld } from './standby-world.ts';

const RESERVE = { type: 'ids.reserve', count: 1 } as const;
const random = new SeededRandom(3);
const DAY_MS = 24 * 3_600_000;

function open(user: string): Command {
  const parsed = parseUserId(user);
  if (parsed === null) throw new Error('not a user');
  return { type: 'wallet.open', user: parsed, welcomeCents: cents(500) };
}

function create(at: number, groupId: bigint): Command {
  const commandId: CommandId = makeCommandId(at, random.bytes(10));
  const user = parseUserId('ann');
  if (user === null) throw new Error('not a user');
  const rest = { groupId: groupId as never, name: 'g', history: 'all' } as const;
  return { type: 'group.create', commandId, user, ...rest };
}

describe('two nodes of one Set', () => {
  test('of a fresh Set one leads soon, and the other follows', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    await w.run(500);
    const other = w.other(leader);
    expect(w.roles().toSorted()).toEqual(['following', 'leading']);
    expect(other.engine.leaderEpoch).toBe(leader.engine.driver?.epoch);
    expect(await w.ask(other, RESERVE)).toMatchObject({ status: 'set_unavailable' });
    expect(await w.ask(leader, RESERVE)).toMatchObject({ status: 'ok' });
    await w.run(400);
    expect(other.engine.standby?.follower.appliedLsn).toBe(leader.engine.driver?.commit);
  });

  test('a quiet leader keeps leading', async () => {
    const w = await StandbyWorld.start(3);
    const leader = await w.untilLed(1_500);
    await w.run(20_000);
    expect(leader.engine.takeovers.count).toBe(1);
    expect(leader.role).toBe('leading');
    expect(await w.fences()).toEqual(Array(3).fill(leader.engine.driver?.epoch));
  });

  test('when the leader dies the other serves within 1.2 s, and the same id gets the same answer', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    await w.ask(leader, open('ann'));
    const ids = await w.ask(leader, RESERVE);
    if (ids.status !== 'ok' || ids.type !== 'ids.reserve') throw new Error(ids.status);
    const command = create(leader.clock.now(), ids.firstId);
    const answer = await w.ask(leader, command);
    expect(answer.status).toBe('ok');
    leader.pause(); // for good
    const heir = await w.untilLed(1_200);
    expect(heir).toBe(w.other(leader));
    expect(await w.ask(heir, command)).toEqual(answer);
    expect(await w.ask(heir, open('ann'))).toMatchObject({ status: 'ok' });
    // Not welcomed twice.
    expect(
      [...(heir.engine.driver?.state.people.values() ?? [])].map((p) => p.balanceCents),
    ).toEqual([500]);
  });

  test('a leader that was paused and wakes is fenced, acknowledges nothing, and follows', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    await w.ask(leader, open('ann'));
    leader.pause();
    const late = leader.submit(open('bob'));
    const heir = await w.untilLed(1_200, leader);
    await w.ask(heir, open('cat'));
    leader.wake();
    await w.run(1_500);
    expect(late.map(({ status }) => status)).not.toContain('ok');
    expect([leader.role, heir.role]).toEqual(['following', 'leading']);
    expect([...(heir.engine.driver?.state.people.keys() ?? [])]).toEqual(['ann', 'cat']);
    await w.run(500);
    expect(leader.engine.standby?.follower.appliedLsn).toBe(heir.engine.driver?.commit);
  });

  test('an idle leader that was replaced notices by itself', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    leader.pause();
    await w.untilLed(1_200, leader);
    leader.wake();
    await w.run(1_100);
    expect(leader.role).toBe('following');
    expect(leader.lines.some((line) => line.includes('fenced by epoch'))).toBe(true);
  });

  test('stepping down finishes what was taken, and the other leads at once', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    const other = w.other(leader);
    expect(await other.engine.stepDown()).toBe(false);
    await w.run(300);
    const taken = leader.submit(open('ann'));
    const stepping = leader.engine.stepDown();
    const refused = leader.submit(open('bob'));
    await w.run(20);
    expect(taken).toMatchObject([{ status: 'ok' }]);
    expect(refused).toMatchObject([{ status: 'set_unavailable' }]);
    expect(await stepping).toBe(true);
    expect(await w.untilLed(300)).toBe(other);
    // What it held back for has happened: when the other one dies it competes like everybody.
    await w.run(500);
    other.pause();
    expect(await w.untilLed(2_000)).toBe(leader);
  });

  test('who stepped down does not compete for five seconds while nobody else has led', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    await w.run(300);
    w.other(leader).pause();
    expect(await leader.engine.stepDown()).toBe(true);
    await w.run(4_000);
    expect(leader.role).toBe('following');
    expect(await w.untilLed(2_500)).toBe(leader);
  });

  test('nobody steps down to nobody: a node that died left no mark, one that left did', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    const stopping = leader.engine.stop();
    await w.run(100);
    await stopping;
    const beats = await Promise.all(w.disks.map((disk) => disk.readBeat()));
    const other = w.other(leader);
    const led = beats.every(({ epoch, n }) => epoch > 0 && n === 0) || other.role === 'leading';
    expect(led).toBe(true);
    expect(await w.untilLed(300)).toBe(other);
  });
});

describe('who must not lead', () => {
  test('a node without Q readable replicas fences nobody', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    const other = w.other(leader);
    const before = await w.fences();
    other.cut.add(0).add(1);
    leader.pause();
    await w.run(10_000);
    expect(await w.fences()).toEqual(before);
    other.cut.clear();
    expect(await w.untilLed(2_000)).toBe(other);
  });

  test('with two replicas away nothing is acknowledged; soon after one is back it is served', async () => {
    const w = await StandbyWorld.start();
    await w.untilLed(1_500);
    for (const node of w.nodes) node.cut.add(0).add(1);
    const lost = w.nodes.map((node) => node.submit(open('bob')));
    await w.run(20_000);
    expect(w.roles()).toEqual(['following', 'following']);
    expect(lost.flat().map(({ status }) => status)).not.toContain('ok');
    for (const node of w.nodes) node.cut.delete(1);
    const leader = await w.untilLed(1_500);
    expect(await w.ask(leader, open('ann'))).toMatchObject({ status: 'ok' });
  });

  test('a leader that one replica does not hear of stays', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    leader.cut.add(2);
    await w.run(5_000);
    expect(leader.engine.takeovers.count).toBe(1);
    expect(await w.ask(leader, RESERVE)).toMatchObject({ status: 'ok' });
  });

  test('a leader cut from Q replicas is replaced, and what it had not committed is not there', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    leader.cut.add(0).add(1);
    const lost = leader.submit(open('bob'));
    const heir = await w.untilLed(2_500, leader);
    await w.run(3_000);
    expect(lost.map(({ status }) => status)).not.toContain('ok');
    expect(leader.role).not.toBe('leading');
    expect(await w.ask(heir, open('ann'))).toMatchObject({ status: 'ok' });
  });

  test('a node whose clock is over 5 s ahead of the replicas does not take over', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    const other = w.other(leader);
    other.clock.jump(6_000);
    const before = await w.fences();
    leader.pause();
    await w.run(5_000);
    expect(other.role).toBe('following');
    expect(await w.fences()).toEqual(before);
    expect(other.lines.some((line) => line.includes('ahead of the replicas'))).toBe(true);
    other.clock.jump(-6_000);
    expect(await w.untilLed(11_000)).toBe(other);
  });

  test('a leader whose clock runs ahead steps down, and the other one leads', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    leader.clock.jump(6_000);
    const heir = await w.untilLed(3_000, leader);
    expect(heir).toBe(w.other(leader));
    await w.run(5_000);
    expect(heir.role).toBe('leading');
    expect(leader.role).toBe('following');
  });

  test('[L12] a clock that leaps a day is not stamped: log time would never come back', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    await w.run(500);
    leader.clock.jump(DAY_MS);
    // Right after the leap, before anybody has compared clocks.
    for (let asked = 0; asked < 20; asked++) {
      leader.submit(RESERVE);
      await w.run(25);
    }
    const heir = await w.untilLed(3_000, leader);
    expect(heir).toBe(w.other(leader));
    expect(await w.ask(heir, RESERVE)).toMatchObject({ status: 'ok' });
    expect(heir.engine.driver?.state.ts).toBeLessThan(w.timeMs() + 5_000);
  });

  test('when everything has slept a day, log time is a day later with the next entry', async () => {
    const w = await StandbyWorld.start();
    const leader = await w.untilLed(1_500);
    await w.run(500);
    w.sleep(DAY_MS);
    expect(await w.ask(leader, RESERVE)).toMatchObject({ status: 'ok' });
    expect(leader.role).toBe('leading');
    expect(leader.engine.driver?.state.ts).toBeGreaterThan(w.timeMs() - 5_000);
  });

  test('replicas that share a disk are refused', async () => {
    const w = await StandbyWorld.start(1);
    const node = w.nodes[0];
    const [first, second] = w.disks;
    if (node === undefined || first === undefined || second === undefined) throw new Error('none');
    second.probe = () => first.probe();
    await w.run(1_500);
    expect(node.role).toBe('refused');
    await expect(node.engine.ready()).rejects.toMatchObject({ code: 'shared_data_directory' });
  });
});
