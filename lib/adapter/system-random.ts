import { randomBytes, randomInt } from 'node:crypto';
import { assert } from '../core/assert.ts';
import type { Random } from '../port/random.ts';

/** The operating system's chance (SPEC section RA). */
export class SystemRandom implements Random {
  bytes(size: number): Uint8Array {
    // A copy, because small Buffers share one pool and a clone of one to a worker clones the pool.
    return new Uint8Array(randomBytes(size));
  }

  below(n: number): number {
    assert(Number.isInteger(n) && n >= 1 && n <= 2 ** 32, 'below takes 1 .. 2^32');
    return n === 1 ? 0 : randomInt(n);
  }
}
