import { figure } from '../../cli.ts';
import { pause } from '../member.ts';
import type { SetNode } from './cluster.ts';
import type { Scenario } from './scenario.ts';
import {
  byTurns,
  comparison,
  seconds,
  since,
  stretchOf,
  TAKEOVER_WORST_S,
  WITHIN_MS,
} from './scenario.ts';
import type { Direction } from '../../rig/proxy.ts';
import type { SetWorld } from './world.ts';

const HURT = 2;
const OTHER = 1;
const THIRD = 0;
/** How long a leader without a quorum is left alone with one replica. */
const ALONE_MS = 300;
/** Replies that had left before are on their way for a moment. */
const IN_FLIGHT_MS = 250;
/** A round trip to one replica gets this much longer: 25 ms each way. */
const DELAY_EACH_WAY_MS = 25;
/** Long enough for the standby to take over and to serve a while. */
const ASLEEP_MS = 5_000;

async function follows(world: SetWorld, node: SetNode): Promise<void> {
  if (await world.untilStandby(node, WITHIN_MS)) return;
  world.findings.break(`node ${node.slot} does not stand by again`);
}

const pausedLeader: Scenario = {
  name: 'paused-leader',
  summary: 'the leader stands still (SIGSTOP), is replaced, and wakes',
  async run(world, pace) {
    const { watch } = world;
    await pause(pace.stretchMs);
    const { leader } = world.nodes;
    const before = watch.newestEpoch;
    const ack = watch.nextLeaderAck(before, pace.withinMs);
    const fromMs = world.note(`SIGSTOP of node ${leader.slot}, which leads`);
    await leader.process.pause();
    const takeoverMs = since(world, { what: 'served again', fromMs, at: await ack });
    await pause(ASLEEP_MS);
    world.note('it wakes');
    leader.process.resume();
    const awakeMs = watch.now();
    await pause(pace.stretchMs);
    // It may tell of what was committed before its sleep; the verdict finds what was not.
    const late = world.clients.history.opens.filter(
      ({ told, endedMs }) =>
        told?.kind === 'claim' && told.fresh && told.epoch <= before && (endedMs ?? 0) > awakeMs,
    );
    await follows(world, leader);
    return () => [
      seconds('stop to the next acknowledged open', takeoverMs, TAKEOVER_WORST_S),
      figure({ name: 'told by the replaced leader', value: late.length, unit: 'opens' }),
    ];
  },
};

const stepDown: Scenario = {
  name: 'step-down',
  summary: 'leadership is handed over on purpose, by turns',
  async run(world, pace) {
    const { watch, cluster } = world;
    const normal = [await stretchOf(world, pace.stretchMs)];
    const hurt: { fromMs: number; toMs: number }[] = [];
    const gaps: (number | null)[] = [];
    for (let turn = 0; turn < pace.times; turn++) {
      const { leader, standby } = world.nodes;
      await follows(world, standby);
      const ack = watch.nextLeaderAck(watch.newestEpoch, pace.withinMs);
      const fromMs = world.note(`step-down of node ${leader.slot}`);
      if (!(await cluster.stepDown(leader))) world.findings.break('the leader did not step down');
      gaps.push(since(world, { what: 'served again', fromMs, at: await ack }));
      await pause(pace.stretchMs / 2);
      hurt.push({ fromMs, toMs: watch.now() });
      await follows(world, leader);
      normal.push(await stretchOf(world, pace.stretchMs / 2));
    }
    return () => [
      // A hand-over may take a moment; it may not fail anybody.
      ...comparison(world, { normal, hurt }).filter(({ name }) => name !== 'p99 against normal'),
      seconds('step-down to the next acknowledged open, worst', Math.max(...gaps.map(Number))),
    ];
  },
};

function cutOne(name: string, direction: Direction): Scenario {
  return {
    name,
    summary: `the link of the leader to one replica is cut (${direction}), by turns`,
    isProxied: true,
    async run(world, pace) {
      return byTurns(world, {
        pace,
        hurt: async () => {
          const { leader } = world.nodes;
          world.note(`cut ${direction}: node ${leader.slot} and a replica`);
          leader.links[HURT]?.cut(direction);
        },
        mend: async () => {
          for (const { links } of world.cluster.nodes) await links[HURT]?.heal();
          await world.untilVotes(HURT, WITHIN_MS);
          await pause(pace.stretchMs / 2);
        },
      });
    },
  };
}

/** What the third replica then holds alone was never promised to anybody, and may be lost with it. */
function cutTwo(args: { name: string; summary: string; losesThird: boolean }): Scenario {
  const { name, summary, losesThird } = args;
  return {
    name,
    summary,
    isProxied: true,
    async run(world, pace) {
      const { watch, cluster } = world;
      await pause(pace.stretchMs);
      const { leader } = world.nodes;
      const before = watch.newestEpoch;
      const ack = watch.nextLeaderAck(before, pace.withinMs);
      const fromMs = world.note(`node ${leader.slot} is cut from two replicas`);
      for (const index of [OTHER, HURT]) leader.links[index]?.cut();
      if (losesThird) {
        await pause(ALONE_MS);
        world.note('the replica that it still reaches is killed');
        await cluster.server(THIRD).kill();
      }
      const takeoverMs = since(world, { what: 'served again', fromMs, at: await ack });
      await pause(pace.stretchMs);
      const late = world.clients.history.opens.filter(
        ({ told, endedMs }) =>
          told?.kind === 'claim' &&
          told.fresh &&
          told.epoch <= before &&
          (endedMs ?? 0) > fromMs + IN_FLIGHT_MS,
      );
      for (const { user } of late) world.findings.break(`${user}: acknowledged without a quorum`);
      world.note('the links are whole again');
      for (const link of leader.links) await link.heal();
      if (losesThird) await cluster.server(THIRD).start();
      await follows(world, leader);
      return () => [
        seconds('cut to the next acknowledged open', takeoverMs),
        figure({
          name: 'acknowledged without a quorum',
          value: late.length,
          unit: 'opens',
          goal: { atMost: 0 },
        }),
      ];
    },
  };
}

const slowOne: Scenario = {
  name: 'replica-delayed',
  summary: 'every round trip to one replica takes 50 ms longer, by turns',
  isProxied: true,
  async run(world, pace) {
    const each = (ms: number): void => {
      for (const { links } of world.cluster.nodes) links[HURT]?.delay(ms);
    };
    return byTurns(world, {
      pace,
      hurt: async () => {
        world.note('50 ms more to one replica');
        each(DELAY_EACH_WAY_MS);
      },
      mend: async () => each(0),
    });
  },
};

export const LEADER_SCENARIOS: readonly Scenario[] = [
  pausedLeader,
  stepDown,
  cutOne('link-cut', 'both'),
  cutOne('link-cut-to-replica', 'to-server'),
  cutOne('link-cut-from-replica', 'to-client'),
  cutTwo({
    name: 'leader-cut-off',
    summary: 'the leader is cut from two replicas, which the standby still reaches',
    losesThird: false,
  }),
  cutTwo({
    name: 'leader-cut-off-third-lost',
    summary: 'the leader is cut from two replicas, and then the third one is killed',
    losesThird: true,
  }),
  slowOne,
];
