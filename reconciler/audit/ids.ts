import type { Place } from './place.ts';
import { setOf } from './words.ts';

/** An id's last 12 bits count within a millisecond. */
const PER_MS = 4096;

/** Blocks of ids that a Set gave out, and which of them became packets and groups (SPEC C10). */
export class Ids {
  /** Rising, because a cursor never falls back. */
  readonly #blocks: { readonly first: bigint; readonly last: bigint; readonly lsn: number }[] = [];
  readonly #used = new Set<bigint>();

  reserve(block: { firstId: bigint; count: number; asked: number; place: Place }): void {
    const { firstId, count, asked, place } = block;
    if (count !== asked || count < 1)
      throw place.broken('C10', `a block of ${count}, not ${asked}`);
    const last = firstId + BigInt(count - 1);
    if (setOf(firstId) !== place.setId) throw place.broken('U4', `${firstId} is of another Set`);
    if (Number(firstId % BigInt(PER_MS)) + count > PER_MS) {
      throw place.broken('U4', `the block at ${firstId} runs out of its millisecond`);
    }
    const before = this.#blocks.at(-1);
    if (before !== undefined && firstId <= before.last) {
      throw place.broken('C10', `ids from ${firstId} on were given out up to ${before.last}`);
    }
    this.#blocks.push({ first: firstId, last, lsn: place.lsn });
  }

  /** An id becomes a packet or a group. */
  use(id: bigint, place: Place): void {
    if (setOf(id) !== place.setId) throw place.broken('U4', `${id} is of another Set`);
    if (this.#used.has(id)) throw place.broken('C10', `id ${id} was used before`);
    const block = this.#blockOf(id);
    if (block === undefined) throw place.broken('C10', `id ${id} was never given out`);
    // It leaves the Set only when the entry that gives it is committed.
    if (block.lsn >= place.lsn)
      throw place.broken('C10', `id ${id} is used before it is committed`);
    this.#used.add(id);
  }

  isUsed(id: bigint): boolean {
    return this.#used.has(id);
  }

  #blockOf(id: bigint): { readonly lsn: number } | undefined {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#blocks[middle]?.first ?? 0n) <= id) low = middle + 1;
      else high = middle;
    }
    const block = this.#blocks[low - 1];
    return block !== undefined && id <= block.last ? block : undefined;
  }
}
