import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeJsonLog } from '../../../lib/adapter/json-log.ts';
import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { SystemClock } from '../../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../../lib/adapter/system-random.ts';
import { openSetNode } from '../../../lib/runtime/grpc.ts';
import type { TopologyRouter } from '../../../router/router.ts';
import { createRouter } from '../../../router/router.ts';
import type { Rig } from '../../rig/rig.ts';
import { Findings } from '../findings.ts';
import { pause } from '../member.ts';
import { Chaos } from './chaos.ts';
import type { MoneyClusterOptions, SetPlace } from './cluster.ts';
import { MoneyCluster } from './cluster.ts';
import type { CrowdOptions } from './crowd.ts';
import { CpuWatch } from './cpu.ts';
import { Crowd } from './crowd.ts';
import { Gauges } from './gauges.ts';
import type { Balance } from './history.ts';
import { History } from './history.ts';
import { Load } from './load.ts';
import type { Fault } from './plan.ts';
import type { Lifetimes } from './terms.ts';

/** Once faults stop, three replicas are identical within this. */
const HEALED_WITHIN_MS = 60_000;
/** Waited for at most; the goal is half of it. */
const EMPTY_WITHIN_MS = 60_000;
/** The last packets end by themselves, and their rests go back. */
const ENDED_WITHIN_MS = 90_000;
const LOOK_MS = 50;
/** Enough to find a pattern, few enough to be quick. */
const ASKED_AGAIN_MAX = 5_000;

export type WorldOptions = Omit<MoneyClusterOptions, 'rig'> & {
  readonly crowd: CrowdOptions;
  readonly ratePerS: number;
  readonly lifetimes: Lifetimes;
  readonly seed: number;
  readonly say: (line: string) => void;
};

/** What the end of a run came to. */
export type Ending = {
  /** From the last fault until no outbox of any Set held anything, ms; null: not in time. */
  readonly emptyMs: number | null;
  /** ...until every replica of every Set was the same, ms; null: not in time. */
  readonly equalMs: number | null;
  readonly askedAgain: number;
  readonly last: readonly Balance[];
};

/** A small installation under load: what is hurt, and what is judged afterwards. */
export class MoneyWorld {
  readonly rig: Rig;
  readonly cluster: MoneyCluster;
  readonly history: History;
  readonly crowd: Crowd;
  readonly load: Load;
  readonly chaos: Chaos;
  readonly gauges: Gauges;
  readonly cpu: CpuWatch;
  readonly findings = new Findings();
  readonly #router: TopologyRouter;

  private constructor(args: { options: WorldOptions; rig: Rig; cluster: MoneyCluster }) {
    const { options, rig, cluster } = args;
    const { findings } = this;
    this.rig = rig;
    this.cluster = cluster;
    const history = new History({ welcomeCents: options.welcomeCents });
    this.history = history;
    const random = new SeededRandom(options.seed);
    this.crowd = new Crowd({ options: options.crowd, doors: cluster.access, history, random });
    const { ratePerS, lifetimes } = options;
    this.load = new Load({ crowd: this.crowd, random, ratePerS, lifetimes });
    this.chaos = new Chaos({ cluster, history, findings, say: options.say });
    this.gauges = new Gauges(cluster.reconcilers);
    this.cpu = new CpuWatch(cluster.byTier);
    const clock = new SystemClock();
    const file = join(rig.dir, 'observer.log');
    this.#router = createRouter({
      topology: cluster.topology,
      clock,
      random: new SystemRandom(),
      log: makeJsonLog({ clock, write: (line) => appendFileSync(file, line) }),
      connect: openSetNode,
    });
  }

  /** Everything runs, everybody is in his groups, and opens come at their rate. */
  static async start(options: WorldOptions, rig: Rig): Promise<MoneyWorld> {
    const cluster = await MoneyCluster.start({ ...options, rig });
    const world = new MoneyWorld({ options, rig, cluster });
    await world.crowd.gather();
    await world.load.start();
    return world;
  }

  /** Hurts by plan; when this resolves, the last fault is mended. */
  async hurt(plan: readonly Fault[]): Promise<void> {
    await this.chaos.run(plan);
    await this.cluster.heal();
  }

  /** No more opens: waits for every answer, every cent and every replica, and stops all tiers. */
  async end(): Promise<Ending> {
    const { cluster, findings, history, load } = this;
    const wellMs = history.now();
    await load.end();
    for (const failure of load.failures) findings.break(failure);
    const emptyMs = await this.#until(
      EMPTY_WITHIN_MS,
      async () => (await this.#owed()).pending === 0,
    );
    if (emptyMs === null) findings.break(`outboxes are not empty after ${EMPTY_WITHIN_MS} ms`);
    const sinceMs = emptyMs === null ? null : history.now() - wellMs;
    const ended = await this.#until(ENDED_WITHIN_MS, async () => {
      const { pending, live } = await this.#owed();
      return pending === 0 && live === 0;
    });
    if (ended === null) findings.break('there are packets that do not end');
    const equalMs = await this.#untilEqual();
    // Who cannot serve would let everybody wait; it is a finding already.
    const isWell = emptyMs !== null && ended !== null && equalMs !== null;
    const askedAgain = isWell ? await load.askAgain(ASKED_AGAIN_MAX) : 0;
    const last = isWell ? await load.askEverybody() : [];
    await this.#untilEqual();
    await this.gauges.stop();
    await this.cpu.stop();
    for (const alarm of this.gauges.alarms) findings.break(`the running audit cries: ${alarm}`);
    this.crowd.close();
    await this.#router.close();
    await cluster.stopTiers();
    return { emptyMs: sinceMs, equalMs, askedAgain, last };
  }

  /** Leaves nothing running. */
  async abandon(): Promise<void> {
    this.crowd.close();
    await this.gauges.stop();
    await this.cpu.stop();
    await this.#router.close();
    await this.rig.close();
  }

  /** Over all Sets: transfers without a receipt and packets that have not ended; NaN: no answer. */
  async #owed(): Promise<{ pending: number; live: number }> {
    const router = this.#router;
    const answers = await Promise.all(
      this.cluster.sets.map(({ id }) => router.query(id, { money: {} })),
    );
    let [pending, live] = [0, 0];
    for (const { reply } of answers) {
      pending += reply?.money?.pendingTransfers ?? Number.NaN;
      live += reply?.money?.livePackets ?? Number.NaN;
    }
    return { pending, live };
  }

  /** Three replicas of each Set with a vote, one head, and projections that have reached it. */
  async #untilEqual(): Promise<number | null> {
    const isEqual = async (set: SetPlace): Promise<boolean> => {
      const votes = await this.cluster.votes(set);
      const heads = new Set(votes.map((vote) => vote?.headLsn ?? null));
      const areThere = votes.every((vote) => vote?.isVoter && vote.projectedLsn === vote.headLsn);
      return areThere && heads.size === 1;
    };
    const tookMs = await this.#until(HEALED_WITHIN_MS, async () => {
      const all = await Promise.all(this.cluster.sets.map(isEqual));
      return all.every(Boolean);
    });
    if (tookMs === null) this.findings.break(`replicas differ after ${HEALED_WITHIN_MS} ms`);
    return tookMs;
  }

  /** How long it took, ms; null when it took too long. */
  async #until(withinMs: number, isSo: () => Promise<boolean>): Promise<number | null> {
    const startMs = performance.now();
    while (!(await isSo())) {
      if (performance.now() - startMs > withinMs) return null;
      await pause(LOOK_MS);
    }
    return performance.now() - startMs;
  }
}
