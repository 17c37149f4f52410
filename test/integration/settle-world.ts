/** Two Sets, reconcilers and NATS as real processes, and people who send and open packets. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { Reader } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { readGrant } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId, setOfId } from '../../lib/core/ids.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import { cents, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { Nats } from '../../ops/rig/nats.ts';
import { freePort } from '../../ops/rig/ports.ts';
import type { RigProcess } from '../../ops/rig/process.ts';
import type { Rig } from '../../ops/rig/rig.ts';
import { tierProcess } from '../../ops/rig/tier.ts';
import type { Money } from '../../reconciler/money.ts';
import { moneyNow } from '../../reconciler/money.ts';
import type { CasesReport } from '../../reconciler/server.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { createRouter } from '../../router/router.ts';
import { saveTopology } from '../../router/topology-file.ts';
import type { Topology } from '../../router/topology.ts';
import { firstTopology } from '../../router/topology.ts';

const SILENT = { info() {}, warn() {}, error() {} };
export const SETS = [setId(1), setId(2)] as const;
const PEOPLE = 40;
const WELCOME_CENTS = 10_000_000;
export const SHARES = PEOPLE;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** How long until it is so, ms; rejects when it is not in time. */
export async function untilSo(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  withinMs = 20_000,
): Promise<number> {
  const startMs = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startMs > withinMs) throw new Error(`${what}: not in ${withinMs} ms`);
    await pause(5);
  }
  return performance.now() - startMs;
}

export type RunningReconciler = { readonly process: RigProcess; readonly metricsPort: number };

export class SettleWorld {
  readonly #rig: Rig;
  readonly topology: Topology;
  readonly router: TopologyRouter;
  readonly nats: Nats;
  readonly #people: UserId[];
  readonly #grants = new Map<UserId, Grant>();
  #groupId: Id | null = null;
  /** What each was told of the packets that they opened. */
  readonly toldCents = new Map<UserId, number>();
  sentCents = 0;
  opens = 0;

  private constructor(args: { rig: Rig; topology: Topology; nats: Nats }) {
    this.#rig = args.rig;
    this.topology = args.topology;
    this.nats = args.nats;
    this.router = createRouter({
      topology: args.topology,
      clock: new SystemClock(),
      random: new SystemRandom(),
      log: SILENT,
      connect: openSetNode,
    });
    this.#people = Array.from({ length: PEOPLE }, (_, index) => parseUserId(`member-${index}`)!);
  }

  /** NATS and two Sets of one SQLite replica each; no reconciler yet. */
  static async start(rig: Rig): Promise<SettleWorld> {
    const ports = [await freePort(), await freePort()];
    const topology = topologyOf({ rig, addresses: ports.map((port) => `127.0.0.1:${port}`) });
    const topologyFile = join(rig.dir, 'topology.json');
    await saveTopology(topologyFile, topology);
    const keyFile = join(rig.dir, 'keys');
    loadKeyFile(keyFile);
    const nats = await Nats.start({ rig, name: 'nats' });
    const nodes = SETS.map((sets) =>
      tierProcess({
        rig,
        tier: 'set-node',
        name: `set${sets}`,
        settings: { topologyFile, keyFile, sets, natsUrl: nats.url },
      }),
    );
    await Promise.all(nodes.map((one) => one.start()));
    const world = new SettleWorld({ rig, topology, nats });
    rig.own({ close: () => world.router.close() });
    await untilSo('both Sets lead', () => SETS.every((set) => world.router.isUp(set)));
    return world;
  }

  /** `addresses`: where this one finds the Sets, if not where everybody does. */
  async reconciler(name: string, addresses?: readonly string[]): Promise<RunningReconciler> {
    const rig = this.#rig;
    let topologyFile = join(rig.dir, 'topology.json');
    if (addresses !== undefined) {
      topologyFile = join(rig.dir, `topology-${name}.json`);
      await saveTopology(topologyFile, topologyOf({ rig, addresses }));
    }
    const metricsPort = await freePort();
    const natsUrl = this.nats.url;
    const settings = { topologyFile, natsUrl, metricsPort };
    const process = tierProcess({ rig, tier: 'reconciler', name, settings });
    await process.start();
    return { process, metricsPort };
  }

  /** Wallets, a group with everybody in it, grants. Needs a reconciler. */
  async gather(): Promise<void> {
    const [owner] = this.#people;
    if (owner === undefined) throw new Error('nobody is here');
    const welcomeCents = cents(WELCOME_CENTS);
    await Promise.all(
      this.#people.map((user) =>
        this.#need({ type: 'wallet.open', user, welcomeCents }, this.router.homeOf(user)),
      ),
    );
    const groupId = await this.#newId(SETS[0]);
    this.#groupId = groupId;
    const founding = { user: owner, groupId, name: 'settle', history: 'all' } as const;
    const create = { type: 'group.create', commandId: newCommandId(), ...founding } as const;
    await this.#need(create, this.router.homeOf(owner));
    const ask = { invite: { user: owner, groupId: String(groupId), lifetimeMs: '3600000' } };
    let invite = null;
    await untilSo('the group arrives', async () => {
      invite = (await this.router.query(SETS[0], ask)).reply?.invite ?? null;
      return invite !== null;
    });
    const { expiresAt, mac } = invite as unknown as { expiresAt: string; mac: Buffer };
    const ticket = { groupId, inviter: owner, expiresAt: timeMs(Number(expiresAt)), mac };
    await Promise.all(
      this.#people
        .slice(1)
        .map((user) => this.#need({ type: 'group.join', user, invite: ticket }, SETS[0])),
    );
    await this.renewGrants();
  }

