import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { ManualClock } from '../../../lib/adapter/manual-clock.ts';
import type { SimNetwork } from '../network.ts';
import type { SimProcess } from '../process.ts';
import type { SharedCache } from '../sim-cache.ts';
import type { SharedGateway } from '../sim-gateway.ts';
import { votes } from '../site.ts';
import type { Trace } from '../trace.ts';
import type { Cluster } from './cluster.ts';
import { NODES, REPLICAS } from './sim-set.ts';
import type { SetNode, SimSet } from './sim-set.ts';

const DAY_MS = 24 * 3_600_000;
/** A takeover that began before the last damage may trip over it for so long. */
const TAKEOVER_MS = 8_000;
const DRAWS = 4;
const KINDS = [
  'node.kill',
  'node.pause',
  'node.stop',
  'storm',
  'step-down',
  'lines',
  'numb',
  'server.restart',
  'server.freeze',
  'server.full',
  'server.old',
  'server.wipe',
  'access.kill',
  'access.pause',
  'couriers.kill',
  'couriers.pause',
  'network.cut',
  'network.reset',
  'clock',
  'cache',
  'gateway',
] as const;
type Kind = (typeof KINDS)[number];

/** Everything that goes wrong in the safety phase of one walk, drawn from its seed. */
export class Trouble {
  readonly #cluster: Cluster;
  readonly #clock: ManualClock;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #network: SimNetwork;
  readonly #cache: SharedCache;
  readonly #payments: SharedGateway;
  /** Kinds as often as they are likely; many walks never see many of them. */
  readonly #urn: readonly Kind[];
  #excuseMs = 0;
  #over = false;
  /** Faults that happened, lost and late calls not counted. */
  count = 0;

  constructor(args: {
    cluster: Cluster;
    clock: ManualClock;
    chance: SeededRandom;
    trace: Trace;
    network: SimNetwork;
    cache: SharedCache;
    payments: SharedGateway;
  }) {
    this.#cluster = args.cluster;
    this.#clock = args.clock;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#network = args.network;
    this.#cache = args.cache;
    this.#payments = args.payments;
    const { chance } = args;
    const drawn = KINDS.flatMap((kind) =>
      Array.from({ length: chance.below(2) === 0 ? 0 : 1 + chance.below(4) }, () => kind),
    );
    this.#urn = drawn.length === 0 ? KINDS : drawn;
  }

  /** May a takeover that goes wrong right now blame a disk that went away under it? */
  get isExcused(): boolean {
    return this.#clock.monotonicMs() < this.#excuseMs;
  }

  end(): void {
    this.#over = true;
    this.#payments.goAway(0);
  }

  /** One more thing goes wrong; of what was drawn, the first that can happen now. */
  async strike(): Promise<void> {
    for (let draw = 0; draw < DRAWS; draw++) {
      if (!(await this.#do(this.#pick(this.#urn)))) continue;
      this.count += 1;
      return;
    }
  }

  async #do(kind: Kind): Promise<boolean> {
    const set = this.#pick(this.#cluster.sets);
    switch (kind) {
      case 'node.kill':
        return this.#killNode(set);
      case 'node.pause':
        return this.#pause(this.#leaderOrAny(set)?.process);
      case 'node.stop':
        return this.#stopNode(set);
      case 'storm':
        return this.#storm(set);
      case 'step-down':
        return this.#stepDown(set);
      case 'lines':
        return this.#cutLines(set);
      case 'numb':
        return this.#numb(set);
      case 'server.restart':
        return this.#restartServers();
      case 'server.freeze':
        return this.#freezeServers();
      case 'server.full':
        return this.#fillDisk();
      case 'server.old':
        return this.#oldDisk();
      case 'server.wipe':
        return this.#loseDisk();
      case 'access.kill':
        return this.#again(this.#chance.below(2), (at) => this.#cluster.startAccess(at), 'access');
      case 'couriers.kill':
        return this.#again(
          this.#chance.below(this.#cluster.courierCount),
          (at) => this.#cluster.startCouriers(at),
          'couriers',
        );
      case 'access.pause':
        return this.#pause(this.#pick(this.#cluster.access).process);
      case 'couriers.pause':
        return this.#pause(this.#pick(this.#cluster.couriers).process);
      case 'network.cut':
        return this.#cutNetwork();
      case 'network.reset':
        return this.#resetNetwork();
      case 'clock':
        return this.#wrongClock();
      case 'cache':
        this.#trace.note('the cache forgets everything');
        this.#cache.forget();
        return true;
      case 'gateway': {
        const ms = 500 + this.#chance.below(8_000);
        this.#trace.note(`the payment gateway is away for ${ms} ms`);
        this.#payments.goAway(ms);
        return true;
      }
      default:
        throw new Error(`no fault ${String(kind satisfies never)}`);
    }
  }

