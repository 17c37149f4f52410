import { ManualClock } from '../../../lib/adapter/manual-clock.ts';
import { MemoryBus } from '../../../lib/adapter/memory-bus.ts';
import { makeCrypto } from '../../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { lsn, setId } from '../../../lib/core/units.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { ReplicaStore } from '../../../lib/port/replica-store.ts';
import { Engine } from '../../../set-node/lead/engine.ts';
import { schema } from '../../../set-node/read/projection.ts';
import { Publisher } from '../../../set-node/read/publisher.ts';
import type { Stage } from './scene-kit.ts';
import { playAmnesia } from './amnesia.ts';
import { Clients, holdSame } from './clients.ts';
import { holdAtTheEnd } from './final-checks.ts';
import { History } from './history.ts';
import type { Weather } from '../replica-lines.ts';
import { SimNode } from './node.ts';
import { Reads } from './reads.ts';
import { playRelay } from './relay.ts';
import { OTHER_SET, Script } from './script.ts';
import { Site, votes } from '../site.ts';
import { Violation } from '../../../reconciler/audit/violation.ts';
import { Trace, hold } from '../trace.ts';

const SET = setId(1);
const REPLICAS = 3;
const QUORUM = 2;
const CLUSTER = new Uint8Array(16).fill(0xc1);
const KEYS = { seedKey: new Uint8Array(32).fill(1), clusterSecret: new Uint8Array(32).fill(2) };
const CALM: Weather = { lostRequest: 0, lostAnswer: 0, late: 0, slow: 0, disorderly: false };
const STEPS = 45;
const LIVENESS_MS = 60_000;
const REASKED = 6;
const TAKEOVER_MS = 8_000;
/** One walk in four is a scene about one restart (amnesia.ts), one about a relay of leaders. */
const KINDS = 4;
const AMNESIA_KIND = 3;
const RELAY_KIND = 1;

export type WalkResult = {
  readonly violation: string | null;
  readonly hash: string;
  readonly lines: readonly string[];
  readonly counts: {
    readonly entries: number;
    readonly answers: number;
    readonly epochs: number;
    readonly alarms: number;
    readonly faults: number;
    readonly simulatedMs: number;
  };
};

/** One random walk of one seed: a Set, its replicas, two nodes, clients and every trouble we know. */
export async function walk(seed: number): Promise<WalkResult> {
  const walking = new Walk(seed);
  let violation: string | null = null;
  try {
    await walking.run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  }
  return walking.result(violation);
}

class Walk {
  readonly #clock = new ManualClock();
  readonly #chance: SeededRandom;
  readonly #trace = new Trace(() => this.#clock.monotonicMs());
  readonly #history = new History(this.#trace);
  readonly #crypto = makeCrypto(KEYS);
  readonly #sites: Site[];
  readonly #clients: Clients;
  readonly #script: Script;
  readonly #reads: Reads;
  /** The scene that this walk plays; null: random trouble. */
  readonly #scene: number | null;
  readonly #kind: number;
  #weather: Weather;
  #nodes: SimNode[] = [];
  #started = 0;
  #alarms = 0;
  #faults = 0;
  /** Nodes watch each other's beats, and do not rise while there are some. */
  readonly #standby: boolean;
  /** Until then a takeover that began before the last damage may still be under way. */
  #excuseMs = 0;

