import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { Writer } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { RIGHT_SEND_PACKET, grantMac, writeGrant } from '../../lib/core/grant.ts';
import { HmacKey } from '../../lib/core/hmac.ts';
import type { CommandId, Id } from '../../lib/core/ids.ts';
import { makeCommandId, setOfId } from '../../lib/core/ids.ts';
import type { Success } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { Metrics } from '../../lib/port/metrics.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import type { Query } from '../../proto/gen/hongbao/Query.ts';
import type { QueryReply__Output } from '../../proto/gen/hongbao/QueryReply.ts';
import type { Reconciler } from '../../reconciler/server.ts';
import { startReconciler } from '../../reconciler/server.ts';
import type { Ask, QueryAnswer } from '../../router/api.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { createRouter } from '../../router/router.ts';
import { SessionMarks } from '../../router/session-marks.ts';
import type { Topology } from '../../router/topology.ts';
import { firstTopology } from '../../router/topology.ts';
import { schema } from '../../set-node/read/projection.ts';
import type { SetServer } from '../../set-node/server.ts';
import { bootstrapNew, startSetServer } from '../../set-node/server.ts';
import { until } from './fake-set.ts';

export const SET = setId(1);
const CLUSTER = new Uint8Array(16).fill(0xc1);
const KEYS = { seedKey: new Uint8Array(32).fill(1), clusterSecret: new Uint8Array(32).fill(2) };
const SILENT = { info() {}, warn() {}, error() {} };

export function user(text: string): UserId {
  const parsed = parseUserId(text);
  if (parsed === null) throw new Error(`not a user: ${text}`);
  return parsed;
}

/** A node of the Set: a real server, with its own lines to the replicas. */
export class ReadsNode {
  readonly slot: number;
  readonly server: SetServer;
  readonly #metrics: Metrics;
  /** Replicas that never answer this node. */
  readonly hung: Set<number>;

  private constructor(of: {
    slot: number;
    server: SetServer;
    metrics: Metrics;
    hung: Set<number>;
  }) {
    this.slot = of.slot;
    this.server = of.server;
    this.#metrics = of.metrics;
    this.hung = of.hung;
  }

  static async start(world: ReadsWorld, slot: number): Promise<ReadsNode> {
    const metrics = createMetrics();
    const hung = new Set<number>();
    const server = await startSetServer({
      setId: SET,
      replicas: world.disks.map((disk, replica) => lineTo(disk, () => hung.has(replica))),
      quorum: 2,
      clock: world.clock,
      random: world.random,
      crypto: world.crypto,
      bus: world.bus,
      log: SILENT,
      metrics,
      homeOf: () => SET,
      snapshotElsewhere: null,
      nodeSlot: slot,
      standby: true,
      nodes: 2,
      address: world.address(slot),
      topologyVersion: () => 1,
      configuration: {
        type: 'set.configure',
        clusterId: CLUSTER,
        replicas: 3,
        quorum: 2,
        rules: 1,
        slots: new Uint8Array(128).fill(0xff),
      },
    });
    return new ReadsNode({ slot, server, metrics, hung });
  }

  get leads(): boolean {
    return this.server.engine.driver !== null;
  }

  /** Questions by who answered them, so far. */
  async reads(role: 'leader' | 'standby', result = 'answered'): Promise<number> {
    const text = await this.#metrics.expose();
    const name = `hongbao_set_reads_total{set="1",role="${role}",result="${result}"} `;
    const line = text.split('\n').find((one) => one.startsWith(name));
    return line === undefined ? 0 : Number(line.slice(name.length));
  }
}

function lineTo(disk: MemoryReplica, isHung: () => boolean): ReplicaStore {
  return new Proxy(disk, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return async (...args: unknown[]) => {
        if (isHung()) await untilBack(String(name), isHung);
        return method.apply(target, args) as unknown;
      };
    },
  });
}

/** What an adapter over a network makes of a server that is stopped: late calls fail. */
async function untilBack(call: string, isHung: () => boolean): Promise<void> {
  const quick = ['append', 'fenceRow', 'beat', 'probe'].includes(call);
  const late = performance.now() + (quick ? 1_000 : 10_000);
  while (isHung()) {
    await pause(20);
    if (performance.now() > late) throw new StoreError('unavailable', `${call} is late`);
  }
}

/** Two nodes of one Set behind real streams, three replicas in memory, a router and a courier. */
export class ReadsWorld {
  readonly clock = new SystemClock();
  readonly random = new SystemRandom();
  readonly crypto = makeCrypto(KEYS);
  readonly bus = new MemoryBus({ clock: this.clock, log: SILENT });
  readonly disks: readonly MemoryReplica[];
  readonly nodes: ReadsNode[] = [];
  readonly router: TopologyRouter;
  readonly #folder: string;
  #reconciler: Reconciler | null = null;

  private constructor(folder: string, args: { standbyReads: boolean }) {
    this.#folder = folder;
    const now = (): number => this.clock.now();
    this.disks = Array.from({ length: 3 }, () => new MemoryReplica(SET, schema, now));
    const { clock, random } = this;
    this.router = createRouter({
      topology: this.#topology(),
      clock,
      random,
      log: SILENT,
      connect: openSetNode,
      ...args,
    });
  }

