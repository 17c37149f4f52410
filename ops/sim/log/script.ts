import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Command } from '../../../lib/core/command.ts';
import { RIGHT_SEND_PACKET, grantMac } from '../../../lib/core/grant.ts';
import { HmacKey } from '../../../lib/core/hmac.ts';
import type { Id } from '../../../lib/core/ids.ts';
import { idPlus, makeCommandId, setOfId } from '../../../lib/core/ids.ts';
import { succeeded } from '../../../lib/core/outcome.ts';
import type { Transfer } from '../../../lib/core/transfer.ts';
import { LANES } from '../../../lib/core/transfer.ts';
import { cents, lsn, setId } from '../../../lib/core/units.ts';
import type { UserId } from '../../../lib/core/user.ts';
import { parseUserId } from '../../../lib/core/user.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { Crypto } from '../../../lib/port/crypto.ts';
import type { Clients, Wish } from './clients.ts';

/** The other Set, whose courier brings packets and groups. It exists only as its transfers. */
export const OTHER_SET = setId(2);
const USERS: readonly UserId[] = ['ann', 'bob', 'cid', 'dot', 'eve', 'fay'].map((name) => {
  const user = parseUserId(name);
  if (user === null) throw new Error(`not a user: ${name}`);
  return user;
});
const DELIVERIES_MAX = 2;
/** One create in so many. */
const REUSED = 12;

/** What the people of a walk do, drawn from its seed: each step adds a few wishes. */
export class Script {
  readonly #clients: Clients;
  readonly #chance: SeededRandom;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  #freeIds: Id[] = [];
  readonly #groups: { groupId: Id; owner: UserId }[] = [];
  readonly #packets: { packetId: Id; groupId: Id }[] = [];
  readonly #waiting: Transfer[] = [];
  readonly #delivered: Extract<Command, { type: 'transfer.deliver' }>[] = [];
  #deliveries = 0;
  #nextNumber = 1;

  constructor(args: { clients: Clients; chance: SeededRandom; clock: Clock; crypto: Crypto }) {
    this.#clients = args.clients;
    this.#chance = args.chance;
    this.#clock = args.clock;
    this.#crypto = args.crypto;
  }

  step(): void {
    if (this.#clients.open > 12) return;
    const first = this.#groups.length === 0;
    if (this.#freeIds.length < 2) this.#reserve();
    const dice = this.#chance.below(10);
    if (first || dice === 0) this.#found();
    else if (dice <= 2) this.#createPacket();
    else if (dice <= 6) this.#openPacket();
    else if (dice <= 8) this.#message();
    else this.#openWallet();
    this.#deliver();
  }

  #user(): UserId {
    return this.#pick(USERS);
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[this.#chance.below(list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }

  #reserve(): Wish {
    return this.#clients.want({ type: 'ids.reserve', count: 4 }, ({ outcome }) => {
      if (!succeeded(outcome) || outcome.type !== 'ids.reserve') return;
      for (let at = 0; at < outcome.count; at++) this.#freeIds.push(idPlus(outcome.firstId, at));
    });
  }

  #found(): void {
    const groupId = this.#freeIds.shift();
    if (groupId === undefined) return;
    const owner = this.#user();
    this.#waiting.push({ kind: 'group.found', groupId, owner, name: 'g', history: 'all' });
    this.#groups.push({ groupId, owner });
  }

  #createPacket(): void {
    // Now and then a faulty node uses an id a second time, for somebody else's packet (ADR 6).
    const known = this.#chance.below(REUSED) === 0 ? this.#packets.at(-1)?.packetId : undefined;
    const packetId = known ?? this.#freeIds.shift();
    if (packetId === undefined || this.#groups.length === 0) return;
    const { groupId, owner } = this.#pick(this.#groups);
    const count = 1 + this.#chance.below(4);
    const definition = {
      packetId,
      groupId,
      sender: owner,
      kind: 'lucky',
      strategy: 'double_mean',
      timing: this.#pick(['at_open', 'pre_split'] as const),
      totalCents: cents(count + this.#chance.below(500)),
      count,
      lifetimeMs: 1_000 + this.#chance.below(8_000),
      greeting: '',
      receivers: [],
    } as const;
    this.#waiting.push({ kind: 'packet.create', definition, sentAt: this.#clock.now() });
    if (known === undefined) this.#packets.push({ packetId, groupId });
  }

  #openPacket(): void {
    if (this.#packets.length === 0) return;
    const packet = this.#pick(this.#packets.slice(-3));
    const user = this.#user();
    const { packetId } = packet;
    this.#clients.want({ type: 'packet.open', packetId, user, grant: this.#grant(user, packet) });
  }

  #grant(user: UserId, { groupId }: { groupId: Id }): ReturnType<typeof grantOf> {
    const key = new HmacKey(this.#crypto.grantKey(setOfId(groupId)));
    return grantOf({ key, user, groupId, issuedAt: this.#clock.now() });
  }

  #message(): void {
    if (this.#groups.length === 0) return;
    const { groupId, owner: user } = this.#pick(this.#groups);
    const commandId = makeCommandId(this.#clock.now(), this.#chance.bytes(10));
    const body = String(this.#clients.wishes.length);
    this.#clients.want({
      type: 'message.send',
      commandId,
      user,
      groupId,
      kind: 'text',
      body,
      seenSeq: 0,
    });
  }

  #openWallet(): void {
    const user = this.#user();
    this.#clients.want({ type: 'wallet.open', user, welcomeCents: cents(1_000) });
  }

  /** The courier of the other Set: in order, a few on their way at once, now and then one again. */
  #deliver(): void {
    const again = this.#delivered[this.#chance.below(20)];
    if (again !== undefined) this.#clients.want(again);
    if (this.#waiting.length === 0 || this.#deliveries >= DELIVERIES_MAX) return;
    const transfers = this.#waiting.splice(0, 3);
    const first = this.#nextNumber;
    const type = 'transfer.deliver';
    this.#nextNumber += transfers.length;
    this.#deliveries += 1;
    const command = { type, from: OTHER_SET, lane: LANES.control, first, transfers } as const;
    this.#clients.want(command, () => {
      this.#deliveries -= 1;
      this.#delivered.push(command);
    });
  }
}

function grantOf(args: {
  key: HmacKey;
  user: UserId;
  groupId: Id;
  issuedAt: ReturnType<Clock['now']>;
}): Exclude<Extract<Command, { type: 'packet.open' }>['grant'], null> {
  const { key, user, groupId, issuedAt } = args;
  const body = {
    groupId,
    role: 'member',
    rights: RIGHT_SEND_PACKET,
    groupLsn: lsn(1),
    issuedAt,
  } as const;
  return { ...body, mac: grantMac(key, user, body) };
}
