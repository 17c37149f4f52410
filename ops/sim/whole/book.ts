import { hold } from '../trace.ts';
import type { Fields } from './fields.ts';
import { fieldsOf, list, text, textOrNull, whole, wholeOrNull } from './fields.ts';
import type { Told } from './told.ts';

/** All that a sender says of a packet. */
export type Definition = {
  readonly groupId: string;
  readonly totalCents: number;
  readonly count: number;
  readonly kind: string;
  readonly strategy: string;
  readonly timing: string;
  readonly lifetimeMs: number;
  /** Each wish has its own, so that a packet that was made twice is seen. */
  readonly greeting: string;
  readonly receivers: readonly string[];
};

export type Claim = {
  readonly user: string;
  readonly order: number;
  readonly amountCents: number;
  readonly at: number;
};

/** A packet as far as anybody was told of it. */
export type PacketStory = {
  readonly packetId: string;
  definition: Definition | null;
  readonly byOrder: Map<number, Claim>;
  readonly byUser: Map<string, Claim>;
  claimedCents: number;
  /** Somebody was told that it is there. */
  shown: boolean;
  ended: 'drained' | 'refunded' | null;
  announced: string | null;
};

type Message = {
  readonly sender: string;
  readonly kind: string;
  readonly body: string;
  readonly at: number;
  readonly clientMsgId: string;
};

/**
 * What all people of a walk were told, held together: no two of them are told different stories
 * (M10), whoever told them and whenever. Journals are not looked at here.
 */
export class Book {
  readonly #told: Told;
  readonly #packets = new Map<string, PacketStory>();
  readonly #packetByGreeting = new Map<string, string>();
  readonly #messages = new Map<string, Message>();
  readonly #seqByClientId = new Map<string, string>();
  /** Greetings of packets whose sender was told that there is no money for them. */
  readonly #refused = new Set<string>();

  constructor(told: Told) {
    this.#told = told;
  }

  packet(packetId: string): PacketStory {
    const known = this.#packets.get(packetId);
    if (known !== undefined) return known;
    const story: PacketStory = {
      packetId,
      definition: null,
      byOrder: new Map(),
      byUser: new Map(),
      claimedCents: 0,
      shown: false,
      ended: null,
      announced: null,
    };
    this.#packets.set(packetId, story);
    return story;
  }

  // ---- packets

  /** Its sender was told yes. */
  sent(packetId: string, definition: Definition): void {
    this.#named(packetId, definition.greeting);
    this.packet(packetId).definition ??= definition;
  }

