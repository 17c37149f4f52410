import type { Bootstrap, Fence, ReplicaStore, StoreErrorCode } from '../port/replica-store.ts';

/** What goes between the thread that uses a replica and the worker that holds its file. */
export type WorkerSetup = {
  readonly path: string;
  readonly setId: number;
  readonly schema: string;
};

export type Method = Exclude<keyof ReplicaStore, 'close'> | 'close';

export type Call = {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
};

export type Failure = { readonly code: StoreErrorCode | 'assertion'; readonly message: string };

/** `id` 0 answers the opening itself. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly failure: Failure };

/** Without `makes` it answers `late` where rows would be made: a question cannot go to the worker. */
export type AskedBootstrap = Omit<Bootstrap, 'stillNew'> & { readonly makes: boolean };

/** Entries as blobs whose memory changes hands: a clone of their parts costs more than the append. */
export type EncodedAppend = { readonly fence: Fence; readonly entries: readonly Uint8Array[] };
