import { Tokens } from '../../../access/tokens.ts';
import { ManualClock } from '../../../lib/adapter/manual-clock.ts';
import { makeCrypto } from '../../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { SetId } from '../../../lib/core/units.ts';
import { setId } from '../../../lib/core/units.ts';
import { firstTopology } from '../../../router/topology.ts';
import { Violation } from '../../../reconciler/audit/violation.ts';
import { Trace, hold } from '../trace.ts';
import { Cluster } from './cluster.ts';
import { Judge } from './judge.ts';
import { People } from './people.ts';
import { Operator } from './operator.ts';
import type { Shared } from './shared.ts';
import { SharedBus } from '../sim-bus.ts';
import { SharedCache } from '../sim-cache.ts';
import { SharedGateway } from '../sim-gateway.ts';
import { SimNetwork } from '../network.ts';
import type { SimResult } from '../simulate.ts';
import { NODES, addressOf } from './sim-set.ts';
import { nothingTold } from './told.ts';
import { Trouble } from './trouble.ts';
import { drawSky } from './sky.ts';

const SETS = [setId(1), setId(2), setId(3)];
const USERS = 16;
const HOUR_MS = 3_600_000;
/** Packets live at most a day: by then all of them have ended. */
const HOURS = 26;
const STEP_MS = 50;
const OPS = 2_000;
/** A step of trouble takes half of this to one and a half. */
const BREATH_MS = 1_000;
const COMMANDS_A_BREATH = 85;
const KEYS = { seedKey: new Uint8Array(32).fill(1), clusterSecret: new Uint8Array(32).fill(2) };
const TOKEN_SECRET = new Uint8Array(32).fill(3);
const CLUSTER_ID = 'c1'.repeat(16);
/** replication.md, "Liveness once faults stop", and how long until somebody leads again. */
const LED_WITHIN_MS = 10_000;
const ANSWERED_WITHIN_MS = 10_000;
const SETTLED_WITHIN_MS = 30_000;
const EQUAL_WITHIN_MS = 60_000;
/** Nobody at the gateway takes longer than seconds then; who asks it may wait a minute in between. */
const PAID_WITHIN_MS = 60_000;
/** The same of payments, which people take minutes for; and a look, a question, a command. */
const HEARD_WITHIN_MS = 70_000;
const AUDITED_WITHIN_MS = 30_000;
/** How often tables are compared: each look reads all of them. */
const LOOK_EVERY = 16;

export type WholeOptions = {
  readonly seed: number;
  /** Commands of people; default 2,000. */
  readonly ops?: number;
};

/** One walk through a whole Hongbao: three Sets, every tier, people, and everything that goes wrong. */
export async function walkWhole(options: WholeOptions): Promise<SimResult> {
  const walk = new Walk(options);
  let violation: string | null = null;
  try {
    await walk.run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  }
  return walk.result(violation);
}

class Walk {
  readonly #options: WholeOptions;
  readonly #clock = new ManualClock(undefined, { isolated: true });
  readonly #startedAt = this.#clock.now();
  readonly #chance: SeededRandom;
  readonly #trace = new Trace(() => this.#clock.monotonicMs());
  readonly #sky: ReturnType<typeof drawSky>;
  readonly #cluster: Cluster;
  readonly #judge: Judge;
  readonly #people: People;
  readonly #trouble: Trouble;
  readonly #payments: SharedGateway;
  readonly #operator: Operator;
  readonly #ops: number;
  #takeovers = 0;

