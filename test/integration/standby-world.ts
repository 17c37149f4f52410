import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Command } from '../../lib/core/command.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { decodeOutcome } from '../../lib/core/outcome.ts';
import { setId } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { bootstrapNew } from '../../set-node/log/bootstrap.ts';
import type { EngineArgs } from '../../set-node/lead/engine.ts';
import { Engine } from '../../set-node/lead/engine.ts';
import { schema } from '../../set-node/read/projection.ts';
import { Publisher } from '../../set-node/read/publisher.ts';

export const SET = setId(1);
const CLUSTER = new Uint8Array(16).fill(0xc1);
const KEYS = { seedKey: new Uint8Array(32).fill(1), clusterSecret: new Uint8Array(32).fill(2) };
const STEP_MS = 5;

/** `rulesMax` below this build's own makes it an older one. */
export type NodeOptions = Pick<EngineArgs, 'nodes' | 'rulesMax'>;

/** A process: its own clock, which may stand still, and its own lines to the replicas. */
export class StandbyNode {
  readonly slot: number;
  readonly clock = new ManualClock();
  readonly lines: string[] = [];
  readonly engine: Engine;
  /** Replicas that this node cannot reach. */
  readonly cut = new Set<number>();
  /** Time that went by while it was paused. */
  missedMs = 0;
  /** While it is paused: calls that it makes go on when it wakes. */
  #pause: PromiseWithResolvers<void> | null = null;

  constructor(slot: number, replicas: readonly MemoryReplica[], more: NodeOptions = {}) {
    this.slot = slot;
    const note = (event: string, fields: unknown = {}): void => {
      this.lines.push(`${event} ${JSON.stringify(fields)}`);
    };
    const log = { info: note, warn: note, error: note };
    const quorum = replicas.length === 3 ? 2 : 1;
    this.engine = new Engine({
      setId: SET,
      replicas: replicas.map((disk, replica) => this.#line(disk, replica)),
      quorum,
      clock: this.clock,
      random: new SeededRandom(slot + 1),
      crypto: makeCrypto(KEYS),
      bus: new MemoryBus({ clock: this.clock, log }),
      log,
      publisher: new Publisher(),
      homeOf: () => SET,
      snapshotElsewhere: null,
      nodeSlot: slot,
      standby: true,
      ...more,
      configuration: {
        type: 'set.configure',
        clusterId: CLUSTER,
        replicas: replicas.length,
        quorum,
        rules: 1,
        slots: new Uint8Array(128).fill(0xff),
      },
    });
  }

  get paused(): boolean {
    return this.#pause !== null;
  }

  /** SIGSTOP: for ever, unless somebody wakes it. */
  pause(): void {
    this.#pause = Promise.withResolvers();
  }

  /** The process goes on where it stood, much later. */
  wake(): void {
    this.#pause?.resolve();
    this.#pause = null;
    const { missedMs } = this;
    this.missedMs = 0;
    this.clock.advance(missedMs);
  }

  get role(): string {
    return this.engine.status.kind;
  }

  /** Sends a command; what has been answered so far is in the list. */
  submit(command: Command): Outcome[] {
    const answers: Outcome[] = [];
    this.engine.submit({
      bytes: encodeCommand(command),
      tag: 1,
      sink: { reply: (_tag, _lsn, bytes) => answers.push(decodeOutcome(command.type, bytes)) },
    });
    return answers;
  }

  #line(disk: MemoryReplica, replica: number): ReplicaStore {
    return new Proxy(disk, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]) => {
          await this.#pause?.promise;
          if (this.cut.has(replica)) throw new StoreError('unavailable', 'the line is cut');
          return method.apply(target, args) as unknown;
        };
      },
    });
  }
}

/** Two nodes of one Set on three replicas in memory; every node has a clock of its own. */
export class StandbyWorld {
  readonly disks: readonly MemoryReplica[];
  readonly nodes: StandbyNode[] = [];

  private constructor(disks: readonly MemoryReplica[]) {
    this.disks = disks;
  }

  /** Nodes 0 to `count` − 1, each with what the list says of it. */
  static async start(count = 2, more: readonly NodeOptions[] = []): Promise<StandbyWorld> {
    const clock = new ManualClock();
    const disks: MemoryReplica[] = [];
    // Replicas keep the time that nodes started with: they are far behind, never ahead.
    for (let index = 0; index < 3; index++) {
      disks.push(new MemoryReplica(SET, schema, () => world.timeMs()));
    }
    const world = new StandbyWorld(disks);
    await bootstrapNew({ replicas: disks, clusterId: CLUSTER, clock });
    for (let slot = 0; slot < count; slot++) world.add(slot, more[slot]);
    return world;
  }

  add(slot: number, more: NodeOptions = {}): StandbyNode {
    const node = new StandbyNode(slot, this.disks, more);
    this.nodes.push(node);
    node.engine.start();
    return node;
  }

  /** The replicas' clock: that of the first process. */
  timeMs(): number {
    const [first] = this.nodes;
    const ms = this.#startMs + this.sleptMs;
    return first === undefined ? 0 : ms + first.clock.monotonicMs() + first.missedMs;
  }

  /** Every machine sleeps for so long, nodes and replicas: only wall clocks show it. */
  sleep(ms: number): void {
    this.sleptMs += ms;
    for (const { clock } of this.nodes) clock.jump(ms);
  }

  sleptMs = 0;

  readonly #startMs: number = new ManualClock().now();

  /** Time goes by for everybody who is not paused. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      for (const node of this.nodes) {
        if (node.paused) node.missedMs += STEP_MS;
        else await node.clock.advanceSettled(STEP_MS);
      }
    }
  }

  /** Runs until a node leads; its slot. */
  async untilLed(withinMs: number, except?: StandbyNode): Promise<StandbyNode> {
    for (let passed = 0; passed <= withinMs; passed += STEP_MS) {
      const leader = this.nodes.find(
        (node) => node !== except && !node.paused && node.role === 'leading',
      );
      if (leader !== undefined) return leader;
      await this.run(STEP_MS);
    }
    throw new Error(`nobody leads after ${withinMs} ms: ${this.roles().join(', ')}`);
  }

  roles(): string[] {
    return this.nodes.map(({ role }) => role);
  }

  async ask(node: StandbyNode, command: Command): Promise<Outcome> {
    const answers = node.submit(command);
    for (let turn = 0; turn < 40 && answers.length === 0; turn++) await this.run(STEP_MS);
    const [answer] = answers;
    if (answer === undefined || answers.length !== 1) throw new Error(`${answers.length} answers`);
    return answer;
  }

  other(node: StandbyNode): StandbyNode {
    const other = this.nodes.find((each) => each !== node);
    if (other === undefined) throw new Error('there is one node');
    return other;
  }

  async fences(): Promise<number[]> {
    const rows = await Promise.all(this.disks.map((disk) => disk.fenceRow()));
    return rows.map((row) => row?.fenceEpoch ?? 0);
  }
}
