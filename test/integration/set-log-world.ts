import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { AssertionFailed } from '../../lib/core/assert.ts';
import type { Command } from '../../lib/core/command.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Grant, Role } from '../../lib/core/grant.ts';
import { RIGHT_SEND_PACKET, grantMac } from '../../lib/core/grant.ts';
import { HmacKey } from '../../lib/core/hmac.ts';
import type { CommandId, Id } from '../../lib/core/ids.ts';
import { makeCommandId, setOfId } from '../../lib/core/ids.ts';
import type { Outcome, Success } from '../../lib/core/outcome.ts';
import { decodeOutcome } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Status } from '../../lib/core/status.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { LANES } from '../../lib/core/transfer.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { Driver } from '../../set-node/lead/driver.ts';
import type { EngineArgs } from '../../set-node/lead/engine.ts';
import { Engine } from '../../set-node/lead/engine.ts';
import { schema } from '../../set-node/read/projection.ts';
import { Publisher } from '../../set-node/read/publisher.ts';

export const SET: SetId = setId(1);
export const CLUSTER = new Uint8Array(16).fill(0xc1);
const KEYS = { seedKey: new Uint8Array(32).fill(1), clusterSecret: new Uint8Array(32).fill(2) };

export function user(text: string): UserId {
  const parsed = parseUserId(text);
  if (parsed === null) throw new Error(`not a user: ${text}`);
  return parsed;
}

/** A replica in memory whose line can be cut and whose appends can be held or lost. */
export class Faulty {
  readonly disk: MemoryReplica;
  down = false;
  /** Appends wait here while it is set. */
  held: Promise<void> | null = null;
  /** Appends are refused as `unavailable` without being done. */
  refusesAppends = false;
  /** Reads of the journal fail as a damaged page does. */
  damaged = false;
  /** The server is stopped as by SIGSTOP: calls land when it goes on, callers hear of a deadline. */
  frozen: Promise<void> | null = null;
  /** Entries that this server will not store. */
  rejects: (entry: Entry) => boolean = () => false;
  /** Assertions of the projection: outside of tests each of them ends the process. */
  readonly broken: string[] = [];
  readonly store: ReplicaStore;

  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
    this.disk = new MemoryReplica(SET, schema, () => clock.now());
    this.store = new Proxy(this.disk, {
      get: (disk, name) => {
        const method: unknown = Reflect.get(disk, name);
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) =>
          this.#call(String(name), args, () => method.apply(disk, args) as unknown);
      },
    });
  }

  /** Stops the server until the returned function is called. */
  freeze(): () => void {
    let thaw = (): void => undefined;
    this.frozen = new Promise((resolve) => {
      thaw = resolve;
    });
    return () => {
      this.frozen = null;
      thaw();
    };
  }

  async #call(name: string, args: unknown[], run: () => unknown): Promise<unknown> {
    if (this.down) throw new StoreError('unavailable', 'the line is cut');
    if (this.frozen !== null) return this.#hang(name, run, this.frozen);
    if (name === 'append') {
      const { entries } = args[0] as { entries: readonly Entry[] };
      if (entries.some((entry) => this.rejects(entry))) throw new StoreError('rejected', 'too big');
    }
    if (this.damaged && name === 'read') throw new StoreError('corrupt', 'a page is damaged');
    if (name === 'append' && this.held !== null) await this.held;
    if (name === 'append' && this.refusesAppends) throw new StoreError('unavailable', 'no space');
    return this.#run(name, run);
  }

  async #hang(name: string, run: () => unknown, frozen: Promise<void>): Promise<unknown> {
    const done = frozen.then(() => this.#run(name, run));
    done.catch(() => undefined);
    const late = sleep(this.#clock, deadlineMs(name)).then(() => {
      throw new StoreError(WRITES.includes(name) ? 'unknown' : 'unavailable', `${name} is late`);
    });
    late.catch(() => undefined);
    return Promise.race([done, late]);
  }

  async #run(name: string, run: () => unknown): Promise<unknown> {
    try {
      return await run();
    } catch (error) {
      if (name !== 'project' || !(error instanceof AssertionFailed)) throw error;
      this.broken.push(error.message);
      throw new StoreError('unavailable', error.message);
    }
  }
}

