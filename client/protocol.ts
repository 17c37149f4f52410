/**
 * The wire as plain types, so that the SDK needs neither a server nor a validator. A test holds
 * them against access/schema.ts in both directions. Amounts are integer cents (`…Cents`), times
 * epoch milliseconds (`…At`, `at`), ids decimal strings.
 */

export type Role = 'member' | 'admin' | 'owner';
export type MessageKind = 'text' | 'system' | 'red_packet' | 'image' | 'audio' | 'video' | 'file';

export type GroupSummary = {
  groupId: string;
  name: string;
  role: Role;
  lastSeq: number;
  readSeq: number;
  /** The first message that this member may read. */
  firstSeq: number;
  /** 0..100; 100 is shown as 99+. */
  unread: number;
  memberCount: number;
};

export type Message = {
  groupId: string;
  /** Contiguous in its group, from 1. */
  seq: number;
  sender: string;
  kind: MessageKind;
  /** Text; JSON text for `system` and `red_packet`. */
  body: string;
  at: number;
  /** Empty for messages that no client sent. */
  clientMsgId: string;
};

export type Claim = { userId: string; order: number; amountCents: number; at: number };

export type Packet = {
  packetId: string;
  groupId: string;
  sender: string;
  kind: string;
  strategy: string;
  timing: string;
  count: number;
  taken: number;
  greeting: string;
  phase: 'live' | 'drained' | 'refunded';
  createdAt: number;
  expiresAt: number;
  endedAt: number | null;
  /** Hex; fixed before the first open. */
  seedHash: string;
  /** Hex; null until the packet has ended. */
  seed: string | null;
  /** The three sums are null until one may see amounts. */
  totalCents: number | null;
  takenCents: number | null;
  refundedCents: number | null;
  mine: Claim | null;
  best: Claim | null;
};

/** What a caller sends. `| undefined` because a value left out and one set to undefined are one. */
export type Inputs = {
  hello: { token: string; resume?: Record<string, number> | undefined };
  ping: { seen?: Record<string, number> | undefined };
  'wallet.get': Record<string, never>;
  'wallet.history': { beforeLsn?: number | undefined; limit?: number | undefined };
  'wallet.statement': {
    fromAt?: number | undefined;
    toAt?: number | undefined;
    /** `next` of the page before, with the same times. */
    after?: { throughLsn: number; lsn: number; leg: number } | undefined;
    limit?: number | undefined;
  };
  'wallet.balanceAt': { at: number };
  /** A year from midnight of 1 January, UTC+8. */
  'wallet.statistics': { year: number; after?: { lsn: number; leg: number } | undefined };
  'wallet.topup': { clientId: string; amountCents: number };
  'wallet.withdraw': { clientId: string; amountCents: number; destination: string };
  'group.create': {
    clientId: string;
    name: string;
    history?: 'all' | 'from_join' | undefined;
  };
  'group.get': { groupId: string };
  'group.list': Record<string, never>;
  'group.invite': { groupId: string; lifetimeMs?: number | undefined };
  'group.join': { invite: string };
  /** Under one `clientId` leaving again is answered as it was the first time. */
  'group.leave': { groupId: string; clientId?: string | undefined };
  'message.send': {
    groupId: string;
    clientMsgId: string;
    kind?: 'text' | undefined;
    body: string;
    seenSeq?: number | undefined;
  };
  'message.history': {
    groupId: string;
    fromSeq?: number | undefined;
    toSeq?: number | undefined;
    limit?: number | undefined;
    /** The newest of the range instead of the oldest. */
    reverse?: boolean | undefined;
  };
  'message.read': { groupId: string; seq: number };
  'packet.send': {
    groupId: string;
    clientId: string;
    totalCents: number;
    count: number;
    kind?: 'lucky' | 'equal' | 'exclusive' | undefined;
    strategy?: 'double_mean' | 'classic' | 'uniform' | 'equal' | undefined;
    timing?: 'at_open' | 'pre_split' | undefined;
    greeting?: string | undefined;
    lifetimeMs?: number | undefined;
    receivers?: string[] | undefined;
    /** `gateway`: it goes live when somebody has paid at `checkoutUrl`. */
    pay?: 'wallet' | 'gateway' | undefined;
  };
  'packet.grab': { packetId: string };
  'packet.open': { packetId: string };
  'packet.get': { packetId: string };
  'packet.claims': {
    packetId: string;
    afterOrder?: number | undefined;
    limit?: number | undefined;
  };
};