  constructor(options: WholeOptions) {
    const chance = new SeededRandom(options.seed);
    const clock = this.#clock;
    const trace = this.#trace;
    this.#options = options;
    this.#chance = chance;
    this.#ops = options.ops ?? OPS;
    const sky = drawSky(chance);
    this.#sky = sky;
    const world = { clock, chance, trace };
    const topology = firstTopology({
      clusterId: CLUSTER_ID,
      sets: SETS.map((id) => ({
        id,
        state: 'active',
        weight: 1,
        region: 'local',
        nodes: Array.from({ length: NODES }, (_, slot) => ({
          primary: addressOf(id, slot),
          backup: '',
        })),
        replicas: [],
      })),
    });
    const network = new SimNetwork({ ...world, weather: () => sky.network });
    const cache = new SharedCache({ ...world, weather: () => sky.cache });
    const payments = new SharedGateway({
      ...world,
      told: (payment) => this.#judge.gatewayTold(payment),
      weather: () => sky.payments,
      doors: () => this.#cluster.access,
    });
    this.#payments = payments;
    const shared: Shared = {
      ...world,
      crypto: makeCrypto(KEYS),
      topology,
      network,
      bus: new SharedBus({ ...world, weather: () => sky.bus }),
      cache,
      payments,
      weather: () => sky.lines,
      sockets: () => sky.sockets,
      onLog: (process, event, fields) => this.#hear(process, event, fields),
    };
    const tokens = new Tokens(TOKEN_SECRET);
    const told = nothingTold();
    this.#judge = new Judge({
      sets: SETS,
      trace,
      told,
      isShown: (packetId) => this.#people.isShown(packetId),
    });
    this.#cluster = new Cluster({
      shared,
      tokens,
      onCommitted: (set, entry) => this.#judge.committed(set, entry),
    });
    this.#people = new People({
      ...world,
      gateways: () => this.#cluster.access.map(({ gateway }) => gateway),
      tokens,
      users: USERS,
      commandsMax: this.#ops,
      ticks: Math.floor((this.#breaths * BREATH_MS) / STEP_MS),
      told,
    });
    this.#trouble = new Trouble({ ...world, cluster: this.#cluster, network, cache, payments });
    this.#operator = new Operator(shared, this.#people.users);
  }

  result(violation: string | null): SimResult {
    const { seed } = this.#options;
    return {
      world: 'whole',
      seed,
      violation,
      hash: this.#trace.hash(),
      lines: this.#trace.lines,
      totals: {
        commands: this.#people.totals.commands,
        faults: this.#trouble.count,
        takeovers: this.#takeovers,
        refunds: this.#judge.refunds,
        simulatedMs: this.#clock.now() - this.#startedAt,
      },
    };
  }

  async run(): Promise<void> {
    try {
      await this.#cluster.start();
      await this.#pass(1_000);
      await this.#safety();
      await this.#liveness();
    } finally {
      this.#people.leave();
      this.#cluster.end();
      this.#operator.process.kill();
      await this.#clock.advanceSettled(5_000);
    }
  }

  get #breaths(): number {
    return Math.ceil(this.#ops / COMMANDS_A_BREATH);
  }

  get #commandsLeft(): number {
    return this.#ops - this.#people.totals.commands;
  }

  // ---- the two phases

  async #safety(): Promise<void> {
    const breaths = this.#breaths;
    const nights = new Set(
      Array.from({ length: this.#chance.below(4) }, () => this.#chance.below(breaths)),
    );
    for (let breath = 0; breath < breaths || this.#commandsLeft > 0; breath++) {
      // Where people have fallen far behind, trouble grows rare and then ends: walks are of one length.
      const isLate = breath >= breaths;
      const strikes = !isLate || (breath < 2 * breaths && this.#chance.below(4) === 0);
      if (strikes) await this.#trouble.strike();
      await this.#pass(BREATH_MS / 2 + this.#chance.below(BREATH_MS));
      if (nights.has(breath)) await this.#night([600_000, HOUR_MS, 5 * HOUR_MS, 25 * HOUR_MS]);
      if (breath % LOOK_EVERY === 0) await this.#judge.compareTables(this.#cluster.sets);
      hold(breath < 4 * breaths, 'liveness: people got no further while things went wrong');
    }
  }

  /** Faults stop: all is answered, every cent arrives, and all replicas are the same. */
  async #liveness(): Promise<void> {
    this.#trace.note('faults stop');
    this.#trouble.end();
    this.#sky.clear();
    this.#cluster.heal();
    await this.#until('one node leads each Set', LED_WITHIN_MS, () =>
      this.#cluster.sets.every(({ leaders }) => leaders.length === 1),
    );
    this.#people.settle();
    this.#operator.settle();
    await this.#until('every command is answered', ANSWERED_WITHIN_MS, () => this.#people.settled);
    await this.#until('nobody is frozen', ANSWERED_WITHIN_MS, () => this.#operator.settled);
    await this.#until('outboxes are empty', SETTLED_WITHIN_MS, () => this.#judge.isSettled);
    await this.#until('withdrawals have ended', PAID_WITHIN_MS, () => this.#judge.arePaidOut);
    // A packet that is paid in the evening would live through the night.
    await this.#until('payers have paid', PAID_WITHIN_MS, () => this.#payments.isQuiet);
    await this.#untilNot('what the gateway says is heard', HEARD_WITHIN_MS, () =>
      this.#judge.whyNotHeard(this.#payments.records()),
    );
    await this.#until('paid packets arrive', SETTLED_WITHIN_MS, () => this.#judge.isSettled);
    const left = HOURS * HOUR_MS - (this.#clock.now() - this.#startedAt);
    await this.#night([Math.max(left, 25 * HOUR_MS)]);
    await this.#untilNot('payments are as the gateway says', PAID_WITHIN_MS, () =>
      this.#judge.whyNotPaid(this.#payments.records()),
    );
    await this.#until('every packet has ended', SETTLED_WITHIN_MS, () => this.#judge.allEnded);
    await this.#until('refunds arrive', SETTLED_WITHIN_MS, () => this.#judge.isSettled);
    await this.#untilNot('three replicas are identical', EQUAL_WITHIN_MS, () =>
      this.#whyNotWhole(),
    );
    await this.#untilNot('the audit has seen all', AUDITED_WITHIN_MS, () => this.#whyNotAudited());
    this.#trace.note('all is quiet');
    const { done: hands } = this.#operator;
    await this.#judge.finish(this.#cluster.sets, { records: this.#payments.records(), hands });
  }

  /** One of the reconcilers audits; which, they decide among themselves. */
  #whyNotAudited(): string | null {
    const auditors = this.#cluster.couriers.flatMap(({ auditor }) => auditor ?? []);
    if (auditors.length === 0) return null;
    const far = (set: SetId): number => Math.max(...auditors.map((each) => each.lsnOf(set)));
    const behind = SETS.find((set) => far(set) < this.#judge.lsnOf(set));
    if (behind === undefined) return null;
    return `Set ${behind} is audited up to ${far(behind)} of ${this.#judge.lsnOf(behind)}`;
  }

  async #whyNotWhole(): Promise<string | null> {
    for (const set of this.#cluster.sets) {
      const why = await set.whyNotWhole();
      if (why !== null) return why;
    }
    return null;
  }

  /** Every machine sleeps, and hours have passed when they wake: log time leaps, leases end. */
  async #night(lengthsMs: readonly number[]): Promise<void> {
    const ms = lengthsMs[this.#chance.below(lengthsMs.length)] ?? HOUR_MS;
    this.#trace.note(`${(ms / HOUR_MS).toFixed(1)} hours pass while everything sleeps`);
    this.#clock.jump(ms);
    await this.#pass(1_000);
  }

  // ---- time

  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.#people.tick();
      this.#operator.tick();
      await this.#clock.advanceSettled(Math.min(STEP_MS, left));
      this.#judge.hear();
      if (this.#trace.broken !== null) throw this.#trace.broken;
    }
  }

  /** As {@link #until}, and the trace says what is missing. */
  async #untilNot(
    what: string,
    withinMs: number,
    whyNot: () => string | null | Promise<string | null>,
  ): Promise<void> {
    let why: string | null = null;
    await this.#until(what, withinMs, async () => {
      const now = await whyNot();
      if (now !== why && now !== null) this.#trace.note(`not yet: ${now}`);
      why = now;
      return why === null;
    });
  }

  async #until(
    what: string,
    withinMs: number,
    done: () => boolean | Promise<boolean>,
  ): Promise<void> {
    const end = this.#clock.monotonicMs() + withinMs;
    while (!(await done())) {
      const late = `liveness: ${what} within ${withinMs / 1_000} s`;
      if (this.#clock.monotonicMs() >= end) this.#trace.note(`VIOLATION ${late}`);
      hold(this.#clock.monotonicMs() < end, late);
      await this.#pass(250);
    }
  }

  /** What processes write down of themselves: some lines may never be written. */
  #hear(process: string, event: string, fields: unknown): void {
    if (event === 'set_leading') this.#takeovers += 1;
    const excused = ON_DAMAGE.has(event) && this.#trouble.isExcused;
    if (!NEVER.has(event) || excused) return;
    this.#trace.guard(() => hold(false, `${event} ${process} ${JSON.stringify(fields)}`));
  }
}

/** What a node may meet on a disk that was lost or set back under it a moment ago. */
const ON_DAMAGE = new Set(['takeover_bug', 'follow_broken', 'journal_corrupt']);
/** Events that only a bug writes. */
const NEVER = new Set([
  'takeover_bug',
  'set_poisoned',
  'set_refused',
  'money_mismatch',
  'lane_stuck',
  'follow_broken',
  'projection_bug',
  'query_failed',
  'journal_corrupt',
  'access.handler_failed',
  'access.event_failed',
  'access.grant_unreadable',
  'transfer_unreadable',
  'access.wrong_outcome',
  'access.wrong_answer',
  'audit_violation',
  'audit_checkpoint_foreign',
  'audit_checkpoint_damaged',
  'payment_stuck',
  'checkout_conflict',
]);
