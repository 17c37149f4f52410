import { LIMITS } from '../lib/core/limits.ts';
import type { Cache } from '../lib/port/cache.ts';
import type { Random } from '../lib/port/random.ts';
import type { Output } from './schema.ts';
import type { PacketFacts } from './packet-memo.ts';
import type { Person } from './people.ts';

/** Rulings 20: 1–3 s, so that those who wait do not come back together. */
const WAIT_MIN_MS = 1_000;
const WAIT_SPREAD_MS = 2_001;

type Answer = Output<'packet.grab'>;

function now(status: Answer['status']): Answer {
  return { status, retryAfterMs: 0 };
}

/** The line before a packet: a cheap filter that promises nothing (design 4, rulings 20). */
export class Gate {
  readonly #cache: Cache;
  readonly #random: Random;
  readonly #failed: () => void;

  /** `failed` is told when the cache did not answer and the gate stood open. */
  constructor(args: { cache: Cache; random: Random; failed: () => void }) {
    this.#cache = args.cache;
    this.#random = args.random;
    this.#failed = args.failed;
  }

  async grab(person: Person, packet: PacketFacts): Promise<Answer> {
    const id = String(packet.packetId);
    if (person.opened.has(id)) return now('already_opened');
    if (packet.phase !== 'live') return now(packet.phase);
    // A stranger to the packet: the owner will tell.
    if (packet.shown === null) return now('go');
    const key = lineKey(id);
    try {
      const inLine = await this.#cache.addMember(key, person.hash, LIMITS.grabLineMs);
      if (inLine <= LIMITS.grabLineFactor * packet.shown.count) {
        person.inLine.set(id, true);
        return now('go');
      }
      await this.#cache.removeMember(key, person.hash);
    } catch {
      this.#failed();
      return now('go');
    }
    return { status: 'wait', retryAfterMs: WAIT_MIN_MS + this.#random.below(WAIT_SPREAD_MS) };
  }

  /** The open was answered: its place in the line is free. */
  leave(person: Person, packetId: string): void {
    if (!person.inLine.delete(packetId)) return;
    this.#cache.removeMember(lineKey(packetId), person.hash).catch(this.#failed);
  }
}

function lineKey(packetId: string): string {
  return `line:${packetId}`;
}
