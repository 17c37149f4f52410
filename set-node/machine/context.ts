import type { Outcome } from '../../lib/core/outcome.ts';
import type { Posting } from '../../lib/core/account.ts';
import type { Outgoing } from '../../lib/core/transfer.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { PaymentPurpose } from '../../lib/core/payment.ts';
import type { Cents, SetId, TimeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Policy } from './policy.ts';

/** What the driver found out about a command before it is decided. */
export type Findings = {
  /** MAC and age of the grant, checked by the driver before sealing (rulings 1). */
  readonly grant: 'absent' | 'valid' | 'invalid' | 'expired';
  readonly invite: 'valid' | 'invalid';
  /** What a projection says of an id that memory may have forgotten (rulings 9). */
  readonly earlier: Earlier | null;
};

export type Earlier =
  | { kind: 'answer'; fingerprint: string; outcome: Outcome }
  | { kind: 'claim'; amountCents: Cents; order: number; at: TimeMs }
  | { kind: 'ended'; phase: 'drained' | 'refunded'; groupId: Id }
  /** Of the packets that a delivery would create, those that ended and left memory. */
  | { kind: 'packets'; ids: ReadonlySet<Id> }
  /** A payment that ended and left memory. */
  | {
      kind: 'payment';
      state: 'paid' | 'denied' | 'expired';
      purpose: PaymentPurpose;
      owner: UserId;
      amountCents: Cents;
      /** Did it end before it was due? */
      inTime: boolean;
    }
  /** Looked up, and there is nothing. */
  | { kind: 'nothing' };

export const NO_FINDINGS: Findings = { grant: 'absent', invite: 'invalid', earlier: null };

/**
 * What deciding needs besides the state: log time, what the operator allows, chance, the seed
 * vault, and the slot table.
 */
export interface World {
  readonly ts: TimeMs;
  readonly policy: Policy;
  /** 32 unpredictable bytes for a new packet's seed, and 12 for the nonce that seals it. */
  freshSeed(): { seed: Uint8Array; nonce: Uint8Array };
  sealSeed(args: { seed: Uint8Array; nonce: Uint8Array; packetId: Id }): Uint8Array;
  openSeed(args: { sealed: Uint8Array; packetId: Id }): Uint8Array;
  homeOf(user: UserId): SetId;
}

/** What a command came to. Without effects nothing is journaled: repeats and refusals. */
export type Decision = {
  readonly outcome: Outcome;
  readonly postings: readonly Posting[];
  readonly sends: readonly Outgoing[];
  readonly effects: boolean;
};

const NOTHING: readonly never[] = [];

export function withoutEffects(outcome: Outcome): Decision {
  return { outcome, postings: NOTHING, sends: NOTHING, effects: false };
}
