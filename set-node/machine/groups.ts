import { assert } from '../../lib/core/assert.ts';
import type { Role } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { HistoryRule } from '../../lib/core/transfer.ts';
import type { TimeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';

export type Member = {
  readonly role: Role;
  readonly joinedAt: TimeMs;
  /** Last seq before the member joined. */
  readonly joinedSeq: number;
  readSeq: number;
  /** Counting messages of the group up to the read cursor or the join, whichever is later. */
  readCount: number;
  /** The member's own counting messages after that. */
  ownAfter: number;
};

/** One of the last messages: enough to count unread ones, not the body. */
type Recent = { readonly seq: number; readonly sender: UserId | null };

export type Group = {
  readonly groupId: Id;
  readonly name: string;
  readonly owner: UserId;
  readonly history: HistoryRule;
  readonly createdAt: TimeMs;
  readonly members: Map<UserId, Member>;
  /** Grows with every change of the members: orders hints and grants (rulings 18). */
  version: number;
  /** Last seq; contiguous from 1. */
  seq: number;
  /** Messages of kinds that count as unread (rulings 19). */
  counting: number;
  /** The last `unreadRing` messages; sender is null for those that do not count. */
  readonly recent: Recent[];
};

/** Books one appended message: seq, counts, and the sender's own share of them. */
export function appendMessage(group: Group, args: { sender: UserId; counts: boolean }): number {
  group.seq += 1;
  group.recent.push({ seq: group.seq, sender: args.counts ? args.sender : null });
  if (group.recent.length > LIMITS.unreadRing) group.recent.shift();
  if (args.counts) {
    group.counting += 1;
    const member = group.members.get(args.sender);
    if (member !== undefined) member.ownAfter += 1;
  }
  return group.seq;
}

/**
 * Counting messages up to `seq`, and those of `user` after it, for a cursor that moves forward.
 * Exact within the ring. Below it every older message is taken to count, and as many of them to be
 * the reader's own as he has written since his last cursor: it shows only where a badge says 99+.
 */
export function countsAt(
  group: Group,
  args: { seq: number; user: UserId; member: Pick<Member, 'readCount' | 'ownAfter'> },
): { readCount: number; ownAfter: number } {
  let after = 0;
  let own = 0;
  let ownInRing = 0;
  for (const { seq, sender } of group.recent) {
    if (sender === null) continue;
    if (sender === args.user) ownInRing += 1;
    if (seq <= args.seq) continue;
    after += 1;
    if (sender === args.user) own += 1;
  }
  const oldest = group.recent[0]?.seq ?? group.seq + 1;
  const unknown = Math.max(0, oldest - 1 - args.seq);
  const ownBelow = Math.max(0, args.member.ownAfter - ownInRing);
  const readCount = Math.max(args.member.readCount, group.counting - after - unknown);
  const ownAfter = Math.min(own + Math.min(unknown, ownBelow), group.counting - readCount);
  return { readCount, ownAfter };
}

/** Unread of a member: one formula for everybody (rulings 19). Capped at `unreadShownMax`. */
export function unreadOf(group: Group, member: Member): number {
  const unread = group.counting - member.readCount - member.ownAfter;
  assert(unread >= 0, 'nobody has read more than there is');
  return Math.min(unread, LIMITS.unreadShownMax);
}

/** Lowest seq that the member may read. */
export function firstSeqOf(group: Group, member: Member): number {
  return group.history === 'all' ? 1 : member.joinedSeq + 1;
}