  /** A grant is good for a minute. */
  async renewGrants(): Promise<void> {
    const groupIds = [String(this.#groupId)];
    await Promise.all(
      this.#people.map(async (user) => {
        const { reply } = await this.router.query(SETS[0], { membership: { user, groupIds } });
        const bytes = reply?.membership?.memberships[0]?.grant;
        const grant = bytes === undefined ? null : readGrant(new Reader(bytes));
        if (grant === null) throw new Error(`${user} has no grant`);
        this.#grants.set(user, grant);
      }),
    );
  }

  /** Packets of this Set, live when this resolves. Needs a reconciler. */
  async packets(set: (typeof SETS)[number], count: number): Promise<Id[]> {
    const [sender] = this.#people;
    if (sender === undefined || this.#groupId === null) throw new Error('gather first');
    const ids: Id[] = [];
    for (let made = 0; made < count; made++) {
      const packetId = await this.#newId(set);
      const definition = {
        packetId,
        sender,
        groupId: this.#groupId,
        kind: 'lucky',
        strategy: 'double_mean',
        timing: 'at_open',
        totalCents: cents(SHARES * 100),
        count: SHARES,
        lifetimeMs: 3_600_000,
        greeting: 'go',
        receivers: [],
      } as const;
      const grant = this.#grants.get(sender) ?? null;
      await this.#need(
        { type: 'packet.send', commandId: newCommandId(), definition, grant },
        this.router.homeOf(sender),
      );
      this.sentCents += definition.totalCents;
      ids.push(packetId);
    }
    await this.settled();
    return ids;
  }

  /** Everybody opens it; all shares are taken. */
  async openAll(packetId: Id): Promise<void> {
    await Promise.all(
      this.#people.map(async (user) => {
        const grant = this.#grants.get(user) ?? null;
        const command = { type: 'packet.open', packetId, user, grant } as const;
        const outcome = await this.#need(command, setOfId(packetId));
        if (outcome.type !== 'packet.open' || !('amountCents' in outcome))
          throw new Error('no share');
        this.toldCents.set(user, (this.toldCents.get(user) ?? 0) + outcome.amountCents);
        this.opens += 1;
      }),
    );
  }

  money(): Promise<Money> {
    return moneyNow(this.router);
  }

  /** Cents in the wallets of one Set. */
  async walletsOf(set: (typeof SETS)[number]): Promise<number> {
    const { reply } = await this.router.query(set, { money: {} });
    return Number(reply?.money?.walletsCents ?? Number.NaN);
  }

  async pendingOf(set: (typeof SETS)[number]): Promise<number> {
    const { reply } = await this.router.query(set, { money: {} });
    return reply?.money?.pendingTransfers ?? Number.NaN;
  }

  /** Until no outbox holds anything, ms. */
  settled(withinMs = 20_000): Promise<number> {
    const isSettled = async (): Promise<boolean> => {
      const { pendingTransfers, missing } = await this.money();
      return pendingTransfers === 0 && missing.length === 0;
    };
    return untilSo('outboxes are empty', isSettled, withinMs);
  }

  /** What is wrong with the cents; nothing may be on its way. */
  async wrong(): Promise<string[]> {
    const found: string[] = [];
    const money = await this.money();
    const { mismatchCents, inFlightCents, issuedCents, quiet } = money;
    if (!quiet) found.push('the Sets did not stand still');
    if (mismatchCents !== 0) found.push(`mismatch of ${mismatchCents}`);
    if (inFlightCents !== 0) found.push(`${inFlightCents} in flight`);
    if (issuedCents !== PEOPLE * WELCOME_CENTS) found.push(`issued ${issuedCents}`);
    for (const [index, user] of this.#people.entries()) {
      const { reply } = await this.router.query(this.router.homeOf(user), { wallet: { user } });
      const has = Number(reply?.wallet?.balanceCents ?? Number.NaN);
      const sent = index === 0 ? this.sentCents : 0;
      const should = WELCOME_CENTS - sent + (this.toldCents.get(user) ?? 0);
      if (has !== should) found.push(`${user} has ${has}, not ${should}`);
    }
    return found;
  }

  async casesOf({ metricsPort }: RunningReconciler): Promise<CasesReport> {
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/cases`);
    return (await answer.json()) as CasesReport;
  }

  async #newId(set: (typeof SETS)[number]): Promise<Id> {
    let id: Id | null = null;
    await untilSo('an id', async () => (id = await this.router.takeId(set)) !== null);
    return id as unknown as Id;
  }

  /** Asks with the same bytes until the answer is final, which has to be yes. */
  async #need(command: Command, set: (typeof SETS)[number]): Promise<Outcome> {
    let outcome: Outcome | null = null;
    const isDone = async (): Promise<boolean> => {
      ({ outcome } = await this.router.command(set, command));
      return !['overloaded', 'set_unavailable', 'unknown'].includes(outcome.status);
    };
    await untilSo(command.type, isDone);
    const final = outcome as unknown as Outcome;
    if (!succeeded(final)) throw new Error(`${command.type}: ${final.status}`);
    return final;
  }
}

function newCommandId(): ReturnType<typeof makeCommandId> {
  return makeCommandId(Date.now(), randomBytes(10));
}

function topologyOf({ rig, addresses }: { rig: Rig; addresses: readonly string[] }): Topology {
  return firstTopology({
    clusterId: '0c'.repeat(16),
    sets: SETS.map((id, index) => ({
      id,
      state: 'active',
      weight: 1,
      region: '',
      nodes: [{ primary: addresses[index] ?? '', backup: '' }],
      replicas: [`sqlite:${join(rig.dir, `set-${id}.sqlite`)}`],
    })),
  });
}
