/**
 * Lies in a journal, told so well that checksums, chain and sums hold: only who recomputes the
 * shares can find them. For proofs and tests; written with the program's own encoder.
 */
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { Writer } from '../../lib/core/bytes.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Entry, Op } from '../../lib/core/journal-entry.ts';
import { decodeOps, seal, writeOp } from '../../lib/core/journal-entry.ts';
import type { Cents } from '../../lib/core/units.ts';
import { cents } from '../../lib/core/units.ts';

export const TAMPERS = ['share', 'swap', 'order', 'seed', 'definition', 'seed_hash'] as const;
/**
 * share: a cent moves from one share to another · swap: two shares change hands · order: two people
 * change places · seed: another one is revealed · definition: another greeting was sent · seed_hash:
 * another one was published.
 */
export type Tamper = (typeof TAMPERS)[number];

type Open = Op & {
  readonly command: Extract<Op['command'], { type: 'packet.open' }>;
  readonly outcome: Extract<Op['outcome'], { type: 'packet.open'; amountCents: Cents }>;
};

/** The owner's journal with this lie, resealed from there on; null: this packet has no room for it. */
export function tampered(
  entries: readonly Entry[],
  lie: { readonly packetId: Id; readonly tamper: Tamper },
): Entry[] | null {
  const change = changeOf(entries, lie);
  return change === null ? null : rewrite(entries, change);
}

type Edit = (op: Op) => Op;

function changeOf(
  entries: readonly Entry[],
  { packetId, tamper }: { packetId: Id; tamper: Tamper },
): Edit | null {
  switch (tamper) {
    case 'share':
    case 'swap':
      return amountsEdit(opensOf(entries, packetId), tamper);
    case 'order':
      return orderEdit(opensOf(entries, packetId));
    case 'seed':
      return seedEdit(packetId);
    case 'definition':
      return (op) => createEdit(op, { packetId, greeting: (text) => `${text}!` });
    case 'seed_hash':
      return (op) => createEdit(op, { packetId, greeting: (text) => text, hash: flipped });
  }
}

function opensOf(entries: readonly Entry[], packetId: Id): Open[] {
  return entries.flatMap((entry) =>
    decodeOps(entry).flatMap((op) => (isOpen(op) && op.command.packetId === packetId ? [op] : [])),
  );
}

function isOpen(op: Op): op is Open {
  return op.command.type === 'packet.open' && 'order' in op.outcome;
}

function amountsEdit(opens: readonly Open[], tamper: 'share' | 'swap'): Edit | null {
  const amounts = opens.map(({ outcome }) => outcome.amountCents);
  const rich = amounts.findIndex((amount) => amount > 1);
  const other = amounts.findIndex((amount, at) =>
    tamper === 'share' ? at !== rich : amount !== amounts[rich],
  );
  const [from, to] = [opens[rich], opens[other]];
  if (from === undefined || to === undefined) return null;
  const moved = tamper === 'share' ? 1 : from.outcome.amountCents - to.outcome.amountCents;
  return (op) => {
    if (isSame(op, from)) return withAmount(op, from.outcome.amountCents - moved);
    return isSame(op, to) ? withAmount(op, to.outcome.amountCents + moved) : op;
  };
}

function orderEdit(opens: readonly Open[]): Edit | null {
  const [first, second] = opens;
  if (first === undefined || second === undefined) return null;
  return (op) => {
    const other = isSame(op, first) ? second : isSame(op, second) ? first : null;
    if (other === null || !isOpen(op)) return op;
    const { order } = other.outcome;
    return { ...op, outcome: { ...op.outcome, order } };
  };
}

function isSame(op: Op, open: Open): op is Open {
  if (!isOpen(op)) return false;
  const { packetId, user } = op.command;
  return packetId === open.command.packetId && user === open.command.user;
}

/** Outcome, both legs and the credit say the same: sums hold. */
function withAmount(op: Open, amount: number): Op {
  const amountCents = cents(amount);
  return {
    ...op,
    outcome: { ...op.outcome, amountCents },
    postings: op.postings.map((leg) => ({
      ...leg,
      amountCents: cents(leg.amountCents < 0 ? -amount : amount),
    })),
    sends: op.sends.map((send) =>
      send.transfer.kind === 'claim.credit'
        ? { ...send, transfer: { ...send.transfer, amountCents } }
        : send,
    ),
  };
}

function seedEdit(packetId: Id): Edit {
  return (op) => {
    const { command, outcome } = op;
    const isIts = 'packetId' in command && command.packetId === packetId;
    if (!isIts || !('seed' in outcome) || outcome.seed.length === 0) return op;
    return { ...op, outcome: { ...outcome, seed: flipped(outcome.seed) } };
  };
}

function flipped(bytes: Uint8Array): Uint8Array {
  const other = new Uint8Array(bytes);
  other[0] = (other[0] ?? 0) ^ 1;
  return other;
}

function createEdit(
  op: Op,
  args: {
    packetId: Id;
    greeting: (text: string) => string;
    hash?: (hash: Uint8Array) => Uint8Array;
  },
): Op {
  const { packetId, greeting, hash = (same: Uint8Array) => same } = args;
  const { command, outcome } = op;
  if (command.type !== 'transfer.deliver' || !('receipts' in outcome)) return op;
  const at = command.transfers.findIndex(
    (one) => one.kind === 'packet.create' && one.definition.packetId === packetId,
  );
  if (at === -1) return op;
  const transfers = command.transfers.map((one, index) =>
    index === at && one.kind === 'packet.create'
      ? { ...one, definition: { ...one.definition, greeting: greeting(one.definition.greeting) } }
      : one,
  );
  const receipts = outcome.receipts.map((one, index) =>
    index === at && one.kind === 'live' ? { ...one, seedHash: hash(one.seedHash) } : one,
  );
  const sends = op.sends.map((send) => {
    const { transfer } = send;
    if (transfer.kind !== 'packet.announce' || transfer.packetId !== packetId) return send;
    const told = { greeting: greeting(transfer.greeting), seedHash: hash(transfer.seedHash) };
    return { ...send, transfer: { ...transfer, ...told } };
  });
  return { ...op, command: { ...command, transfers }, outcome: { ...outcome, receipts }, sends };
}

/** All entries again; from the first that changes on, they are sealed and chained anew. */
function rewrite(entries: readonly Entry[], edit: Edit): Entry[] {
  const w = new Writer(65_536);
  let prev: Uint8Array | null = null;
  return entries.map((entry) => {
    const ops = decodeOps(entry);
    const edited = ops.map(edit);
    const isChanged = edited.some((op, index) => op !== ops[index]);
    if (!isChanged && prev === null) return entry;
    w.reset();
    for (const op of edited) writeOp(w, { ...op, command: encodeCommand(op.command) });
    const payload = isChanged ? w.finish() : entry.payload;
    const head = { ...entry, prev: prev ?? entry.prev };
    const sealed = seal({ head, payload, hash: sha256 });
    prev = sealed.sum;
    return sealed;
  });
}