/** As adapters over a network do: late is `unknown` for a write and `unavailable` for a read. */
function deadlineMs(name: string): number {
  if (['append', 'fenceRow', 'beat', 'resign', 'probe'].includes(name)) return 1_000;
  return name === 'takeOver' ? 2_000 : 10_000;
}

const WRITES = [
  'append',
  'truncate',
  'restore',
  'admit',
  'recordIncarnation',
  'takeOver',
  'beat',
  'resign',
  'unprove',
];

/** One Set on memory replicas under virtual time: engines come and go, disks stay. */
export class World {
  readonly clock = new ManualClock();
  readonly random = new SeededRandom(7);
  readonly crypto = makeCrypto(KEYS);
  readonly replicas: Faulty[];
  readonly lines: { event: string; fields: string }[] = [];
  readonly publisher = new Publisher();
  /** The slots that a new engine is told the Set owns. */
  slots = new Uint8Array(128).fill(0xff);
  readonly #rules: number;
  engine: Engine;

  private constructor(count: number, rules: number) {
    this.#rules = rules;
    this.replicas = Array.from({ length: count }, () => new Faulty(this.clock));
    this.engine = this.newEngine(0);
  }

  /** Bootstrapped and led by node 0. */
  static async start(count: 1 | 3, rules = 1): Promise<World> {
    const world = new World(count, rules);
    for (const [replicaId, { store }] of world.replicas.entries()) {
      await store.bootstrap({ clusterId: CLUSTER, replicaId, replicas: count });
    }
    world.engine.start();
    await world.run(200);
    return world;
  }

  newEngine(nodeSlot: number, more: Partial<EngineArgs> = {}): Engine {
    const { clock, random, crypto, replicas, publisher } = this;
    const note = (event: string, fields: unknown = {}): void => {
      this.lines.push({ event, fields: JSON.stringify(fields) });
    };
    const log = { info: note, warn: note, error: note };
    const quorum = replicas.length === 3 ? 2 : 1;
    return new Engine({
      setId: SET,
      replicas: replicas.map(({ store }) => store),
      quorum,
      clock,
      random,
      crypto,
      bus: new MemoryBus({ clock, log }),
      log,
      publisher,
      homeOf: () => SET,
      snapshotElsewhere: null,
      nodeSlot,
      configuration: {
        type: 'set.configure',
        clusterId: CLUSTER,
        replicas: replicas.length,
        quorum,
        rules: this.#rules,
        slots: this.slots,
      },
      ...more,
    });
  }

  async run(ms: number): Promise<void> {
    await this.clock.advanceSettled(ms);
  }

  /** The process dies: memory is gone, disks and lives stay. */
  async kill(): Promise<void> {
    this.driver.abandon();
    this.engine = this.newEngine(0);
  }

  async restart(ms = 500): Promise<void> {
    await this.kill();
    this.engine.start();
    await this.run(ms);
  }

  get driver(): Driver {
    const { driver } = this.engine;
    if (driver === null) throw new Error(`nobody leads: ${JSON.stringify(this.lines.slice(-3))}`);
    return driver;
  }

  count(event: string): number {
    return this.lines.filter((line) => line.event === event).length;
  }

  /** Sends a command; what has been answered so far is in the list. */
  submit(command: Command, engine: Engine = this.engine): Outcome[] {
    const answers: Outcome[] = [];
    engine.submit({
      bytes: encodeCommand(command),
      tag: 1,
      sink: { reply: (_tag, _lsn, bytes) => answers.push(decodeOutcome(command.type, bytes)) },
    });
    return answers;
  }

