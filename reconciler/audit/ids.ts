import type { Place } from './place.ts';
import { setOf } from './words.ts';

/** An id's last 12 bits count within a millisecond. */
const PER_MS = 4096;

/** Ids given out together; `used` has a bit for each, so that none is forgotten, ever. */
type Block = {
  readonly first: bigint;
  readonly last: bigint;
  readonly lsn: number;
  readonly used: Uint8Array;
};

export type IdsDump = { readonly blocks: readonly Block[]; readonly last: bigint };

/** Blocks of ids that a Set gave out, and which of them became packets and groups (SPEC C10). */
export class Ids {
  /** Rising, because a cursor never falls back. */
  #blocks: Block[] = [];
  /** Highest id ever given out, in a block or as that of a payment. */
  #last = -1n;

  dump(): IdsDump {
    return { blocks: this.#blocks, last: this.#last };
  }

  restore(dump: IdsDump): void {
    this.#blocks = [...dump.blocks];
    this.#last = dump.last;
  }

  reserve(block: { firstId: bigint; count: number; asked: number; place: Place }): void {
    const { firstId, count, asked, place } = block;
    if (count !== asked || count < 1)
      throw place.broken('C10', `a block of ${count}, not ${asked}`);
    this.#give({ firstId, count, place });
    const used = new Uint8Array(Math.ceil(count / 8));
    this.#blocks.push({ first: firstId, last: this.#last, lsn: place.lsn, used });
  }

  /** The id of a payment: given out and used at once, by the Set itself. */
  mint(id: bigint, place: Place): void {
    this.#give({ firstId: id, count: 1, place });
  }

  #give({ firstId, count, place }: { firstId: bigint; count: number; place: Place }): void {
    if (setOf(firstId) !== place.setId) throw place.broken('U4', `${firstId} is of another Set`);
    if (Number(firstId % BigInt(PER_MS)) + count > PER_MS) {
      throw place.broken('U4', `the block at ${firstId} runs out of its millisecond`);
    }
    if (firstId <= this.#last) {
      throw place.broken('C10', `ids from ${firstId} on were given out up to ${this.#last}`);
    }
    this.#last = firstId + BigInt(count - 1);
  }

  /** An id becomes a packet or a group. */
  use(id: bigint, place: Place): void {
    if (setOf(id) !== place.setId) throw place.broken('U4', `${id} is of another Set`);
    const block = this.#blockOf(id);
    if (block === undefined) throw place.broken('C10', `id ${id} was never given out`);
    if (isMarked(block, id)) throw place.broken('C10', `id ${id} was used before`);
    // It leaves the Set only when the entry that gives it is committed.
    if (block.lsn >= place.lsn)
      throw place.broken('C10', `id ${id} is used before it is committed`);
    const at = Number(id - block.first);
    block.used[at >> 3] = (block.used[at >> 3] ?? 0) | (1 << (at & 7));
  }

  isUsed(id: bigint): boolean {
    const block = this.#blockOf(id);
    return block !== undefined && isMarked(block, id);
  }

  #blockOf(id: bigint): Block | undefined {
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

function isMarked({ first, used }: Block, id: bigint): boolean {
  const at = Number(id - first);
  return ((used[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
}
