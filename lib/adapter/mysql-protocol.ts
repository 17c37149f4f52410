import type { StoreErrorCode } from '../port/replica-store.ts';
import type { MysqlAddress } from './mysql-session.ts';
import type { Migration } from './mysql-migrations.ts';

/** What goes between the thread that uses a replica and the worker that projects for it. */
export type ProjectorSetup = {
  readonly address: MysqlAddress;
  readonly set: number;
  readonly schema: string;
  readonly migrations: readonly Migration[];
};

export type ProjectorCall = { readonly id: number; readonly to: number } | { readonly id: 0 };

export type ProjectorFailure = {
  readonly code: StoreErrorCode | 'assertion';
  readonly message: string;
};

export type ProjectorReply =
  | { readonly kind: 'projected'; readonly id: number; readonly lsn: number }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: ProjectorFailure }
  /** A connection of the worker that taking over must not cut. */
  | { readonly kind: 'session'; readonly sessionId: number; readonly isOpen: boolean };