  /** Its sender was told that the money is not there. */
  refused({ greeting }: Definition): void {
    this.#refused.add(greeting);
    hold(!this.#packetByGreeting.has(greeting), `C7 packet ${greeting} was refused, and is there`);
  }

  #named(packetId: string, greeting: string): void {
    hold(!this.#refused.has(greeting), `C7 packet ${greeting} was refused, and is there`);
    const other = this.#packetByGreeting.get(greeting) ?? packetId;
    hold(other === packetId, `M8 packet ${greeting} was made twice: ${other} and ${packetId}`);
    this.#packetByGreeting.set(greeting, packetId);
  }

  /** One share, shown to anybody. */
  claim(packetId: string, claim: Claim): void {
    const { user, order, amountCents, at } = claim;
    const story = this.packet(packetId);
    const known = story.byOrder.get(order);
    if (known !== undefined) {
      const same = known.user === user && known.amountCents === amountCents && known.at === at;
      const was = `${known.user} ${known.amountCents} c at ${known.at}`;
      hold(
        same,
        `M10 share ${order} of ${packetId}: ${was}, then ${user} ${amountCents} c at ${at}`,
      );
      return;
    }
    hold(!story.byUser.has(user), `M5 ${user} has two shares of ${packetId}`);
    hold(amountCents >= 1, `M4 share ${order} of ${packetId} is ${amountCents} c`);
    hold(order >= 1, `M5 share ${order} of ${packetId}`);
    story.byOrder.set(order, claim);
    story.byUser.set(user, claim);
    story.claimedCents += amountCents;
    story.shown = true;
    if (story.definition !== null) {
      const { totalCents, count } = story.definition;
      hold(order <= count, `M5 share ${order} of ${packetId} with ${count} shares`);
      hold(story.claimedCents <= totalCents, `M4 ${packetId}: more than ${totalCents} c were told`);
    }
    this.#told.claims.push({ packetId, ...claim });
  }

  claimOf(packetId: string, d: Fields): Claim {
    const claim = {
      user: text(d, 'userId'),
      order: whole(d, 'order'),
      amountCents: whole(d, 'amountCents'),
      at: whole(d, 'at'),
    };
    this.claim(packetId, claim);
    return claim;
  }

  /** Somebody was told of its end. */
  end(packetId: string, how: 'drained' | 'refunded'): void {
    const story = this.packet(packetId);
    const was = story.ended ?? how;
    hold(was === how, `M7 packet ${packetId} is ${was}, then ${how}`);
    story.ended = how;
    story.shown = true;
  }

  /** The event `packet`. */
  packetNews(d: Fields): PacketStory {
    const story = this.packet(text(d, 'packetId'));
    const { packetId, definition } = story;
    story.shown = true;
    this.#named(packetId, text(d, 'greeting'));
    const phase = text(d, 'phase');
    const count = whole(d, 'count');
    hold(whole(d, 'taken') <= count, `M5 packet ${packetId}: more than ${count} shares are taken`);
    if (definition !== null) {
      const same = definition.count === count && definition.kind === d['kind'];
      hold(same, `M10 packet ${packetId} is not what was sent`);
    }
    if (phase === 'drained' || phase === 'refunded') this.end(packetId, phase);
    return story;
  }

  /** The answer to `packet.get`. `wasEnded`: it was so when the question was asked. */
  packetShown(d: Fields, wasEnded: PacketStory['ended']): PacketStory {
    const story = this.packet(text(d, 'packetId'));
    const { packetId, definition } = story;
    story.shown = true;
    this.#named(packetId, text(d, 'greeting'));
    const phase = text(d, 'phase');
    const taken = whole(d, 'taken');
    const count = whole(d, 'count');
    if (definition !== null) holdDefinition(packetId, d, definition);
    if (d['mine'] !== null) this.claimOf(packetId, fieldsOf(d['mine'], 'mine'));
    if (d['best'] !== null) this.claimOf(packetId, fieldsOf(d['best'], 'best'));
    hold(taken <= count, `M5 packet ${packetId}: ${taken} of ${count} shares are taken`);
    if (phase === 'live') {
      hold(wasEnded === null, `M7 packet ${packetId} was ${wasEnded}, and is live`);
      hold(textOrNull(d, 'seed') === null, `A7 packet ${packetId} is live and shows its seed`);
      return story;
    }
    hold(phase === 'drained' || phase === 'refunded', `protocol: phase ${phase}`);
    this.end(packetId, phase);
    hold(
      (taken === count) === (phase === 'drained'),
      `M7 ${packetId}: ${phase} with ${taken} taken`,
    );
    hold(textOrNull(d, 'seed') !== null, `A7 packet ${packetId} is ${phase} and hides its seed`);
    const totalCents = wholeOrNull(d, 'totalCents');
    if (totalCents !== null) {
      const paid = whole(d, 'takenCents') + whole(d, 'refundedCents');
      hold(paid === totalCents, `M4 packet ${packetId}: ${paid} c of ${totalCents} c came out`);
    }
    return story;
  }

  /** The answer to `packet.claims` that was to begin after `afterOrder`. */
  claimsShown(packetId: string, d: Fields, afterOrder: number): void {
    let order = afterOrder;
    for (const one of list(d, 'claims')) {
      const claim = this.claimOf(packetId, one);
      order += 1;
      hold(
        claim.order === order,
        `M5 share ${claim.order} of ${packetId} where ${order} should be`,
      );
    }
    if (d['best'] === null) return;
    const best = this.claimOf(packetId, fieldsOf(d['best'], 'best'));
    for (const { order: other, amountCents } of this.packet(packetId).byOrder.values()) {
      const luckier =
        amountCents > best.amountCents || (amountCents === best.amountCents && other < best.order);
      hold(!luckier, `A8 share ${other} of ${packetId} is better than the best, ${best.order}`);
    }
  }

  // ---- messages

  /** A message in an event or a list; the group it is in. */
  message(d: Fields): string {
    const groupId = text(d, 'groupId');
    const place = `${groupId}/${whole(d, 'seq')}`;
    const known = this.#messages.get(place);
    if (known !== undefined) {
      const same =
        known.body === d['body'] &&
        known.sender === d['sender'] &&
        known.clientMsgId === d['clientMsgId'] &&
        known.kind === d['kind'] &&
        known.at === d['at'];
      if (!same) hold(false, `M10 message ${place}: ${JSON.stringify([known, d])}`);
      return groupId;
    }
    const message = {
      sender: text(d, 'sender'),
      kind: text(d, 'kind'),
      body: text(d, 'body'),
      at: whole(d, 'at'),
      clientMsgId: text(d, 'clientMsgId'),
    };
    this.#messages.set(place, message);
    const { sender, body, at, clientMsgId, kind } = message;
    if (clientMsgId !== '') this.placed(`${groupId} ${sender} ${clientMsgId}`, place);
    if (kind === 'red_packet') this.#announced(body, place);
    const seq = whole(d, 'seq');
    this.#told.messages.push({ how: 'shown', user: sender, groupId, clientMsgId, seq, at, body });
    return groupId;
  }

  #announced(body: string, place: string): void {
    const d: unknown = JSON.parse(body);
    const packetId = typeof d === 'object' && d !== null && 'packetId' in d ? d.packetId : null;
    // Of a stage of a test: nothing is said of the packet.
    if (typeof packetId !== 'string') return;
    const story = this.packet(packetId);
    const other = story.announced ?? place;
    hold(other === place, `M8 packet ${packetId} was announced twice: ${other} and ${place}`);
    story.announced = place;
    story.shown = true;
  }

