import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Figure } from '../../cli.ts';
import { figure } from '../../cli.ts';
import { quantile, rounded } from '../../bench/statistics.ts';
import { pause } from '../member.ts';
import type { SetProof } from './proof.ts';
import { prove } from './proof.ts';
import type { SetSabotage } from './sabotage.ts';
import { TAKEOVER_WORST_S, WITHIN_MS } from './scenario.ts';
import type { SetWorld, Surroundings, WorldOptions } from './world.ts';

/** Rulings 25. */
const TAKEOVER_P50_S = 1;
/** From the last recovery to the next kill: not in the rhythm of the heartbeat. */
const CALM_MS_MIN = 300;
const CALM_MS_SPREAD = 1_200;
const STOCKED_S = 5;

export type LeaderKillOptions = Omit<WorldOptions, Surroundings> & {
  readonly kills: number;
  readonly sabotage: SetSabotage | null;
};

/**
 * Kills the leading node (`kill -9`) under load again and again, starts it as the new standby each
 * time, and holds every answer against the journals of the three replicas.
 */
export function proveLeaderKill(options: LeaderKillOptions): Promise<SetProof> {
  const { kills } = options;
  return prove({
    name: 'leader-kill',
    options: { ...options, isProxied: false, hasSmallDisk: false, hasOldNode: false },
    sabotage: options.sabotage,
    conditions: { kills, kill: 'SIGKILL of the leading set-node; servers stay up' },
    run: (world) => killAgainAndAgain(world, options),
  });
}

/** `kills` times: the figures of it, read when every open is answered. */
export async function killAgainAndAgain(
  world: SetWorld,
  { kills, seed, say }: Pick<LeaderKillOptions, 'kills' | 'seed' | 'say'>,
): Promise<() => Figure[]> {
  const random = new SeededRandom(seed);
  const { watch } = world;
  const gapsMs: number[] = [];
  let failedBefore = 0;
  for (let kill = 1; kill <= kills; kill++) {
    const { leader, standby } = world.nodes;
    if (!(await world.untilStandby(standby, WITHIN_MS))) {
      world.findings.break(`kill ${kill}: there is no standby`);
      break;
    }
    // Without an open that is asked nobody could see how long none is acknowledged.
    if (!(await world.clients.load.untilStocked(STOCKED_S, WITHIN_MS))) {
      world.findings.break(`kill ${kill}: the packets that were sent do not arrive`);
      break;
    }
    await pause(CALM_MS_MIN + random.below(CALM_MS_SPREAD));
    const ack = watch.nextLeaderAck(watch.newestEpoch, WITHIN_MS);
    const fromMs = world.clients.history.recorder.note(`kill ${kill}: node ${leader.slot}`);
    await leader.process.kill();
    const at = await ack;
    if (at === null) {
      world.findings.break(`kill ${kill}: nothing acknowledged for ${WITHIN_MS} ms`);
      break;
    }
    gapsMs.push(at - fromMs);
    await leader.process.start();
    const failed = doubtsOf(world) - failedBefore;
    failedBefore += failed;
    say(
      `kill ${kill}: acknowledged again after ${Math.round(at - fromMs)} ms, ${failed} asked again`,
    );
  }
  return () => {
    const s = (ms: number): number => rounded(ms / 1_000, 3);
    return [
      figure({
        name: 'leaders killed',
        value: gapsMs.length,
        unit: 'kills',
        goal: { atLeast: kills },
      }),
      figure({
        name: 'kill to the next acknowledged open, p50',
        value: s(quantile(gapsMs, 0.5)),
        unit: 's',
        goal: { atMost: TAKEOVER_P50_S },
      }),
      figure({
        name: 'kill to the next acknowledged open, p90',
        value: s(quantile(gapsMs, 0.9)),
        unit: 's',
      }),
      figure({
        name: 'kill to the next acknowledged open, worst',
        value: s(Math.max(0, ...gapsMs)),
        unit: 's',
        goal: { atMost: TAKEOVER_WORST_S },
      }),
      figure({
        name: 'answers that were asked for again',
        value: doubtsOf(world),
        unit: 'answers',
      }),
    ];
  };
}

function doubtsOf(world: SetWorld): number {
  return world.clients.history.opens.reduce((sum, { doubts }) => sum + doubts.length, 0);
}
