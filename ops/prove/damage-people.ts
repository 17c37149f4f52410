import { Reader } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant, Invite } from '../../lib/core/grant.ts';
import { readGrant } from '../../lib/core/grant.ts';
import type { CommandId, Id } from '../../lib/core/ids.ts';
import { makeCommandId, setOfId } from '../../lib/core/ids.ts';
import type { Outcome, Success } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { retryOf } from '../../lib/core/status.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { Random } from '../../lib/port/random.ts';
import type { Ask, Router } from '../../router/api.ts';
import { pause } from './member.ts';

const WELCOME_CENTS = 500_000;
const FINAL_WITHIN_MS = 60_000;
const ASK_AGAIN_MS = 20;
const DAY_MS = 24 * 3_600_000;
/** Packets that are left to expire. */
const SHORT_MS = 1_000;
const STRATEGIES = ['double_mean', 'classic', 'uniform'] as const;

type Group = { readonly groupId: Id; readonly members: UserId[]; readonly invite: Invite };

export type TownOptions = {
  readonly router: Router;
  readonly random: Random;
  readonly people: number;
  readonly packets: number;
  /** The Sets read rules 3: people pay and are paid. */
  readonly hasPayments: boolean;
};

/**
 * People who do everything that leaves a trace in a journal, as an access node would ask for it:
 * groups, messages, packets that are drained, refunded, refused for ever and left live, payments.
 */
export class Town {
  readonly #options: TownOptions;
  readonly #people: readonly UserId[];
  readonly #groups: Group[] = [];

  constructor(options: TownOptions) {
    this.#options = options;
    this.#people = Array.from({ length: options.people }, (_, index) => userOf(`人-${index + 1}`));
  }