export type Outputs = {
  hello: {
    userId: string;
    sessionId: string;
    heartbeatMs: number;
    serverAt: number;
    groups: GroupSummary[];
    recovered: boolean;
    /** Messages after the resume marks, when recovered. */
    missed: Message[];
  };
  ping: { at: number; behind: Record<string, number> };
  'wallet.get': {
    balanceCents: number;
    arrivingCents: number;
    /** False when a Set did not answer. */
    arrivingComplete: boolean;
    mark: string;
  };
  'wallet.history': {
    entries: {
      lsn: number;
      amountCents: number;
      reason: string;
      packetId: string | null;
      at: number;
    }[];
    asOfLsn: number;
  };
  'wallet.topup': { paymentId: string; checkoutUrl: string; dueAt: number; mark: string };
  'wallet.withdraw': { paymentId: string; balanceCents: number; mark: string };
  'wallet.statement': {
    /** Both of the first page only: closing is opening and all lines. */
    openingCents: number | null;
    closingCents: number | null;
    throughLsn: number;
    entries: {
      lsn: number;
      leg: number;
      amountCents: number;
      reason: string;
      packetId: string | null;
      at: number;
    }[];
    next: { throughLsn: number; lsn: number; leg: number } | null;
    asOfLsn: number;
  };
  'wallet.balanceAt': { balanceCents: number; at: number; asOfLsn: number };
  'wallet.statistics': {
    year: number;
    sent: { lucky: number; equal: number; exclusive: number };
    sentCents: number;
    /** Rests that came back in the year, of packets of any year. */
    backCents: number;
    receivedPackets: number;
    receivedCents: number;
    /** Of this page of lines alone. */
    shares: {
      packets: number;
      lucky: number;
      equal: number;
      exclusive: number;
      notEnded: number;
      bestLuck: number;
      largest: { packetId: string; amountCents: number } | null;
    };
    next: { lsn: number; leg: number } | null;
    asOfLsn: number;
  };
  'group.create': { groupId: string; status: 'ready' | 'arriving'; mark: string };
  'group.get': {
    groupId: string;
    name: string;
    owner: string;
    history: string;
    lastSeq: number;
    createdAt: number;
    members: { userId: string; role: string; joinedAt: number; readSeq: number }[];
  };
  'group.list': { groups: GroupSummary[] };
  'group.invite': { invite: string; expiresAt: number };
  'group.join': { group: GroupSummary; mark: string };
  'group.leave': { mark: string };
  'message.send': { seq: number; at: number; mark: string };
  'message.history': { messages: Message[]; lastSeq: number; asOfLsn: number };
  'message.read': { readSeq: number; unread: number };
  'packet.send': {
    packetId: string;
    status: 'live' | 'arriving' | 'unpaid';
    seedHash: string | null;
    /** With `unpaid` only, as the next two. */
    paymentId?: string | undefined;
    checkoutUrl?: string | undefined;
    dueAt?: number | undefined;
    mark: string;
  };
  'packet.grab': {
    status: 'go' | 'wait' | 'already_opened' | 'drained' | 'expired';
    retryAfterMs: number;
  };
  'packet.open': {
    status: 'opened' | 'already_opened';
    amountCents: number;
    order: number;
    left: number | null;
    at: number;
    settle: 'arriving' | 'settled';
    mark: string;
  };
  'packet.get': Packet;
  'packet.claims': { claims: Claim[]; best: Claim | null; asOfLsn: number };
};

/** What a server tells without being asked. */
export type ServerEvents = {
  message: Message;
  packet: {
    packetId: string;
    groupId: string;
    phase: 'live' | 'progress' | 'drained' | 'refunded';
    sender: string;
    kind: string;
    count: number;
    taken: number;
    greeting: string;
    at: number;
    expiresAt: number;
    seedHash: string;
    seed: string | null;
  };
  wallet: {
    balanceCents: number;
    amountCents: number;
    reason:
      | 'welcome'
      | 'send'
      | 'claim'
      | 'refund'
      | 'undo'
      | 'topup'
      | 'withdraw'
      | 'returned'
      | 'adjust';
    packetId: string | null;
    at: number;
  };
  group: {
    groupId: string;
    change: 'founded' | 'joined' | 'left';
    userId: string;
    name: string;
    role: string | null;
  };
  level: { level: string };
  reconnect: { reason: string; afterMs: number };
};

export type OpName = keyof Inputs;
/** What an application asks for; `hello` and `ping` are the SDK's own business. */
export type AppOp = Exclude<OpName, 'hello' | 'ping'>;
export type Input<Op extends OpName> = Inputs[Op];
export type Output<Op extends OpName> = Outputs[Op];
export type Hello = Outputs['hello'];
export type PacketEvent = ServerEvents['packet'];
export type WalletEvent = ServerEvents['wallet'];
export type GroupEvent = ServerEvents['group'];
