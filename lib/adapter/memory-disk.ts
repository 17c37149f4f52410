import type { Entry } from '../core/journal-entry.ts';
import type { Epoch, Lsn } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import type { Schema } from '../port/replica-store.ts';
import { MemoryTable } from './memory-table.ts';
import type { Readmission } from './replica-arguments.ts';

export type StateRow = {
  readonly clusterId: Uint8Array;
  readonly replicaId: number;
  readonly incarnation: number;
  readonly fenceEpoch: Epoch;
  readonly fenceOwner: Uint8Array;
  readonly incarnations: readonly number[];
};

export type Discarded = { readonly entry: Entry; readonly by: Epoch };
export type Snapshot = { lsn: Lsn; chunks: Uint8Array[]; manifest: Uint8Array };

/** What a disk would hold. Its values are replaced, never changed in place, so that copies share them. */
export type Disk = {
  state: StateRow | null;
  /** The newest that it has heard of: outlives the row (RS8g). */
  readmission: Readmission | null;
  /** The row below the first entry is there. */
  anchor: boolean;
  /** Entry of LSN n at n - 1. */
  journal: Entry[];
  discarded: Discarded[];
  commit: Lsn;
  projected: Lsn;
  beat: { epoch: number; n: number };
  tables: Map<string, MemoryTable>;
  snapshot: Snapshot | null;
};

/** A replica's disk as it was: for restoring old copies. */
export class MemoryDisk {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = copyDisk(disk);
  }

  take(): Disk {
    return copyDisk(this.#disk);
  }
}

export function newDisk(schema: Schema): Disk {
  return {
    state: null,
    readmission: null,
    anchor: false,
    journal: [],
    discarded: [],
    commit: lsn(0),
    projected: lsn(0),
    beat: { epoch: 0, n: 0 },
    tables: new Map(schema.tables.map((table) => [table.name, new MemoryTable(table)])),
    snapshot: null,
  };
}

function copyDisk(disk: Disk): Disk {
  return {
    ...disk,
    journal: [...disk.journal],
    discarded: [...disk.discarded],
    tables: new Map([...disk.tables].map(([name, table]) => [name, table.copy()])),
  };
}

/** Bytes of its own: what a caller does to his afterwards does not reach the disk. */
export function copyEntry(entry: Entry): Entry {
  return {
    ...entry,
    leaderId: new Uint8Array(entry.leaderId),
    prev: new Uint8Array(entry.prev),
    sum: new Uint8Array(entry.sum),
    payload: new Uint8Array(entry.payload),
  };
}

export function copySnapshot(snapshot: Snapshot): Snapshot {
  return {
    lsn: snapshot.lsn,
    chunks: snapshot.chunks.map((chunk) => new Uint8Array(chunk)),
    manifest: new Uint8Array(snapshot.manifest),
  };
}