  /** Sends a command and lets 50 ms pass. */
  async ask<T extends Command['type']>(
    command: Extract<Command, { type: T }>,
    engine: Engine = this.engine,
  ): Promise<{ status: Status } & Extract<Success, { type: T }>> {
    const answers = this.submit(command, engine);
    await this.run(50);
    if (answers.length !== 1) throw new Error(`${command.type}: ${answers.length} answers`);
    // A refusal has none of the other fields: a test that reads them fails.
    return answers[0] as unknown as { status: Status } & Extract<Success, { type: T }>;
  }

  commandId(at: number = this.clock.now()): CommandId {
    return makeCommandId(at, this.random.bytes(10));
  }

  async takeId(): Promise<Id> {
    return (await this.ask<'ids.reserve'>({ type: 'ids.reserve', count: 1 })).firstId;
  }

  async fund(name: string, amount: number): Promise<void> {
    await this.ask({ type: 'wallet.open', user: user(name), welcomeCents: cents(amount) });
  }

  grant(name: string, groupId: Id, at: number = this.clock.now()): Grant {
    const role: Role = 'member';
    const body = {
      groupId,
      role,
      rights: RIGHT_SEND_PACKET,
      groupLsn: lsn(1),
      issuedAt: timeMs(at),
    };
    const key = new HmacKey(this.crypto.grantKey(setOfId(groupId)));
    return { ...body, mac: grantMac(key, user(name), body) };
  }

  definition(args: {
    packetId: Id;
    groupId: Id;
    sender: string;
    totalCents?: number;
    count?: number;
  }): PacketDefinition {
    return {
      packetId: args.packetId,
      groupId: args.groupId,
      sender: user(args.sender),
      kind: 'lucky',
      strategy: 'double_mean',
      timing: 'at_open',
      totalCents: cents(args.totalCents ?? 100),
      count: args.count ?? 1,
      lifetimeMs: 3_600_000,
      greeting: '',
      receivers: [],
    };
  }

  async send(
    definition: PacketDefinition,
    commandId = this.commandId(),
  ): Promise<{ status: Status }> {
    const grant = this.grant(definition.sender, definition.groupId);
    return this.ask<'packet.send'>({ type: 'packet.send', commandId, definition, grant });
  }

  /** What the courier does, once, for the Set's own outbox. */
  async carry(): Promise<void> {
    for (const { lane, first, pending } of [...this.driver.state.outbox.lanes()]) {
      if (pending.length === 0) continue;
      const transfers = [...pending];
      const { receipts } = await this.deliver({ lane, first, transfers });
      const tombstones = receipts.flatMap((receipt, index) =>
        receipt.kind === 'tombstone' ? [{ number: first + index, reason: receipt.reason }] : [],
      );
      await this.ask<'transfer.ack'>({
        type: 'transfer.ack',
        to: SET,
        lane,
        upTo: first + transfers.length - 1,
        tombstones,
        receiptEpoch: this.driver.epoch,
        receiptLsn: this.driver.commit,
      });
    }
  }

  async carryAll(): Promise<void> {
    for (let round = 0; round < 10 && this.driver.state.outbox.pendingCount > 0; round++)
      await this.carry();
  }

  async deliver(args: {
    lane?: number;
    first: number;
    transfers: readonly Transfer[];
    from?: SetId;
  }): Promise<Extract<Success, { type: 'transfer.deliver' }>> {
    const { lane = LANES.control, first, transfers, from = SET } = args;
    return this.ask<'transfer.deliver'>({ type: 'transfer.deliver', from, lane, first, transfers });
  }

  async foundGroup(owner: string): Promise<Id> {
    const groupId = await this.takeId();
    await this.ask<'group.create'>({
      type: 'group.create',
      commandId: this.commandId(),
      user: user(owner),
      groupId,
      name: 'g',
      history: 'all',
    });
    await this.carryAll();
    return groupId;
  }

  message(
    name: string,
    groupId: Id,
    commandId = this.commandId(),
  ): Extract<Command, { type: 'message.send' }> {
    return {
      type: 'message.send',
      commandId,
      user: user(name),
      groupId,
      kind: 'text',
      body: 'x',
      seenSeq: 0,
    };
  }
}