  static async start(args = { standbyReads: true }): Promise<ReadsWorld> {
    const world = new ReadsWorld(await mkdtemp(join(tmpdir(), 'hb-reads-')), args);
    const { clock, random, bus, router } = world;
    await bootstrapNew({ replicas: world.disks, clusterId: CLUSTER, clock });
    for (const slot of [0, 1]) world.nodes.push(await ReadsNode.start(world, slot));
    await until(() => world.nodes.some(({ leads }) => leads));
    await until(() => router.isUp(SET));
    const metrics = createMetrics();
    world.#reconciler = startReconciler({ clock, random, bus, log: SILENT, metrics, router });
    return world;
  }

  address(slot: number): string {
    return `unix:${join(this.#folder, `node-${slot}`)}`;
  }

  #topology(): Topology {
    const nodes = [0, 1].map((slot) => ({ primary: this.address(slot), backup: '' }));
    const set = { id: SET, state: 'active', weight: 1, region: '', nodes, replicas: [] } as const;
    return firstTopology({ clusterId: 'c1'.repeat(16), sets: [set] });
  }

  get leader(): ReadsNode {
    return this.#node(true);
  }

  get standby(): ReadsNode {
    return this.#node(false);
  }

  #node(leads: boolean): ReadsNode {
    const node = this.nodes.find((each) => each.leads === leads);
    if (node === undefined) throw new Error('there is none');
    return node;
  }

  /** What the leader has committed. */
  get commit(): number {
    return this.leader.server.engine.driver?.commit ?? 0;
  }

  async close(): Promise<void> {
    await this.#reconciler?.stop();
    await this.router.close();
    for (const node of this.nodes) node.hung.clear();
    await Promise.all(this.nodes.map(({ server }) => server.stop()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Until every replica shows all that is committed. */
  async projected(): Promise<void> {
    const shows = (): number => this.leader.server.engine.driver?.projections.quorumLsn() ?? 0;
    await until(() => shows() >= this.commit);
    for (const disk of this.disks)
      while ((await disk.projectedLsn()) < this.commit) await pause(20);
    // The standby asks ten times a second, and tells the router.
    await pause(300);
  }

  async do<T extends Command['type']>(
    command: Extract<Command, { type: T }>,
    session?: SessionMarks,
  ): Promise<{ success: Extract<Success, { type: T }>; lsn: number }> {
    const options = session === undefined ? {} : { session };
    const { outcome, mark } = await this.router.command(SET, command, options);
    if (!succeeded(outcome)) throw new Error(`${command.type}: ${outcome.status}`);
    const success = outcome as unknown as Extract<Success, { type: T }>;
    return { success, lsn: mark.lsn };
  }

  ask(ask: Ask, session?: SessionMarks): Promise<QueryAnswer> {
    return this.router.query(SET, ask, session === undefined ? {} : { session });
  }

  /** Asks one node, past the router. */
  askNode(node: ReadsNode, query: Omit<Query, 'tag'>): Promise<QueryReply__Output> {
    const client = openSetNode(this.address(node.slot));
    return new Promise((resolve, reject) => {
      const stream = client.queries({
        message: ({ replies }) => {
          const [reply] = replies;
          if (reply === undefined) return;
          resolve(reply);
          client.close();
        },
        closed: (reason) => reject(new Error(reason ?? 'closed')),
      });
      stream.send({ topologyVersion: 1, queries: [{ ...query, tag: 1 }] });
    });
  }

  commandId(): CommandId {
    return makeCommandId(this.clock.now(), this.random.bytes(10));
  }

  async takeId(): Promise<Id> {
    return (await this.do<'ids.reserve'>({ type: 'ids.reserve', count: 1 })).success.firstId;
  }

  /** A person with a wallet and a group of their own. */
  async person(name: string): Promise<Person> {
    const session = new SessionMarks();
    const me = user(name);
    await this.do({ type: 'wallet.open', user: me, welcomeCents: cents(100_000) }, session);
    const groupId = await this.takeId();
    const commandId = this.commandId();
    const rest = { name: 'g', history: 'all' } as const;
    await this.do({ type: 'group.create', commandId, user: me, groupId, ...rest }, session);
    const leader = this.leader.server.engine;
    await until(() => leader.driver?.state.groups.has(groupId) === true);
    return { name, me, session, groupId };
  }

  grant(name: string, groupId: Id): { grant: Grant; bytes: Buffer } {
    const issuedAt = timeMs(this.clock.now());
    const rights = RIGHT_SEND_PACKET;
    const body = { groupId, role: 'member', rights, groupLsn: lsn(1), issuedAt } as const;
    const key = new HmacKey(this.crypto.grantKey(setOfId(groupId)));
    const grant = { ...body, mac: grantMac(key, user(name), body) };
    const w = new Writer(64);
    writeGrant(w, grant);
    return { grant, bytes: Buffer.from(w.finish()) };
  }

  /** A live packet of the person's; the LSN of its sending. */
  async packet(of: Person, count: number): Promise<{ packetId: Id; lsn: number }> {
    const packetId = await this.takeId();
    const { grant } = this.grant(of.name, of.groupId);
    const definition = {
      packetId,
      groupId: of.groupId,
      sender: of.me,
      kind: 'lucky',
      strategy: 'double_mean',
      timing: 'at_open',
      totalCents: cents(count * 10),
      count,
      lifetimeMs: 3_600_000,
      greeting: '',
      receivers: [],
    } as const;
    const commandId = this.commandId();
    const sent = await this.do({ type: 'packet.send', commandId, definition, grant }, of.session);
    const leader = this.leader.server.engine;
    await until(() => leader.driver?.state.packets.has(packetId) === true);
    return { packetId, lsn: sent.lsn };
  }
}

export type Person = {
  readonly name: string;
  readonly me: UserId;
  readonly session: SessionMarks;
  readonly groupId: Id;
};

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
