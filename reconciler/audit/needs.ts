import type { ClusterBooks } from './cluster-books.ts';
import type { Op } from './decode.ts';
import { setOf } from './words.ts';

/** What another Set must have committed before an op can be true. */
export type Need =
  | { readonly kind: 'lsn'; readonly set: number; readonly lsn: number }
  /** That Set sent this number. */
  | {
      readonly kind: 'sent';
      readonly set: number;
      readonly to: number;
      readonly lane: number;
      readonly number: number;
    }
  /** That Set received all up to this number. */
  | {
      readonly kind: 'received';
      readonly set: number;
      readonly from: number;
      readonly lane: number;
      readonly number: number;
    };

/** How far a Set's leader says that it is, confirmed, at its own LSN. */
export type Horizon = {
  readonly lsn: number;
  readonly sent: readonly {
    readonly to: number;
    readonly lane: number;
    readonly first: number;
    readonly next: number;
    readonly pendingCents: number;
  }[];
  readonly received: readonly {
    readonly from: number;
    readonly lane: number;
    readonly upTo: number;
    readonly above: number;
    readonly tombstones: number;
  }[];
};

/**
 * The first thing that an entry of `setId` uses of another Set and that the books do not show yet;
 * null: it can be judged. What it uses of its own Set is always there, or never.
 */
export function missing(books: ClusterBooks, setId: number, ops: readonly Op[]): Need | null {
  for (const op of ops) {
    for (const need of needsOf(op, setId)) {
      if (need.set === setId) continue;
      if (!isMet(books, need, setId)) return need;
    }
  }
  return null;
}

function needsOf(op: Op, setId: number): Need[] {
  switch (op.type) {
    case 'packet.send':
    case 'packet.pay':
    case 'packet.open': {
      const { grant } = op.command;
      if (grant === null || op.outcome.success === null) return [];
      return [{ kind: 'lsn', set: setOf(grant.groupId), lsn: grant.groupLsn }];
    }
    case 'transfer.deliver': {
      const { from: set, lane, first, transfers } = op.command;
      return transfers.map((_, at) => ({ kind: 'sent', set, to: setId, lane, number: first + at }));
    }
    case 'transfer.ack': {
      const { to: set, lane, upTo, receiptLsn } = op.command;
      return [
        { kind: 'received', set, from: setId, lane, number: upTo },
        { kind: 'lsn', set, lsn: receiptLsn },
      ];
    }
    default:
      return [];
  }
}

function isMet(books: ClusterBooks, need: Need, setId: number): boolean {
  // A Set that is not of this cluster: there is nothing to wait for, and the books will say so.
  if (!books.has(need.set)) return true;
  const there = books.set(need.set);
  switch (need.kind) {
    case 'lsn':
      return need.lsn <= there.lsn;
    case 'sent': {
      const { to, lane, number, set: from } = need;
      const isOld = books.set(setId).inbox.has({ from, lane, number });
      return isOld || number <= there.outbox.sentUpTo(to, lane);
    }
    case 'received':
      return need.number <= there.inbox.upTo(need.from, need.lane);
  }
}

/** Does the Set have, by its own word, what is needed? Then its journal will show it. */
export function isWithin(horizon: Horizon, need: Need): boolean {
  switch (need.kind) {
    case 'lsn':
      return need.lsn <= horizon.lsn;
    case 'sent': {
      const lane = horizon.sent.find(({ to, lane: at }) => to === need.to && at === need.lane);
      return need.number < (lane?.next ?? 1);
    }
    case 'received': {
      const lane = horizon.received.find((one) => one.from === need.from && one.lane === need.lane);
      return need.number <= (lane?.upTo ?? 0);
    }
  }
}

export function textOf(need: Need): string {
  switch (need.kind) {
    case 'lsn':
      return `LSN ${need.lsn} of Set ${need.set}`;
    case 'sent':
      return `number ${need.number} of Set ${need.set} in lane ${need.lane}`;
    case 'received':
      return `Set ${need.set} to receive number ${need.number} in lane ${need.lane}`;
  }
}
