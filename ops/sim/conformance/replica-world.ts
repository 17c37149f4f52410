import type { SetId } from '../../../lib/core/units.ts';
import { setId } from '../../../lib/core/units.ts';
import type { ReplicaStore } from '../../../lib/port/replica-store.ts';

/** The Set of every script. */
export const SET: SetId = setId(7);
export const SCHEMA_MODULE = new URL('./schema.ts', import.meta.url);

/** A replica and what may befall its server: the same of every technology. */
export interface ReplicaWorld {
  readonly name: string;
  /** Another one after each restart. */
  readonly store: ReplicaStore;
  /** The server stops and comes back: the disk stays, the alive row does not. */
  restart(): Promise<void>;
  /** The disk as it is now, to be put back by `restoreDisk`; both include a restart. */
  copyDisk(): Promise<DiskCopy>;
  restoreDisk(copy: DiskCopy): Promise<void>;
  /** A new, empty disk. */
  wipe(): Promise<void>;
  /** An operator's hand: the fence row disappears, the journal stays. Includes a restart. */
  dropFenceRow(): Promise<void>;
  /** One bit of the payload of a journal row changes on the disk. */
  flipPayloadBit(at: number): Promise<void>;
  /** What a crash before the manifest leaves of the newest snapshot. Includes a restart. */
  dropManifest(): Promise<void>;
  discarded(): Promise<{ lsn: number; sum: Uint8Array; by: number }[]>;
  dispose(): Promise<void>;
}

declare const copyBrand: unique symbol;
export type DiskCopy = { readonly [copyBrand]: true };

/** Opens empty replicas, one after the other; freed when all are done. */
export interface WorldSource {
  readonly name: string;
  open(): Promise<ReplicaWorld>;
  close(): Promise<void>;
}
