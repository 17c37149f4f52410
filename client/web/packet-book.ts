import { verifyPacket } from '../index.ts';
import type {
  Claim,
  GrabResult,
  HongbaoClient,
  Message,
  Packet,
  PacketEvent,
  Verdict,
} from '../index.ts';
import { bodyOf, packetIdOf } from './message-log.ts';
import { Store } from './store.ts';

/** What this page knows of a packet. `mine` is undefined until somebody said. */
export type PacketCard = {
  readonly packetId: string;
  readonly groupId: string;
  sender: string;
  kind: string;
  count: number;
  taken: number;
  greeting: string;
  phase: 'live' | 'drained' | 'refunded';
  at: number;
  expiresAt: number;
  seedHash: string;
  mine: Claim | null | undefined;
  /** Pushed as live: shown at once, before the group's Set has announced it (rulings 2). */
  isPushed: boolean;
  /** The whole truth, as far as we may see it, when it was asked for. */
  details: Packet | null;
  claims: readonly Claim[];
  verdict: Verdict | null;
};

const BLANK = {
  taken: 0,
  phase: 'live',
  mine: undefined,
  isPushed: false,
  details: null,
  claims: [],
  verdict: null,
} as const satisfies Partial<PacketCard>;

/** Pause between questions about packets that scroll into view: the server allows 20 a second. */
const LOOK_MS = 80;

/** Every packet this page has met. */
export class PacketBook extends Store {
  readonly #client: HongbaoClient;
  readonly #cards = new Map<string, PacketCard>();
  readonly #toLook: string[] = [];
  readonly #asked = new Set<string>();
  #isLooking = false;

  constructor(client: HongbaoClient) {
    super();
    this.#client = client;
  }

  get(packetId: string): PacketCard | null {
    return this.#cards.get(packetId) ?? null;
  }

  /** Packets of a group that are live here and not yet in its messages. */
  unannounced(groupId: string, isAnnounced: (packetId: string) => boolean): PacketCard[] {
    return [...this.#cards.values()].filter(
      (card) => card.isPushed && card.groupId === groupId && !isAnnounced(card.packetId),
    );
  }

  fromMessage(message: Message): void {
    const packetId = packetIdOf(message);
    if (packetId === null || this.#cards.has(packetId)) return;
    const { kind, count, greeting, expiresAt, seedHash } = bodyOf(message);
    const { groupId, sender, at } = message;
    this.#cards.set(packetId, {
      ...BLANK,
      packetId,
      groupId,
      sender,
      at,
      kind: typeof kind === 'string' ? kind : 'lucky',
      count: typeof count === 'number' ? count : 0,
      greeting: typeof greeting === 'string' ? greeting : '',
      expiresAt: typeof expiresAt === 'number' ? expiresAt : Number.MAX_SAFE_INTEGER,
      seedHash: typeof seedHash === 'string' ? seedHash : '',
    });
    this.changed();
  }

  fromEvent(event: PacketEvent): void {
    const known = this.#cards.get(event.packetId);
    const phase = event.phase === 'progress' ? 'live' : event.phase;
    const isNew = event.phase === 'live';
    if (known === undefined) {
      const { packetId, groupId, sender, kind, count, taken, greeting, at } = event;
      const { expiresAt, seedHash } = event;
      const told = { packetId, groupId, sender, kind, count, taken, greeting, at };
      const mine = isNew ? null : undefined;
      const card = { ...BLANK, ...told, expiresAt, seedHash, phase, mine, isPushed: isNew };
      this.#cards.set(packetId, card);
    } else {
      known.taken = Math.max(known.taken, event.taken);
      // An end is for ever; a late `progress` does not bring a packet back to life.
      if (known.phase === 'live') known.phase = phase;
      if (isNew && known.mine === undefined) known.mine = null;
    }
    this.changed();
  }

  /** Asks, when its turn comes, whether we have opened a packet; once per packet. */
  look(packetId: string): void {
    const card = this.#cards.get(packetId);
    if (card === undefined || card.mine !== undefined || this.#asked.has(packetId)) return;
    this.#asked.add(packetId);
    this.#toLook.push(packetId);
    if (!this.#isLooking) void this.#lookAll();
  }

  async #lookAll(): Promise<void> {
    this.#isLooking = true;
    for (let next = this.#toLook.pop(); next !== undefined; next = this.#toLook.pop()) {
      try {
        this.#learn(await this.#client.packet.get(next));
      } catch {
        // Only a hint: the answer to a tap on it says the truth.
        this.#asked.delete(next);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    this.#isLooking = false;
  }

  /** Grabs and opens. Rejects with HongbaoError. */
  async open(packetId: string): Promise<GrabResult> {
    const result = await this.#client.packet.grabAndOpen(packetId);
    const card = this.#cards.get(packetId);
    if (card === undefined) return result;
    if (result.status === 'opened' || result.status === 'already_opened') {
      const { order, amountCents, at, left } = result;
      card.mine = { userId: '', order, amountCents, at };
      if (left !== null) card.taken = Math.max(card.taken, card.count - left);
    } else if (card.phase === 'live') {
      card.phase = result.status === 'drained' ? 'drained' : 'refunded';
    }
    this.changed();
    return result;
  }

  /** Reads totals and who got what. Rejects with HongbaoError; amounts may be hidden. */
  async loadDetails(packetId: string): Promise<void> {
    const packet = await this.#client.packet.get(packetId);
    this.#learn(packet);
    const card = this.#cards.get(packetId);
    if (card === undefined || packet.totalCents === null) return;
    const claims = await this.#client.packet.allClaims(packetId);
    // A read may be stale: never show fewer than before.
    if (claims.length >= card.claims.length) card.claims = claims;
    this.changed();
  }

  /** Recomputes every share on this machine. Rejects with HongbaoError. */
  async verify(packetId: string): Promise<void> {
    await this.loadDetails(packetId);
    const card = this.#cards.get(packetId);
    if (card === undefined || card.details === null) return;
    card.verdict = verifyPacket({ packet: card.details, claims: card.claims });
    this.changed();
  }

  #learn(packet: Packet): void {
    const card = this.#cards.get(packet.packetId);
    if (card === undefined) return;
    card.details = packet;
    card.taken = Math.max(card.taken, packet.taken);
    if (card.phase === 'live') card.phase = packet.phase;
    card.mine = packet.mine ?? card.mine ?? null;
    card.at = packet.createdAt;
    card.expiresAt = packet.expiresAt;
    this.changed();
  }
}
