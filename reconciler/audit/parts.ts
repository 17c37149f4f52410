import type { Reader } from './reader.ts';
import { NotTheFormat } from './reader.ts';
import {
  HISTORIES,
  LANES,
  PACKET_KINDS,
  ROLES,
  STRATEGIES,
  TIMINGS,
  isStatus,
  statusOf,
} from './words.ts';

// Parts of a payload, as the tables of docs/spec/formats.md say. Ids are bigint, users text,
// amounts integer cents, times milliseconds since 1970; MACs and hashes are hex.

export type Definition = ReturnType<typeof readDefinition>;
export type Grant = NonNullable<ReturnType<typeof readGrant>>;
export type Transfer = ReturnType<typeof readTransferBody> & {
  /** As they stand in the journal: equal bytes are equal transfers (F2). */
  readonly bytes: Uint8Array;
};
export type TransferOf<Kind extends Transfer['kind']> = Extract<Transfer, { kind: Kind }>;
export type Receipt = ReturnType<typeof readReceipt>;
export type Posting = { readonly account: Account; readonly amountCents: number };
export type Account =
  | { readonly kind: 'wallet'; readonly user: string }
  | { readonly kind: 'packet'; readonly packetId: bigint }
  | { readonly kind: 'clearing'; readonly peer: number }
  | { readonly kind: 'issuer' }
  /** Left a wallet for the payment gateway, and not confirmed. */
  | { readonly kind: 'gateway' };
export type Outgoing = ReturnType<typeof readOutgoing>;

export function readDefinition(r: Reader) {
  const from = r.at;
  const fields = {
    packetId: r.id(),
    sender: r.user(),
    groupId: r.id(),
    kind: r.tag(PACKET_KINDS),
    strategy: r.tag(STRATEGIES),
    timing: r.tag(TIMINGS),
    totalCents: r.u64(),
    count: r.u32(),
    lifetimeMs: r.u64(),
    greeting: r.text(),
    receivers: r.list(() => r.user()),
  };
  return { ...fields, bytes: r.since(from) };
}

/** null: there is none. */
export function readGrant(r: Reader) {
  if (!r.flag()) return null;
  const groupId = r.id();
  const role = r.tag(ROLES);
  const rights = r.u16();
  const groupLsn = r.u64();
  return { groupId, role, rights, groupLsn, issuedAt: r.u64(), mac: r.hex(16) };
}

export function readPosting(r: Reader): Posting {
  return { account: readAccount(r), amountCents: r.i64() };
}

function readAccount(r: Reader): Account {
  const code = r.u8();
  switch (code) {
    case 1:
      return { kind: 'wallet', user: r.user() };
    case 2:
      return { kind: 'packet', packetId: r.id() };
    case 3:
      return { kind: 'clearing', peer: r.set() };
    case 4:
      return { kind: 'issuer' };
    case 5:
      return { kind: 'gateway' };
    default:
      throw new NotTheFormat(`account ${code}`);
  }
}

export function readLane(r: Reader): number {
  const lane = r.u8();
  if (lane >= LANES) throw new NotTheFormat(`lane ${lane}`);
  return lane;
}

export function readOutgoing(r: Reader) {
  return { to: r.set(), lane: readLane(r), number: r.u64(), transfer: readTransfer(r) };
}

export function readTransfer(r: Reader): Transfer {
  const from = r.at;
  const body = readTransferBody(r);
  return { ...body, bytes: r.since(from) };
}

function readTransferBody(r: Reader) {
  const code = r.u8();
  switch (code) {
    case 1:
      return { kind: 'packet.create', definition: readDefinition(r), sentAt: r.u64() } as const;
    case 2:
      return {
        kind: 'packet.announce',
        packetId: r.id(),
        groupId: r.id(),
        sender: r.user(),
        packetKind: r.tag(PACKET_KINDS),
        count: r.u32(),
        greeting: r.text(),
        seedHash: r.hex(32),
        expiresAt: r.u64(),
      } as const;
    case 3:
      return { kind: 'claim.credit', ...readPayment(r) } as const;
    case 4:
      return { kind: 'packet.refund', ...readPayment(r) } as const;
    case 5:
      return {
        kind: 'group.found',
        groupId: r.id(),
        owner: r.user(),
        name: r.text(),
        history: r.tag(HISTORIES),
      } as const;
    case 6:
      return {
        kind: 'member.hint',
        groupId: r.id(),
        user: r.user(),
        version: r.u64(),
        present: r.flag(),
        name: r.text(),
      } as const;
    default:
      throw new NotTheFormat(`transfer ${code}`);
  }
}

function readPayment(r: Reader) {
  return { packetId: r.id(), groupId: r.id(), user: r.user(), amountCents: r.u64() };
}

/** Money that travels with a transfer, in cents. */
export function moneyOf(transfer: Transfer): number {
  switch (transfer.kind) {
    case 'packet.create':
      return transfer.definition.totalCents;
    case 'claim.credit':
    case 'packet.refund':
      return transfer.amountCents;
    default:
      return 0;
  }
}

export function readReceipt(r: Reader) {
  const code = r.u8();
  switch (code) {
    case 1:
      return { kind: 'live', sealedSeed: r.fixed(r.u32()), seedHash: r.hex(32) } as const;
    case 2:
      return { kind: 'message', seq: r.u64() } as const;
    case 3:
      return { kind: 'applied' } as const;
    case 4:
      return { kind: 'duplicate' } as const;
    case 5:
      return { kind: 'tombstone', reason: readStatus(r) } as const;
    case 6:
      return { kind: 'stale' } as const;
    default:
      throw new NotTheFormat(`receipt ${code}`);
  }
}

export function readStatus(r: Reader): string {
  const code = r.u16();
  const word = statusOf(code);
  if (word === undefined) throw new NotTheFormat(`status ${code}`);
  return word;
}

/** A status that is written as its word. */
export function readReason(r: Reader): string {
  const word = r.text();
  if (!isStatus(word)) throw new NotTheFormat(`status ${word}`);
  return word;
}
