/** What a revealed seed must have given: rulings 21 and SPEC section A, written once more. */
import { createHash, createHmac } from 'node:crypto';
import type { Strategy } from './words.ts';

const WORD_SPAN = 2 ** 48;
const WORD_BYTES = 6;
const WORDS_PER_BLOCK = 5;

/** Numbers of draw k of a packet, in the order in which they are asked for. */
class Draw {
  readonly #seed: Uint8Array;
  readonly #k: number;
  #word = 0;
  #block: Buffer = Buffer.alloc(0);

  constructor(seed: Uint8Array, k: number) {
    this.#seed = seed;
    this.#k = k;
  }

  /** Uniform in [0, n); n = 1 takes no word. */
  below(n: number): number {
    if (n === 1) return 0;
    const limit = WORD_SPAN - (WORD_SPAN % n);
    for (;;) {
      const word = this.#next();
      if (word < limit) return word % n;
    }
  }

  #next(): number {
    const place = this.#word % WORDS_PER_BLOCK;
    if (place === 0) {
      const message = Buffer.alloc(8);
      message.writeUInt32LE(this.#k, 0);
      message.writeUInt32LE(this.#word / WORDS_PER_BLOCK, 4);
      this.#block = createHmac('sha256', this.#seed).update(message).digest();
    }
    this.#word += 1;
    return this.#block.readUIntLE(place * WORD_BYTES, WORD_BYTES);
  }
}

/** Which rule of SPEC a wrong share of this strategy breaks. */
export const SHARE_RULES: Readonly<Record<Strategy, string>> = {
  double_mean: 'A2',
  classic: 'A3',
  uniform: 'A4',
  equal: 'A5',
};

/** Share number `order` in cents, of `remaining` cents for the `left` people who are still to come. */
export function shareOf(args: {
  readonly strategy: Strategy;
  readonly seed: Uint8Array;
  readonly order: number;
  readonly remaining: number;
  readonly left: number;
}): number {
  const { strategy, seed, order, remaining, left } = args;
  if (left === 1) return remaining;
  const draw = new Draw(seed, order);
  const rest = remaining - left;
  switch (strategy) {
    case 'double_mean': {
      const twice = 2 * rest;
      const b = draw.below(left);
      const u = (twice - (twice % left)) / left + (b < twice % left ? 1 : 0);
      return 1 + draw.below(u + 1);
    }
    case 'classic': {
      const average = (rest - (rest % left)) / left;
      if (average === 0) return 1;
      const x = draw.below(4 * average - 2);
      return 1 + (x + 1 - ((x + 1) % 2)) / 2;
    }
    case 'uniform':
      return 1 + draw.below(rest + 1);
    case 'equal':
      return (remaining - (remaining % left)) / left + (remaining % left === 0 ? 0 : 1);
  }
}

/** SHA-256('hb1' ‖ packetId ‖ SHA-256(definition) ‖ seed), in hex. */
export function seedHashOf(args: {
  readonly packetId: bigint;
  readonly definitionHash: Uint8Array;
  readonly seed: Uint8Array;
}): string {
  const id = Buffer.alloc(8);
  id.writeBigUInt64LE(args.packetId);
  const hash = createHash('sha256').update('hb1').update(id);
  return hash.update(args.definitionHash).update(args.seed).digest('hex');
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** SPEC U2: the first 10 bits of the user's hash. */
export function slotOf(user: string): number {
  const hash = sha256(Buffer.from(user, 'utf8'));
  return ((hash[0] ?? 0) << 2) | ((hash[1] ?? 0) >> 6);
}
