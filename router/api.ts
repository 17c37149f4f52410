import type { Command } from '../lib/core/command.ts';
import type { Id } from '../lib/core/ids.ts';
import type { Outcome } from '../lib/core/outcome.ts';
import type { Status } from '../lib/core/status.ts';
import type { SetId } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import type { EventBatch__Output } from '../proto/gen/hongbao/EventBatch.ts';
import type { Query } from '../proto/gen/hongbao/Query.ts';
import type { QueryReply__Output } from '../proto/gen/hongbao/QueryReply.ts';
import type { SessionMarks } from './session-marks.ts';

/** A command whose bytes are made already, and which no step on its way reads; every retry sends the same. */
export type EncodedCommand = { readonly type: Command['type']; readonly bytes: Uint8Array };

/** What a command came to, and the session mark of what it depended on (rulings 16). */
export type CommandAnswer = { readonly outcome: Outcome; readonly mark: Mark };

/** `set:epoch:lsn` in every reply and event. */
export type Mark = { readonly setId: SetId; readonly epoch: number; readonly lsn: number };

export function markText(mark: Mark): string {
  return `${mark.setId}:${mark.epoch}:${mark.lsn}`;
}

/** A query without its tag: the channel gives it one. */
export type Ask = Omit<Query, 'tag'>;

export type QueryAnswer = {
  readonly status: Status;
  /** null unless status is `ok`. */
  readonly reply: QueryReply__Output | null;
};

export type RequestOptions = {
  readonly deadlineMs?: number;
  /**
   * Who asks: answers are noted in it. Lists (claims, history, ledger) then show all that it has been
   * shown, and may come from a standby. Without it they come from the leader, and show what they show.
   */
  readonly session?: SessionMarks;
};

/** New things are placed on the ring; existing ones are routed by their id, for life (design 2). */
export interface Router {
  readonly topologyVersion: number;
  /** Sets that serve, in order of number. */
  sets(): readonly SetId[];
  /** The Set of a person's wallet, profile and list of groups: by slot. */
  homeOf(user: UserId): SetId;
  /** A Set for a new packet or group; masked and draining ones are skipped. null: no Set takes new things. */
  place(key: string): SetId | null;
  /** An id for a new thing of that Set from a leased block (rulings 4). null: the Set does not answer. */
  takeId(set: SetId): Promise<Id | null>;
  /**
   * Sends a command with at-least-once retries under the same bytes until `deadlineMs` (default
   * 5,000). Never rejects: `set_unavailable` was not done for certain, `unknown` may have been.
   */
  command(
    set: SetId,
    command: Command | EncodedCommand,
    options?: RequestOptions,
  ): Promise<CommandAnswer>;
  /** Never rejects: status `set_unavailable` after `deadlineMs` (default 2,000). */
  query(set: SetId, ask: Ask, options?: RequestOptions): Promise<QueryAnswer>;
  /** Events of all Sets, in order per Set. `gap` is called when a stream broke and events may be missing. */
  onEvents(listener: EventListener): void;
  /** Registers interest with the owning Sets; kept again after every reconnect (rulings 17). */
  watchGroup(groupId: Id): void;
  unwatchGroup(groupId: Id): void;
  watchUser(user: UserId): void;
  unwatchUser(user: UserId): void;
  /** Mean queue wait that a Set last reported, microseconds. */
  queueWaitUs(set: SetId): number;
  /** Is a stream to this Set up? */
  isUp(set: SetId): boolean;
  close(): Promise<void>;
}

export interface EventListener {
  events(batch: EventBatch__Output): void;
  gap(set: SetId): void;
}
