import type { Posting } from '../../lib/core/account.ts';
import { unreachable } from '../../lib/core/assert.ts';
import type { Command } from '../../lib/core/command.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { Status } from '../../lib/core/status.ts';
import type { Outgoing, Transfer } from '../../lib/core/transfer.ts';
import { laneOf } from '../../lib/core/transfer.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Decision, Findings, World } from './context.ts';
import { withoutEffects } from './context.ts';
import type { SetState } from './state.ts';

export type Of<Type extends Command['type']> = Extract<Command, { type: Type }>;
/** What every room decides by. */
export type At = { readonly state: SetState; readonly found: Findings; readonly world: World };

/** A decision that is journaled. */
export function done(args: {
  outcome: Outcome;
  postings?: Posting[];
  sends?: Outgoing[];
}): Decision {
  const { outcome, postings = [], sends = [] } = args;
  return { outcome, postings, sends, effects: true };
}

/** A no that leaves no trace. */
export function refused(command: Command, status: Status): Decision {
  return withoutEffects(refuse(command.type, status));
}

/**
 * A no that is sealed like a success: the person was told no, and a late duplicate must not spend
 * when money or the world has changed (M9).
 */
export function refusedForGood(command: Command, status: Status): Decision {
  return done({ outcome: refuse(command.type, status) });
}

export function wallet(user: UserId, amountCents: number): Posting {
  return { account: { kind: 'wallet', user }, amountCents: cents(amountCents) };
}

export function clearing(peer: SetId, amountCents: number): Posting {
  return { account: { kind: 'clearing', peer }, amountCents: cents(amountCents) };
}

/** Numbers a transfer as the next of its lane to `to`. */
export function outgoing(state: SetState, args: { to: SetId; transfer: Transfer }): Outgoing {
  const lane = laneOf(args.transfer);
  return { ...args, lane, number: state.outbox.nextNumber(args.to, lane) };
}

/** Does the grant in the command make its user a member of this group? */
export function membershipOf(args: {
  command: Of<'packet.send'> | Of<'packet.pay'> | Of<'packet.open'>;
  found: Findings;
  groupId: bigint;
  ts: number;
}): Status | null {
  switch (args.found.grant) {
    case 'absent':
      return 'not_a_member';
    case 'invalid':
      return 'grant_invalid';
    case 'expired':
      return 'grant_expired';
    case 'valid': {
      const { grant } = args.command;
      if (grant?.groupId !== args.groupId) return 'grant_invalid';
      // Measured at the entry's own time, not when the command came (M6).
      return args.ts - grant.issuedAt > LIMITS.grantAgeMsMax ? 'grant_expired' : null;
    }
    default:
      return unreachable(args.found.grant);
  }
}