  constructor(seed: number) {
    const chance = new SeededRandom(seed);
    const trace = this.#trace;
    const history = this.#history;
    const clock = this.#clock;
    this.#chance = chance;
    this.#sites = Array.from(
      { length: REPLICAS },
      (_, replica) => new Site({ replica, setId: SET, schema, clock, history, trace }),
    );
    this.#clients = new Clients({ clock, chance, trace, history });
    this.#script = new Script({ clients: this.#clients, chance, clock, crypto: this.#crypto });
    const upTo = (most: number): number => (chance.below(3) === 0 ? 0 : chance.below(most));
    this.#weather = {
      lostRequest: upTo(60),
      lostAnswer: upTo(60),
      late: upTo(60),
      slow: upTo(200),
      disorderly: chance.below(2) === 0,
    };
    this.#standby = chance.below(2) === 0;
    const own = new SeededRandom(seed ^ 0x5eed);
    this.#reads = new Reads({ chance: own, trace, history, clients: this.#clients });
    this.#kind = seed % KINDS;
    const isScene = this.#kind === AMNESIA_KIND || this.#kind === RELAY_KIND;
    this.#scene = isScene ? Math.floor(seed / KINDS) : null;
    if (this.#scene !== null) {
      // Scenes are short and sharp: chance has a part in them only now and then.
      this.#standby = false;
      if (chance.below(3) > 0) this.#weather = CALM;
    }
  }

  result(violation: string | null): WalkResult {
    const { lines } = this.#trace;
    const answers = this.#clients.wishes.reduce((sum, wish) => sum + wish.answers.length, 0);
    const entries = this.#history.committed.length;
    const epochs = new Set(this.#sites[0]?.journal.map(({ epoch }) => epoch)).size;
    return {
      violation,
      hash: this.#trace.hash(),
      lines,
      counts: {
        entries,
        answers,
        epochs,
        alarms: this.#alarms,
        faults: this.#faults,
        simulatedMs: this.#clock.monotonicMs(),
      },
    };
  }

  async run(): Promise<void> {
    for (const { store, replica } of this.#sites) {
      await store.bootstrap({ clusterId: CLUSTER, replicaId: replica, replicas: REPLICAS });
    }
    this.#startNode(0);
    try {
      await this.#pass(100);
      if (this.#scene === null) await this.#troubles();
      else if (!(await this.#play(this.#scene))) return;
      await this.#calm();
      await this.#askAgain();
      const journals = await this.#journals();
      const { wishes } = this.#clients;
      holdAtTheEnd({ journals, history: this.#history, wishes });
    } finally {
      for (const node of this.#nodes) node.kill();
      await this.#clock.advanceSettled(3_000);
    }
  }

  async #troubles(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      await this.#trouble();
      this.#script.step();
      this.#script.step();
      await this.#pass(50 + this.#chance.below(500));
    }
  }

  /** false: nobody must be able to go on after it, until an operator signs. */
  async #play(scene: number): Promise<boolean> {
    const stage = this.#stage();
    if (this.#kind === AMNESIA_KIND) return playAmnesia(stage, scene);
    await playRelay(stage, scene);
    return true;
  }

  #stage(): Stage {
    return {
      sites: this.#sites,
      chance: this.#chance,
      clock: this.#clock,
      history: this.#history,
      note: (line) => {
        this.#faults += 1;
        this.#trace.note(line);
      },
      nodes: () => this.#nodes,
      start: (slot) => this.#startNode(slot),
      kill: (node) => this.#kill(node, 'kill'),
      wish: () => this.#script.step(),
      pass: (ms) => this.#pass(ms),
      damaged: () => {
        this.#excuseMs = this.#clock.monotonicMs() + TAKEOVER_MS;
      },
    };
  }

  // ---- time

  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.#clients.ask(this.#nodes);
      this.#reads.ask(this.#nodes);
      await this.#clock.advanceSettled(Math.min(50, left));
      if (this.#trace.broken !== null) throw this.#trace.broken;
    }
  }

  async #until(rule: string, done: () => boolean | Promise<boolean>): Promise<void> {
    const end = this.#clock.monotonicMs() + LIVENESS_MS;
    while (!(await done())) {
      hold(this.#clock.monotonicMs() < end, `liveness: ${rule}`);
      await this.#pass(250);
    }
  }

  // ---- nodes

  #startNode(slot: number): SimNode {
    const name = `n${slot}.${this.#started++}`;
    const random = new SeededRandom(this.#chance.below(2 ** 31));
    this.#trace.note(`start ${name}`);
    const node = new SimNode({
      name,
      slot,
      clock: this.#clock,
      chance: this.#chance,
      trace: this.#trace,
      sites: this.#sites,
      weather: () => this.#weather,
      makeEngine: (clock, replicas) => this.#engine({ name, slot, clock, random, replicas }),
    });
    this.#nodes = [...this.#nodes.filter(({ dead }) => !dead), node];
    node.engine.start();
    return node;
  }

  #engine(args: {
    name: string;
    slot: number;
    clock: Clock;
    random: SeededRandom;
    replicas: readonly ReplicaStore[];
  }): Engine {
    const { name, slot, clock, random, replicas } = args;
    const trace = this.#trace;
    const note = (event: string, fields: unknown = {}): void => {
      trace.note(`${name} ${event} ${JSON.stringify(fields)}`);
      // Rules of the code under test itself. A takeover may trip over a disk that goes meanwhile.
      const excused = event === 'takeover_bug' && this.#clock.monotonicMs() < this.#excuseMs;
      const bug = event === 'takeover_bug' || event === 'set_poisoned' || event === 'set_refused';
      if (bug && !excused) trace.guard(() => hold(false, `${event} ${JSON.stringify(fields)}`));
      if (event === 'replica_amnesia') this.#holdAmnesia(fields);
    };
    const log = { info: note, warn: note, error: note };
    return new Engine({
      setId: SET,
      replicas,
      quorum: QUORUM,
      clock,
      random,
      crypto: this.#crypto,
      bus: new MemoryBus({ clock, log }),
      log,
      publisher: new Publisher(),
      homeOf: () => OTHER_SET,
      snapshotElsewhere: null,
      nodeSlot: slot,
      standby: this.#standby,
      configuration: {
        type: 'set.configure',
        clusterId: CLUSTER,
        replicas: REPLICAS,
        quorum: QUORUM,
        rules: 1,
        slots: new Uint8Array(128).fill(0xff),
      },
    });
  }

  /** Rulings 6: no alarm for a disk that nobody set back. */
  #holdAmnesia(fields: unknown): void {
    const { replica } = fields as { replica: number };
    const damage = this.#sites[replica]?.damage;
    const wrong = `false alarm: replica ${replica} is ${damage}`;
    const isTrue = damage !== undefined && damage !== 'none';
    this.#trace.guard(() => hold(isTrue, wrong));
    this.#alarms += 1;
  }

  #kill(node: SimNode, how: string): void {
    this.#trace.note(`${how} ${node.name}`);
    node.kill();
    this.#nodes = this.#nodes.filter(({ dead }) => !dead);
  }

  #replace(node: SimNode): void {
    const slot = 1 - node.slot;
    for (const other of this.#nodes) if (other.slot === slot) this.#kill(other, 'kill');
    this.#startNode(slot);
  }

  // ---- trouble

  async #trouble(): Promise<void> {
    for (const node of this.#nodes) {
      if (!node.paused || this.#chance.below(3) > 0) continue;
      this.#trace.note(`wake ${node.name}`);
      node.resume();
    }
    if (this.#nodes.length === 0) {
      this.#startNode(this.#chance.below(2));
      return;
    }
    // Two that both want to lead only fence each other: one of them goes after a while.
    const [older] = this.#nodes;
    if (this.#nodes.length > 1 && older !== undefined && this.#chance.below(4) === 0)
      return this.#kill(older, 'kill');
    if (this.#chance.below(5) > 1) return;
    this.#faults += 1;
    const node = this.#nodes[this.#chance.below(this.#nodes.length)];
    if (node === undefined) return;
    switch (this.#chance.below(13)) {
      case 0:
        return this.#isolate(node, 1);
      case 1:
        // Bias: what this leader seals reaches one replica only, until somebody else takes over.
        this.#isolate(node, 2);
        if (this.#chance.below(2) === 0) await this.#pass(100 + this.#chance.below(400));
        return this.#replace(node);
      case 2:
        this.#trace.note(`pause ${node.name}`);
        node.pause();
        if (this.#chance.below(2) === 0) this.#replace(node);
        return;
      case 3:
        return this.#kill(node, 'kill');
      case 4:
        return this.#stop(node);
      case 5:
        return this.#replace(node);
      case 6:
        return this.#restart();
      case 7:
        return this.#freeze();
      case 8:
        this.#trace.note(`nobody hears the beats of ${node.name}`);
        return node.numb(1_000 + this.#chance.below(3_000));
      case 9:
      case 10:
        return this.#revert();
      default:
        return this.#damage();
    }
  }

  #isolate(node: SimNode, count: number): void {
    const ms = 300 + this.#chance.below(3_500);
    const from = this.#chance.below(REPLICAS);
    for (let at = 0; at < count; at++) {
      const replica = (from + at) % REPLICAS;
      this.#trace.note(`cut ${node.name} from replica ${replica} for ${ms} ms`);
      node.cut(replica, ms);
    }
  }

  #stop(node: SimNode): void {
    if (node.paused) return;
    this.#trace.note(`stop ${node.name}`);
    void node.engine.stop();
    this.#clock.after(3_000, () => node.dead || this.#kill(node, 'gone'));
  }

  /** One server restarts, or all three at once; beside a lost disk nobody does (rulings 6). */
  #restart(): void {
    if (this.#sites.some(({ damage }) => damage === 'wiped')) return;
    const all = this.#chance.below(4) === 0;
    const one = this.#chance.below(REPLICAS);
    for (const site of this.#sites) {
      if (!all && site.replica !== one) continue;
      this.#trace.note(`restart replica ${site.replica}`);
      site.restart();
    }
  }

  /** One server stops, or two: then nobody has a quorum. */
  #freeze(): void {
    const from = this.#chance.below(REPLICAS);
    const count = 1 + Number(this.#chance.below(4) === 0);
    for (let at = 0; at < count; at++) {
      const site = this.#sites[(from + at) % REPLICAS];
      const ms = 300 + this.#chance.below(4_000);
      this.#trace.note(`replica ${site?.replica} stops for ${ms} ms`);
      site?.freeze(this.#clock, ms);
    }
  }

  async #revert(): Promise<void> {
    const site = this.#sites[this.#chance.below(REPLICAS)];
    if (site === undefined || this.#sites.some(({ damage }) => damage !== 'none')) return;
    if (!site.revert(this.#sites.filter((other) => other !== site))) return site.keepCopy();
    this.#trace.note(`replica ${site.replica} is set back with its memory`);
    const [best] = this.#sites
      .filter((other) => other !== site)
      .toSorted((a, b) => b.journal.length - a.journal.length);
    // Bias: the replica that has the most is away, and somebody else takes over.
    if (this.#chance.below(2) === 0) best?.freeze(this.#clock, 2_000 + this.#chance.below(3_000));
    const [node] = this.#nodes;
    if (node !== undefined && this.#chance.below(2) === 0) this.#replace(node);
    this.#excuseMs = this.#clock.monotonicMs() + TAKEOVER_MS;
  }

  /** At most one disk is damaged at a time, and a lost one only beside two with a vote. */
  async #damage(): Promise<void> {
    const excuseMs = this.#clock.monotonicMs() + TAKEOVER_MS;
    const site = this.#sites[this.#chance.below(REPLICAS)];
    if (site === undefined) return;
    if (this.#chance.below(2) === 0 || this.#sites.some(({ damage }) => damage !== 'none'))
      return site.keepCopy();
    if (this.#chance.below(2) === 0) {
      if (!site.restoreCopy((count) => this.#chance.below(count))) return;
      this.#trace.note(`replica ${site.replica} comes back with an old disk`);
      this.#excuseMs = excuseMs;
      return;
    }
    for (const other of this.#sites)
      if (other !== site && !(await votes(other, this.#sites))) return;
    this.#trace.note(`replica ${site.replica} comes back with an empty disk`);
    site.wipe();
    this.#excuseMs = excuseMs;
  }

  // ---- the end

  /** Faults stop: one node leads, everybody is answered, all replicas are equal, in 60 s. */
  async #calm(): Promise<void> {
    this.#trace.note('faults stop');
    this.#weather = CALM;
    for (const node of this.#nodes) this.#kill(node, 'kill');
    this.#startNode(this.#chance.below(2));
    await this.#until('one node leads', () => this.#nodes[0]?.leads === true);
    await this.#until('every command is answered', () => this.#clients.open === 0);
    await this.#until('three journals are identical', () => this.#equal());
  }

  async #equal(): Promise<boolean> {
    const heads = this.#sites.map(({ journal }) => journal.at(-1));
    const [head] = heads;
    if (head === undefined || this.#history.committed.length !== head.lsn) return false;
    if (heads.some((other) => other === undefined || Buffer.compare(other.sum, head.sum) !== 0))
      return false;
    for (const site of this.#sites) if (!(await votes(site, this.#sites))) return false;
    return true;
  }

  /** M9: some of those who were told yes ask again. */
  async #askAgain(): Promise<void> {
    const [node] = this.#nodes;
    const asked = this.#clients.wishes.filter(
      ({ command: { type }, answers }) =>
        (type === 'message.send' || type === 'packet.open' || type === 'transfer.deliver') &&
        answers[0]?.outcome.status === 'ok',
    );
    const some = asked.filter((_, at) => at % Math.ceil(asked.length / REASKED) === 0);
    for (const wish of some) if (node !== undefined) this.#clients.send(wish, node);
    await this.#until('a repeat is answered', () => some.every((wish) => wish.answers.length > 1));
    for (const wish of some) {
      const [first] = wish.answers;
      const last = wish.answers.at(-1);
      if (first !== undefined && last !== undefined) holdSame(wish, first, last);
    }
    await this.#until('three journals are identical again', () => this.#equal());
  }

  async #journals(): Promise<Entry[][]> {
    return Promise.all(
      this.#sites.map(async ({ disk }) => {
        const journal: Entry[] = [];
        for (;;) {
          const more = await disk.read({ after: lsn(journal.length), limitBytes: 2 ** 30 });
          if (more.length === 0) return journal;
          journal.push(...more);
        }
      }),
    );
  }
}
