/**
 * What the people of a walk were told, as plain records in the order in which they were told it.
 * The checkers hold them against the journals (M10); nothing here is read from a Set.
 */

/** A yes to `packet.open`. A repeat is a record of its own. */
export type ToldOpen = {
  readonly user: string;
  readonly packetId: string;
  readonly amountCents: number;
  readonly order: number;
  /** Epoch milliseconds, of the claim. */
  readonly at: number;
  readonly status: 'opened' | 'already_opened';
  /** `set:epoch:lsn`. */
  readonly mark: string;
};

/** A yes to `packet.send`, and all that the sender had said of the packet. */
export type ToldSend = {
  readonly user: string;
  readonly clientId: string;
  readonly packetId: string;
  readonly groupId: string;
  readonly totalCents: number;
  readonly count: number;
  readonly mark: string;
};

/** A message: `reply` to who sent it, `shown` once for the first who saw it pushed or in a list. */
export type ToldMessage = {
  readonly how: 'reply' | 'shown';
  /** Who sent it. */
  readonly user: string;
  readonly groupId: string;
  /** Empty for messages that no client sent. */
  readonly clientMsgId: string;
  readonly seq: number;
  /** Epoch milliseconds, as the group's Set stamped it. */
  readonly at: number;
  readonly body: string;
};

/** A yes to `group.create`, `group.join` or `group.leave`. */
export type ToldGroup = {
  readonly user: string;
  readonly groupId: string;
  readonly change: 'created' | 'joined' | 'left';
  /** The client's id of the command; null for joins, which have none. */
  readonly clientId: string | null;
  readonly mark: string;
};

/** An answer to `wallet.get`. */
export type ToldBalance = {
  readonly user: string;
  readonly balanceCents: number;
  readonly arrivingCents: number;
  readonly arrivingComplete: boolean;
  /** All up to this shows in it; it may show more. */
  readonly mark: string;
  /** The person, the access node and the hello since which marks hold (Q8); none between hellos. */
  readonly session?: string;
  /** Highest mark of that Set which the session had when it asked. */
  readonly knewMark?: string;
};

/** The event `wallet`. */
export type ToldWalletNews = {
  readonly user: string;
  readonly balanceCents: number;
  readonly amountCents: number;
  readonly reason: string;
  readonly packetId: string | null;
  readonly at: number;
};

/** A line of `wallet.history`, for the first time that it was shown to its owner. */
export type ToldLedgerLine = {
  readonly user: string;
  readonly lsn: number;
  readonly amountCents: number;
  readonly reason: string;
  readonly packetId: string | null;
  readonly at: number;
};

/** A claim of somebody in `packet.claims` or `packet.get`, when it was first shown to anybody. */
export type ToldClaim = {
  readonly packetId: string;
  readonly user: string;
  readonly order: number;
  readonly amountCents: number;
  readonly at: number;
};

/** A yes to `wallet.topup`, `wallet.withdraw` or a `packet.send` that is paid from outside. */
export type ToldPayment = {
  readonly user: string;
  readonly clientId: string;
  readonly purpose: 'topup' | 'packet' | 'withdraw';
  readonly paymentId: string;
  readonly amountCents: number;
  /** Epoch milliseconds; null for withdrawals. */
  readonly dueAt: number | null;
  readonly packetId: string | null;
};

/** A no to a command. */
export type ToldRefusal = {
  readonly user: string;
  readonly op: string;
  /** The client's id, for opens the packet's id, for joins the group's. */
  readonly key: string;
  readonly code: string;
  /** Never sent again after it. */
  readonly final: boolean;
  /** Journaled like a yes (C7): the other noes may become a yes for who asks again. */
  readonly sealed: boolean;
};

/** Everything that people were told; each list only grows. */
export type Told = {
  readonly opens: ToldOpen[];
  readonly sends: ToldSend[];
  readonly messages: ToldMessage[];
  readonly groups: ToldGroup[];
  readonly balances: ToldBalance[];
  readonly walletNews: ToldWalletNews[];
  readonly ledgerLines: ToldLedgerLine[];
  readonly claims: ToldClaim[];
  readonly refusals: ToldRefusal[];
  readonly payments: ToldPayment[];
};

export function nothingTold(): Told {
  return {
    opens: [],
    sends: [],
    messages: [],
    groups: [],
    balances: [],
    walletNews: [],
    ledgerLines: [],
    claims: [],
    refusals: [],
    payments: [],
  };
}
