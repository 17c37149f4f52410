import { randomBytes } from 'node:crypto';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { assert } from '../../lib/core/assert.ts';
import { Reader } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { readGrant } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Success } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import type { Ask } from '../../router/api.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { createRouter } from '../../router/router.ts';
import type { Topology } from '../../router/topology.ts';
import { startReconciler } from '../../reconciler/server.ts';
import type { Reconciler } from '../../reconciler/server.ts';
import { BENCH_SET, user } from './set-maker.ts';

/** One for each share of a packet. */
export const OPENERS = 100;
const TOTAL_CENTS = 100_00;
const SENDER_CENTS = 1_000_000_000_000;
const AT_ONCE = 512;
const SETTLED_WITHIN_MS = 120_000;
const LOOK_MS = 20;
const TRIES_MAX = 20;
const AGAIN_MS = 500;

const log = { info: () => undefined, warn: () => undefined, error: console.error };

/** A group with a rich sender and 100 members, made as an access node and a courier would. */
export class SetPeople {
  readonly openers: readonly UserId[];
  readonly #router: TopologyRouter;
  readonly #clock = new SystemClock();
  readonly #random = new SystemRandom();
  readonly #sender = user('sender');
  #reconciler: Reconciler | null = null;
  #groupId: Id | null = null;

  private constructor(topology: Topology) {
    this.openers = Array.from({ length: OPENERS }, (_, index) => user(`member-${index}`));
    this.#router = createRouter({
      topology,
      clock: this.#clock,
      random: this.#random,
      log,
      connect: openSetNode,
    });
  }

  /** People, wallets, the group and its members; the courier of this process is at work. */
  static async gather(topology: Topology): Promise<SetPeople> {
    const people = new SetPeople(topology);
    people.carry(true);
    await people.#gather();
    return people;
  }

  /** Whether this process carries the outbox: only while things are prepared. */
  carry(on: boolean): void {
    if (on === (this.#reconciler !== null)) return;
    const clock = this.#clock;
    void this.#reconciler?.stop();
    this.#reconciler = on
      ? startReconciler({
          router: this.#router,
          bus: new MemoryBus({ clock, log }),
          clock,
          random: this.#random,
          log,
          metrics: createMetrics(),
          times: { pollMs: 20 },
        })
      : null;
  }

  /** The members' grants, fresh from the group's Set. */
  async grants(): Promise<Grant[]> {
    return Promise.all(this.openers.map((member) => this.#grantOf(member)));
  }

  /** Packets of 100 shares, live when this resolves. */
  async packets(count: number): Promise<Id[]> {
    const groupId = this.#group;
    const grant = await this.#grantOf(this.#sender);
    const ids: Id[] = [];
    const one = async (): Promise<void> => {
      const packetId = await this.#router.takeId(BENCH_SET);
      assert(packetId !== null, 'the Set gives ids');
      await this.#need({
        type: 'packet.send',
        commandId: makeCommandId(Date.now(), randomBytes(10)),
        grant,
        definition: {
          packetId,
          sender: this.#sender,
          groupId,
          kind: 'lucky',
          strategy: 'double_mean',
          timing: 'at_open',
          totalCents: cents(TOTAL_CENTS),
          count: OPENERS,
          lifetimeMs: LIMITS.packetLifetimeMs,
          greeting: '恭喜发财',
          receivers: [],
        },
      });
      ids.push(packetId);
    };
    // A grant is good for a minute.
    for (let left = count; left > 0; left -= AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, one));
    }
    await this.settled();
    return ids;
  }

  /** Resolves when the outbox is empty; the courier of this process must be at work. */
  async settled(): Promise<void> {
    const lateMs = performance.now() + SETTLED_WITHIN_MS;
    while ((await this.pendingTransfers()) > 0) {
      assert(performance.now() < lateMs, 'the outbox is emptied');
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** The newest LSN of the Set. */
  async newestLsn(): Promise<number> {
    const { money } = await this.#ask({ money: {} });
    return Number(money?.lsn ?? Number.NaN);
  }

  /** Transfers without a receipt. */
  async pendingTransfers(): Promise<number> {
    const { money } = await this.#ask({ money: {} });
    return money?.pendingTransfers ?? Number.NaN;
  }

  async close(): Promise<void> {
    this.carry(false);
    await this.#router.close();
  }

  get #group(): Id {
    assert(this.#groupId !== null, 'the group is founded');
    return this.#groupId;
  }

  async #gather(): Promise<void> {
    const sender = this.#sender;
    await this.#need({ type: 'wallet.open', user: sender, welcomeCents: cents(SENDER_CENTS) });
    await Promise.all(
      this.openers.map((member) =>
        this.#need({ type: 'wallet.open', user: member, welcomeCents: cents(100) }),
      ),
    );
    const groupId = await this.#router.takeId(BENCH_SET);
    assert(groupId !== null, 'the Set gives ids');
    const commandId = makeCommandId(Date.now(), randomBytes(10));
    const group = { groupId, name: 'bench', history: 'all' } as const;
    await this.#need({ type: 'group.create', commandId, user: sender, ...group });
    await this.settled();
    this.#groupId = groupId;
    const asked = { user: sender, groupId: String(groupId), lifetimeMs: LIMITS.inviteLifetimeMs };
    const { invite } = await this.#ask({ invite: asked });
    assert(invite !== null && invite !== undefined, 'an owner may invite');
    const mac = new Uint8Array(invite.mac);
    const expiresAt = timeMs(Number(invite.expiresAt));
    for (const member of this.openers) {
      const proof = { groupId, inviter: user(invite.inviter), expiresAt, mac };
      await this.#need({ type: 'group.join', user: member, invite: proof });
    }
    await this.settled();
  }

  async #grantOf(member: UserId): Promise<Grant> {
    const asked = { user: member, groupIds: [String(this.#group)] };
    const { membership } = await this.#ask({ membership: asked });
    const bytes = membership?.memberships[0]?.grant;
    assert(bytes !== undefined, 'a membership is answered');
    const grant = readGrant(new Reader(new Uint8Array(bytes)));
    assert(grant !== null, 'a member has a grant');
    return grant;
  }

  async #need<T extends Command['type']>(
    command: Extract<Command, { type: T }>,
  ): Promise<Extract<Success, { type: T }>> {
    let { outcome } = await this.#router.command(BENCH_SET, command, { deadlineMs: 30_000 });
    // On a loaded machine a leader may be replaced: nothing was done, and soon there is another.
    for (let tries = 0; tries < TRIES_MAX && outcome.status === 'set_unavailable'; tries++) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      ({ outcome } = await this.#router.command(BENCH_SET, command, { deadlineMs: 30_000 }));
    }
    assert(succeeded(outcome), `${command.type} is not refused (${outcome.status})`);
    // `succeeded` narrows the status, and an outcome has the type of its command.
    return outcome as unknown as Extract<Success, { type: T }>;
  }

  async #ask(ask: Ask) {
    const { status, reply } = await this.#router.query(BENCH_SET, ask, { deadlineMs: 10_000 });
    assert(reply !== null, `a query is answered (${status})`);
    return reply;
  }
}
