import type { AnswersDump } from './answers.ts';
import type { GroupsDump } from './groups.ts';
import type { IdsDump } from './ids.ts';
import type { InboxDump, OutboxDump } from './lanes.ts';
import type { LedgerDump } from './ledger.ts';
import type { PacketsDump } from './packets.ts';
import type { PaymentsDump } from './payments.ts';

/** All that the books of a Set hold after an entry, as plain values. */
export type SetBooksDump = {
  readonly setId: number;
  readonly lsn: number;
  readonly ts: number;
  readonly epoch: number;
  readonly rules: number;
  readonly sum: Uint8Array;
  readonly ops: number;
  readonly slots: Uint8Array | null;
  readonly welcomed: ReadonlySet<string>;
  readonly hints: ReadonlyMap<string, Map<bigint, number>>;
  readonly ledger: LedgerDump;
  readonly packets: PacketsDump;
  readonly groups: GroupsDump;
  readonly ids: IdsDump;
  readonly outbox: OutboxDump;
  readonly inbox: InboxDump;
  readonly answers: AnswersDump;
  readonly payments: PaymentsDump;
};

/** The books of all Sets at one moment: what one has used, the others have. */
export type ClusterDump = {
  readonly sets: readonly SetBooksDump[];
  /** Cents on their way, by `from * 1024 + to`. */
  readonly inFlight: ReadonlyMap<number, number>;
  readonly refundingCents: number;
};