  /** One message of a person's client id is at one place, or has been made twice. */
  placed(key: string, place: string): void {
    const other = this.#seqByClientId.get(key) ?? place;
    hold(other === place, `M9 one message at two places: ${other} and ${place}`);
    this.#seqByClientId.set(key, place);
  }

  /** A page of messages of one group, oldest first, has no hole (Q2). */
  page(messages: readonly Fields[], groupId: string): void {
    let before: number | null = null;
    for (const one of messages) {
      const seq = whole(one, 'seq');
      hold(this.message(one) === groupId, `M10 a message of another group in ${groupId}`);
      hold(before === null || seq === before + 1, `Q2 ${groupId}: ${seq} follows ${before}`);
      before = seq;
    }
  }
}

function holdDefinition(packetId: string, d: Fields, sent: Definition): void {
  const shown = [d['groupId'], d['kind'], d['strategy'], d['timing'], d['count'], d['greeting']];
  const { groupId, kind, strategy, timing, count, greeting, totalCents, lifetimeMs } = sent;
  const wanted = [groupId, kind, strategy, timing, count, greeting];
  const wrong = shown.findIndex((value, at) => value !== wanted[at]);
  hold(
    wrong === -1,
    `M10 packet ${packetId}: sent ${wanted[wrong]}, shown ${String(shown[wrong])}`,
  );
  const cents = wholeOrNull(d, 'totalCents') ?? totalCents;
  hold(cents === totalCents, `M10 packet ${packetId}: sent ${totalCents} c, shown ${cents} c`);
  const lives = whole(d, 'expiresAt') - whole(d, 'createdAt');
  hold(lives === lifetimeMs, `M10 packet ${packetId}: lives ${lives} ms, sent ${lifetimeMs} ms`);
}
