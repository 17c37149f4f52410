import { hash } from 'node:crypto';
import type { TableName } from './tables-layout.ts';
import { TABLE_NAMES, layoutOf } from './tables-layout.ts';

/** Rows of a table fall into so many heaps by their key: only a heap that differs is read again. */
const HEAPS = 64;
/** Of a heap: four sums of 32 bits of its rows' hashes, and how many rows. */
const LANES = 5;

/** Which heap a row is in, by the text of its key. */
export function heapOf(table: TableName, cells: readonly string[]): number {
  let at = 2_166_136_261;
  for (let column = 0; column < layoutOf(table).keyColumns; column++) {
    const text = cells[column] ?? '';
    for (let index = 0; index < text.length; index++) {
      at = Math.imul(at ^ text.charCodeAt(index), 16_777_619);
    }
  }
  return (at >>> 0) % HEAPS;
}

/**
 * What all rows of all tables add up to, whatever their order: 128 bits of SHA-256 a row, summed by
 * heap. Memory does not grow with the rows.
 */
export class TableDigest {
  readonly #sums = new Map<TableName, Uint32Array>(
    TABLE_NAMES.map((table) => [table, new Uint32Array(HEAPS * LANES)]),
  );
  rows = 0;

  /** `cells`: of {@link cellsText}. */
  add(table: TableName, cells: readonly string[]): void {
    const sums = this.#sums.get(table);
    if (sums === undefined) return;
    const digest = hash('sha256', cells.join('\n'), 'buffer');
    const at = heapOf(table, cells) * LANES;
    for (let lane = 0; lane < LANES - 1; lane++) {
      sums[at + lane] = (sums[at + lane] ?? 0) + digest.readUInt32LE(4 * lane);
    }
    sums[at + LANES - 1] = (sums[at + LANES - 1] ?? 0) + 1;
    this.rows += 1;
  }

  copy(): TableDigest {
    const copy = new TableDigest();
    for (const [table, sums] of this.#sums) copy.#sums.set(table, sums.slice());
    copy.rows = this.rows;
    return copy;
  }

  /** Heaps that are not the same, by table; empty when all rows are. */
  differences(other: TableDigest): Map<TableName, Set<number>> {
    const found = new Map<TableName, Set<number>>();
    for (const [table, sums] of this.#sums) {
      const others = other.#sums.get(table);
      for (const [at, sum] of sums.entries()) {
        if (sum === others?.[at]) continue;
        const heap = Math.floor(at / LANES);
        found.set(table, (found.get(table) ?? new Set()).add(heap));
      }
    }
    return found;
  }
}
