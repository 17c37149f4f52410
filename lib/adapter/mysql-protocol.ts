import type { StoreErrorCode } from '../port/replica-store.ts';
import type { MysqlAddress } from './mysql-session.ts';
import type { Migration } from './mysql-migrations.ts';

/** What goes between the thread that uses the replicas of a Set and the worker that projects for them. */
export type ProjectorSetup = {
  readonly set: number;
  readonly schema: string;
  readonly migrations: readonly Migration[];
};

export type ProjectorCall =
  /** First of all about a replica, by a number that the caller gave it. */
  | { readonly kind: 'open'; readonly replica: number; readonly address: MysqlAddress }
  | {
      readonly kind: 'project';
      readonly replica: number;
      readonly id: number;
      readonly to: number;
    }
  /** The chunk under way is the last; then its connections end. */
  | { readonly kind: 'close'; readonly replica: number };

export type ProjectorFailure = {
  readonly code: StoreErrorCode | 'assertion';
  readonly message: string;
};

export type ProjectorReply = { readonly replica: number } & (
  | { readonly kind: 'projected'; readonly id: number; readonly lsn: number }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: ProjectorFailure }
  /** A connection of the worker that taking over must not cut. */
  | { readonly kind: 'session'; readonly sessionId: number; readonly isOpen: boolean }
  | { readonly kind: 'closed' }
);