  // ---- set-nodes

  #leaderOrAny(set: SimSet): SetNode | undefined {
    const [leader] = set.leaders;
    if (leader !== undefined && this.#chance.below(3) > 0) return leader;
    return set.nodes.length === 0 ? undefined : this.#pick(set.nodes);
  }

  #killNode(set: SimSet): boolean {
    const node = this.#leaderOrAny(set);
    if (node === undefined) return false;
    set.kill(node);
    this.#restart(set, node.slot, this.#chance.below(6_000));
    return true;
  }

  #restart(set: SimSet, slot: number, ms: number): void {
    this.#later(ms, () => {
      if (set.nodes.every((node) => node.slot !== slot)) set.start(slot);
    });
  }

  #stopNode(set: SimSet): boolean {
    const node = this.#leaderOrAny(set);
    if (node === undefined || node.process.paused) return false;
    this.#trace.note(`stop ${node.process.name}`);
    void node.stop();
    const ms = this.#chance.below(3_000);
    this.#later(3_000, () => {
      if (!node.process.dead) set.kill(node);
      this.#restart(set, node.slot, ms);
    });
    return true;
  }

  /** Nodes come and go faster than a takeover takes. */
  #storm(set: SimSet): boolean {
    this.#trace.note(`a takeover storm in Set ${set.id}`);
    const blows = 4 + this.#chance.below(8);
    let ms = 0;
    for (let blow = 0; blow < blows; blow++) {
      const slot = this.#chance.below(NODES);
      this.#later(ms, () => set.start(slot));
      ms += 100 + this.#chance.below(900);
    }
    return true;
  }

  #stepDown(set: SimSet): boolean {
    const [leader] = set.leaders;
    if (leader === undefined) return false;
    this.#trace.note(`${leader.process.name} is told to step down`);
    void leader.engine.stepDown();
    return true;
  }

  /** Bias: what a leader seals reaches one replica only, or only two, until somebody takes over. */
  #cutLines(set: SimSet): boolean {
    const node = this.#leaderOrAny(set);
    if (node === undefined) return false;
    const count = 1 + this.#chance.below(2);
    const from = this.#chance.below(REPLICAS);
    const ms = 300 + this.#chance.below(4_000);
    for (let at = 0; at < count; at++) {
      const replica = (from + at) % REPLICAS;
      this.#trace.note(`cut ${node.process.name} from replica ${replica} for ${ms} ms`);
      node.lines.cut(replica, ms);
    }
    if (count === 2 && this.#chance.below(2) === 0) {
      this.#later(100 + this.#chance.below(600), () => {
        if (!node.process.dead) set.kill(node);
        this.#restart(set, node.slot, 2_000);
      });
    }
    return true;
  }

  #numb(set: SimSet): boolean {
    const [leader] = set.leaders;
    if (leader === undefined) return false;
    this.#trace.note(`nobody hears the beats of ${leader.process.name}`);
    leader.lines.numb(1_000 + this.#chance.below(3_000));
    return true;
  }

  // ---- servers

  /** Servers restart one at a time, or all at once; beside a lost disk none does (rulings 6). */
  #restartServers(): boolean {
    const all = this.#chance.below(4) === 0;
    const one = this.#chance.below(this.#cluster.serverCount);
    if (this.#cluster.sets.some((set) => set.sites.some(({ damage }) => damage === 'wiped'))) {
      return false;
    }
    for (let at = 0; at < this.#cluster.serverCount; at++) {
      if (!all && at !== one) continue;
      this.#trace.note(`server ${at} restarts`);
      for (const site of this.#cluster.server(at)) site.restart();
    }
    return true;
  }

  #freezeServers(): boolean {
    const count = 1 + Number(this.#chance.below(4) === 0);
    const from = this.#chance.below(this.#cluster.serverCount);
    for (let at = 0; at < count; at++) {
      const ms = 300 + this.#chance.below(4_000);
      const server = (from + at) % this.#cluster.serverCount;
      this.#trace.note(`server ${server} stops for ${ms} ms`);
      for (const site of this.#cluster.server(server)) site.freeze(this.#clock, ms);
    }
    return true;
  }

  #fillDisk(): boolean {
    const server = this.#chance.below(this.#cluster.serverCount);
    const ms = 1_000 + this.#chance.below(8_000);
    this.#trace.note(`the disk of server ${server} is full for ${ms} ms`);
    for (const site of this.#cluster.server(server)) site.full = true;
    this.#later(ms, () => {
      for (const site of this.#cluster.server(server)) site.full = false;
    });
    return true;
  }

  async #oldDisk(): Promise<boolean> {
    const sites = this.#cluster.server(this.#chance.below(this.#cluster.serverCount));
    const busy = this.#cluster.sets.some((set) =>
      set.sites.some(({ damage }) => damage !== 'none'),
    );
    if (busy || this.#chance.below(2) === 0) {
      for (const site of sites) await site.keepCopy();
      return false;
    }
    let restored = false;
    for (const site of sites) {
      if (!site.restoreCopy((count) => this.#chance.below(count))) continue;
      this.#trace.note(`replica ${site.name} comes back with an old disk`);
      restored = true;
    }
    if (restored) this.#excuseMs = this.#clock.monotonicMs() + TAKEOVER_MS;
    return restored;
  }

  /** A disk is lost, beside two others with a vote. */
  async #loseDisk(): Promise<boolean> {
    const sites = this.#cluster.server(this.#chance.below(this.#cluster.serverCount));
    for (const set of this.#cluster.sets) {
      for (const site of set.sites) {
        if (site.damage !== 'none') return false;
        if (!sites.includes(site) && !(await votes(site, set.sites))) return false;
      }
    }
    for (const site of sites) {
      this.#trace.note(`replica ${site.name} comes back with an empty disk`);
      site.wipe();
    }
    this.#excuseMs = this.#clock.monotonicMs() + TAKEOVER_MS;
    return true;
  }

  // ---- other processes and what is between them

  #again(at: number, start: (at: number) => void, name: 'access' | 'couriers'): boolean {
    const { process } = this.#cluster[name][at] ?? {};
    if (process === undefined || process.dead) return false;
    this.#trace.note(`kill ${process.name}`);
    process.kill();
    this.#later(this.#chance.below(5_000), () => {
      if (this.#cluster[name][at]?.process.dead === true) start(at);
    });
    return true;
  }

  #pause(process: SimProcess | undefined): boolean {
    if (process === undefined || process.dead || process.paused) return false;
    const ms = 200 + this.#chance.below(6_000);
    this.#trace.note(`pause ${process.name} for ${ms} ms`);
    process.pause();
    this.#later(ms, () => {
      if (process.paused && !process.dead) {
        this.#trace.note(`wake ${process.name}`);
        process.resume();
      }
    });
    return true;
  }

  #pair(): [string, string] {
    const near = [...this.#cluster.access, ...this.#cluster.couriers];
    const far = this.#cluster.sets.flatMap(({ nodes }) => nodes);
    if (far.length === 0) return ['a0', 's1n0'];
    return [this.#pick(near).process.name, this.#pick(far).process.name];
  }

  #cutNetwork(): boolean {
    const [a, b] = this.#pair();
    const way = this.#pick(['both', 'there', 'back'] as const);
    const ms = 300 + this.#chance.below(6_000);
    this.#trace.note(`cut ${a} from ${b} (${way}) for ${ms} ms`);
    this.#network.cut(a, b, { ms, way });
    return true;
  }

  #resetNetwork(): boolean {
    const [a, b] = this.#pair();
    this.#trace.note(`the streams between ${a} and ${b} break`);
    this.#network.reset(a, b);
    return true;
  }

  /** Rulings 7: a clock that is wrong by seconds, or by a day. */
  #wrongClock(): boolean {
    const process = this.#pick(this.#cluster.processes);
    if (process.skewMs !== 0) return false;
    const size = this.#chance.below(3) === 0 ? DAY_MS : 500 + this.#chance.below(20_000);
    process.skewMs = this.#chance.below(2) === 0 ? size : -size;
    this.#trace.note(`the clock of ${process.name} is wrong by ${process.skewMs} ms`);
    this.#later(1_000 + this.#chance.below(15_000), () => {
      process.skewMs = 0;
    });
    return true;
  }

  #later(ms: number, run: () => void): void {
    this.#cluster.after(ms, () => {
      if (!this.#over) run();
    });
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[this.#chance.below(list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }
}