  /** Resolves when everything was answered; what is on its way is the courier's. */
  async live(): Promise<void> {
    const { router, packets, hasPayments } = this.#options;
    await each(this.#people, async (user) => {
      const welcomeCents = cents(WELCOME_CENTS);
      await this.#need(router.homeOf(user), { type: 'wallet.open', user, welcomeCents });
    });
    const [first, second] = [this.#groupOf(0), this.#groupOf(Math.floor(this.#people.length / 2))];
    this.#groups.push(await first, await second);
    for (const group of this.#groups) await this.#talk(group);
    const numbers = Array.from({ length: packets }, (_, index) => index);
    await each(numbers, (index) => this.#packet(index));
    await this.#refusals();
    if (hasPayments) await this.#pay();
  }

  async #groupOf(ownerAt: number): Promise<Group> {
    const { router } = this.#options;
    const owner = this.#person(ownerAt);
    const groupId = await this.#newId(owner);
    const name = `群 ${ownerAt}`;
    const commandId = this.#newCommandId();
    const founding = { commandId, user: owner, groupId, name, history: 'all' } as const;
    await this.#need(router.homeOf(owner), { type: 'group.create', ...founding });
    const invite = await this.#invite(owner, groupId);
    const others = this.#people.filter((user) => user !== owner);
    await each(others, async (user) => {
      await this.#need(setOfId(groupId), { type: 'group.join', user, invite });
    });
    return { groupId, members: [...this.#people], invite };
  }

  /** Messages, cursors, somebody who leaves and comes back, and somebody who leaves for good. */
  async #talk({ groupId, members, invite }: Group): Promise<void> {
    const set = setOfId(groupId);
    await each(members, async (user, at) => {
      const body = `你好 ${at}`;
      const commandId = this.#newCommandId();
      const message = { commandId, user, groupId, kind: 'text', body, seenSeq: at } as const;
      const { seq } = await this.#need(set, { type: 'message.send', ...message });
      if (at % 3 === 0) await this.#ask(set, { type: 'message.read', user, groupId, seq });
    });
    const [, guest, gone] = members;
    if (guest === undefined || gone === undefined) throw new Error('a group has members');
    for (const user of [guest, gone]) {
      const commandId = this.#newCommandId();
      await this.#need(set, { type: 'group.leave', user, groupId, commandId });
    }
    await this.#need(set, { type: 'group.join', user: guest, invite });
    members.splice(members.indexOf(gone), 1);
  }

  /** One in four is drained, one ends with a rest, one is not opened at all; the last stays live. */
  async #packet(index: number): Promise<void> {
    const group = this.#groups[index % 2];
    if (group === undefined) throw new Error('there is a group');
    const { members, groupId } = group;
    const sender = members[index % members.length] ?? this.#person(0);
    const fate = (['drained', 'rest', 'whole', 'live'] as const)[Math.floor(index / 2) % 4];
    const isShort = fate === 'rest' || fate === 'whole';
    const count = 3 + (index % 5);
    const definition = await this.#definition({ index, sender, groupId, members, count });
    const lifetimeMs = isShort ? SHORT_MS : DAY_MS;
    await this.#send({ ...definition, lifetimeMs });
    const opens = { drained: count, rest: count - 2, whole: 0, live: 2, none: 0 }[fate ?? 'none'];
    const openers = definition.kind === 'exclusive' ? definition.receivers : members;
    for (const user of openers.slice(0, opens)) {
      const { packetId } = definition;
      const grant = await this.#grantOf(user, groupId);
      await this.#ask(setOfId(packetId), { type: 'packet.open', packetId, user, grant });
    }
  }

  async #definition(args: {
    index: number;
    sender: UserId;
    groupId: Id;
    members: readonly UserId[];
    count: number;
  }): Promise<PacketDefinition> {
    const { index, sender, groupId, members, count } = args;
    const kind = (['lucky', 'lucky', 'equal', 'exclusive', 'lucky'] as const)[index % 5] ?? 'lucky';
    const isLucky = kind === 'lucky';
    return {
      packetId: await this.#newId(sender),
      sender,
      groupId,
      kind,
      strategy: isLucky ? (STRATEGIES[index % 3] ?? 'uniform') : 'equal',
      timing: isLucky && index % 2 === 0 ? 'pre_split' : 'at_open',
      totalCents: cents(count * (20 + (index % 7)) + (kind === 'exclusive' ? 0 : index % 3)),
      count,
      lifetimeMs: DAY_MS,
      greeting: `恭喜发财 ${index}`,
      receivers: kind === 'exclusive' ? members.slice(0, count) : [],
    };
  }

  async #send(definition: PacketDefinition): Promise<void> {
    const { sender, groupId, packetId } = definition;
    const grant = await this.#grantOf(sender, groupId);
    const commandId = this.#newCommandId();
    const home = this.#options.router.homeOf(sender);
    await this.#need(home, { type: 'packet.send', commandId, definition, grant });
    const endMs = performance.now() + FINAL_WITHIN_MS;
    while (performance.now() < endMs) {
      const asked = { packet: { packetId: String(packetId), user: sender } };
      const { status } = await this.#options.router.query(setOfId(packetId), asked);
      if (status === 'ok') return;
      await pause(ASK_AGAIN_MS);
    }
    throw new Error('a packet does not arrive');
  }

  /** An empty purse, which is journaled; and an id used twice: a tombstone, and money that comes back. */
  async #refusals(): Promise<void> {
    const { router } = this.#options;
    const [group] = this.#groups;
    const sender = this.#person(3);
    if (group === undefined) throw new Error('there is a group');
    const { groupId, members } = group;
    const grant = await this.#grantOf(sender, groupId);
    const args = { index: 0, sender, groupId, members, count: 4 };
    const definition = await this.#definition(args);
    const packets = Math.ceil(WELCOME_CENTS / 20_000) + 2;
    const home = router.homeOf(sender);
    for (let number = 0; number < 2; number++) {
      const commandId = this.#newCommandId();
      await this.#need(home, { type: 'packet.send', commandId, definition, grant });
    }
    for (let number = 0; number < packets; number++) {
      const large = { ...(await this.#definition(args)), totalCents: cents(20_000) };
      const commandId = this.#newCommandId();
      await this.#ask(home, { type: 'packet.send', commandId, definition: large, grant });
    }
  }

  /** Paid, denied, left to themselves; taken out, and given back; frozen, adjusted. */
  async #pay(): Promise<void> {
    const { router } = this.#options;
    const operator = userOf('operator');
    for (const [at, user] of this.#people.slice(0, 8).entries()) {
      const home = router.homeOf(user);
      const amountCents = cents(1_000 + at);
      const result = at % 3 === 2 ? 'denied' : 'paid';
      const reference = `ref-${at}`;
      const topup = { commandId: this.#newCommandId(), user, amountCents };
      const { paymentId } = await this.#need(home, { type: 'wallet.topup', ...topup });
      // One is never heard of again.
      if (at !== 7) {
        const heard = { paymentId, result, amountCents, reference } as const;
        await this.#need(home, { type: 'payment.settle', ...heard });
      }
      if (at < 2) continue;
      const out = { commandId: this.#newCommandId(), user, amountCents: cents(70 + at) };
      const withdrawn = { ...out, destination: `****${at}` };
      const taken = await this.#need(home, { type: 'wallet.withdraw', ...withdrawn });
      if (at === 6) continue;
      const { paymentId: outId } = taken;
      const paid = { paymentId: outId, result, amountCents: out.amountCents, reference } as const;
      await this.#need(home, { type: 'payment.settle', ...paid });
    }
    await this.#payPackets();
    for (const [at, user] of this.#people.slice(4, 7).entries()) {
      const home = router.homeOf(user);
      const reason = 'a reason';
      const commandId = this.#newCommandId();
      const adjusted = { commandId, operator, user, amountCents: cents(at - 5), reason };
      await this.#need(home, { type: 'wallet.adjust', ...adjusted });
      const frozen = { commandId: this.#newCommandId(), operator, user, frozen: true, reason };
      await this.#need(home, { type: 'wallet.freeze', ...frozen });
    }
  }

  /** Packets that are paid from outside. */
  async #payPackets(): Promise<void> {
    const { router } = this.#options;
    const [group] = this.#groups;
    if (group === undefined) throw new Error('there is a group');
    const { groupId, members } = group;
    for (const [at, sender] of members.slice(0, 4).entries()) {
      const home = router.homeOf(sender);
      const definition = await this.#definition({ index: at, sender, groupId, members, count: 3 });
      const grant = await this.#grantOf(sender, groupId);
      const commandId = this.#newCommandId();
      const paid = { commandId, definition, grant };
      const { paymentId } = await this.#need(home, { type: 'packet.pay', ...paid });
      const amountCents = definition.totalCents;
      const result = at === 2 ? 'denied' : 'paid';
      const heard = { paymentId, result, amountCents, reference: `p-${at}` } as const;
      await this.#need(home, { type: 'payment.settle', ...heard });
    }
  }

  async #invite(user: UserId, groupId: Id): Promise<Invite> {
    const asked = { invite: { user, groupId: String(groupId), lifetimeMs: '3600000' } };
    const reply = await this.#look(setOfId(groupId), asked, (found) => found.invite ?? null);
    const { inviter, expiresAt, mac } = reply;
    return {
      groupId,
      inviter: userOf(inviter),
      expiresAt: timeMs(Number(expiresAt)),
      mac: new Uint8Array(mac),
    };
  }

  async #grantOf(user: UserId, groupId: Id): Promise<Grant> {
    const asked = { membership: { user, groupIds: [String(groupId)] } };
    const bytes = await this.#look(setOfId(groupId), asked, (found) => {
      const grant = found.membership?.memberships[0]?.grant;
      return grant === undefined || grant.length === 0 ? null : grant;
    });
    const grant = readGrant(new Reader(new Uint8Array(bytes)));
    if (grant === null) throw new Error(`${user} has no grant`);
    return grant;
  }

  /** Asks until there is such a thing: groups arrive by the courier. */
  async #look<Found>(
    set: SetId,
    ask: Ask,
    find: (reply: NonNullable<Awaited<ReturnType<Router['query']>>['reply']>) => Found | null,
  ): Promise<Found> {
    const endMs = performance.now() + FINAL_WITHIN_MS;
    while (performance.now() < endMs) {
      const { reply } = await this.#options.router.query(set, ask);
      const found = reply === null ? null : find(reply);
      if (found !== null) return found;
      await pause(ASK_AGAIN_MS);
    }
    throw new Error('what was asked for does not arrive');
  }

  async #ask(set: SetId, command: Command): Promise<Outcome> {
    const endMs = performance.now() + FINAL_WITHIN_MS;
    for (;;) {
      const { outcome } = await this.#options.router.command(set, command);
      if (succeeded(outcome) || retryOf(outcome.status) === 'final') return outcome;
      if (performance.now() > endMs) throw new Error(`${command.type}: ${outcome.status} for ever`);
      await pause(ASK_AGAIN_MS);
    }
  }

  async #need<T extends Command['type']>(
    set: SetId,
    command: Extract<Command, { type: T }>,
  ): Promise<Extract<Success, { type: T }>> {
    const outcome = await this.#ask(set, command);
    if (!succeeded(outcome)) throw new Error(`${command.type} was refused: ${outcome.status}`);
    // An outcome has the type of its command: `decodeOutcome` reads it by that.
    return outcome as unknown as Extract<Success, { type: T }>;
  }

  async #newId(user: UserId): Promise<Id> {
    const set = this.#options.router.place(`${user} ${this.#newCommandId()}`);
    if (set === null) throw new Error('no Set takes new things');
    const endMs = performance.now() + FINAL_WITHIN_MS;
    while (performance.now() < endMs) {
      const id = await this.#options.router.takeId(set);
      if (id !== null) return id;
      await pause(ASK_AGAIN_MS);
    }
    throw new Error('no id');
  }

  #newCommandId(): CommandId {
    return makeCommandId(timeMs(Date.now()), this.#options.random.bytes(10));
  }

  #person(at: number): UserId {
    const user = this.#people[at % this.#people.length];
    if (user === undefined) throw new Error('nobody is here');
    return user;
  }
}

const AT_ONCE = 16;

async function each<Item>(
  items: readonly Item[],
  run: (item: Item, at: number) => Promise<void>,
): Promise<void> {
  const waiting = [...items.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await run(next[1], next[0]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function userOf(name: string): UserId {
  const user = parseUserId(name);
  if (user === null) throw new Error(`${name} is no user id`);
  return user;
}
