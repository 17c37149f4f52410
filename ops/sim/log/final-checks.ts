import { sha256 } from '../../../lib/adapter/node-crypto.ts';
import type { Account } from '../../../lib/core/account.ts';
import { equalBytes, toHex } from '../../../lib/core/bytes.ts';
import type { Command } from '../../../lib/core/command.ts';
import type { Entry, Op } from '../../../lib/core/journal-entry.ts';
import { decodeOps, summedBytes } from '../../../lib/core/journal-entry.ts';
import { encodeOutcome, succeeded } from '../../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../../lib/core/packet.ts';
import type { Wish } from './clients.ts';
import { holdSame } from './clients.ts';
import type { History } from './history.ts';
import { holdChain } from './history.ts';
import { hold } from '../trace.ts';

type Logged = { readonly op: Op; readonly lsn: number };

/** The end of a walk: three journals, one truth, and every promise kept in it. */
export function holdAtTheEnd(args: {
  journals: readonly (readonly Entry[])[];
  history: History;
  wishes: readonly Wish[];
}): void {
  const [journal] = args.journals;
  if (journal === undefined) throw new Error('there is a journal');
  for (const [replica, other] of args.journals.entries()) {
    holdChain(other, { name: `replica ${replica}` });
    hold(other.length === journal.length, `replica ${replica} has ${other.length} entries`);
    for (const [at, entry] of other.entries()) {
      const sum = sha256(summedBytes(entry, entry.payload));
      hold(equalBytes(sum, entry.sum), `replica ${replica}: LSN ${at + 1} is not what was sealed`);
      const same = equalBytes(entry.sum, journal[at]?.sum ?? new Uint8Array(0));
      hold(same, `I4 replica ${replica} differs at LSN ${at + 1}`);
    }
  }
  for (const [at, sum] of args.history.committed.entries()) {
    const entry = journal[at];
    hold(entry !== undefined && toHex(entry.sum) === sum, `I1 committed LSN ${at + 1} is lost`);
  }
  const logged = journal.flatMap((entry) => decodeOps(entry).map((op) => ({ op, lsn: entry.lsn })));
  holdMoney(journal);
  holdPackets(logged);
  holdMessages(logged);
  for (const wish of args.wishes) holdPromise(wish, logged);
}

/** I1, M10: a yes is in the journal once, with the words of the answer; a no is not in it. */
function holdPromise(wish: Wish, logged: readonly Logged[]): void {
  const [answer] = wish.answers;
  if (answer === undefined) return;
  const { command } = wish;
  const { outcome } = answer;
  const name = `#${wish.number} ${command.type}`;
  if (command.type === 'transfer.deliver') return holdDelivery(wish, logged);
  const done = logged.filter(({ op }) => succeeded(op.outcome) && isSame(command, op, wish));
  if (!succeeded(outcome)) {
    // A packet that was not there yet may come later; another wish of the same person may open it.
    if (outcome.status === 'packet_not_found') return;
    hold(done.length === 0, `M10 ${name} was told ${outcome.status} and is done`);
    return;
  }
  hold(done.length === 1, `I1 ${name} was answered and is ${done.length} times in the journal`);
  const [found] = done;
  if (found === undefined) return;
  if (outcome.type === 'wallet.open' && !outcome.welcomed) return;
  if (command.type === 'packet.open') {
    const asTold = {
      lsn: found.lsn,
      bytes: encodeOutcome(found.op.outcome),
      outcome: found.op.outcome,
    };
    return holdSame(wish, asTold, answer);
  }
  hold(equalBytes(encodeOutcome(found.op.outcome), answer.bytes), `I1 ${name} has another outcome`);
}

function isSame(command: Command, { command: other, outcome }: Op, wish: Wish): boolean {
  switch (command.type) {
    case 'message.send':
      return other.type === command.type && other.commandId === command.commandId;
    case 'packet.open':
      return (
        other.type === command.type &&
        other.packetId === command.packetId &&
        other.user === command.user
      );
    case 'wallet.open':
      return other.type === command.type && other.user === command.user;
    case 'ids.reserve': {
      // Not idempotent: the block that the answer names is handed out once.
      const told = wish.answers[0]?.outcome;
      if (told === undefined || !succeeded(told) || told.type !== 'ids.reserve') return false;
      return (
        succeeded(outcome) && outcome.type === 'ids.reserve' && outcome.firstId === told.firstId
      );
    }
    default:
      throw new Error(`the walk sends no ${command.type}`);
  }
}

/** Each number of a delivery is done or refused once, and the answer says which. */
function holdDelivery(wish: Wish, logged: readonly Logged[]): void {
  const { command } = wish;
  const told = wish.answers[0]?.outcome;
  if (command.type !== 'transfer.deliver' || told === undefined) return;
  hold(succeeded(told) && told.type === command.type, `#${wish.number}: ${told.status}`);
  for (const [index, receipt] of told.receipts.entries()) {
    const number = command.first + index;
    const fresh = logged.flatMap(({ op }) => {
      if (op.command.type !== 'transfer.deliver' || !succeeded(op.outcome)) return [];
      if (op.outcome.type !== 'transfer.deliver' || op.command.from !== command.from) return [];
      const journaled = op.outcome.receipts[number - op.command.first];
      return journaled === undefined || journaled.kind === 'duplicate' ? [] : [journaled.kind];
    });
    const tombstones = fresh.filter((kind) => kind === 'tombstone').length;
    const once = fresh.length === 1 || tombstones === fresh.length;
    hold(fresh.length > 0 && once, `M8 transfer ${number} is ${fresh.length} times in the journal`);
    const same = receipt.kind === 'duplicate' ? tombstones === 0 : fresh[0] === receipt.kind;
    hold(same, `M8 transfer ${number} was answered ${receipt.kind} and is ${String(fresh[0])}`);
  }
}

function nameOf(account: Account): string {
  switch (account.kind) {
    case 'wallet':
      return `wallet ${account.user}`;
    case 'packet':
      return `packet ${account.packetId}`;
    default:
      return account.kind;
  }
}

/** M1, M3 at each LSN, from the postings alone; the entry's own totals must agree. */
function holdMoney(journal: readonly Entry[]): void {
  const balances = new Map<string, number>();
  for (const entry of journal) {
    for (const { postings } of decodeOps(entry)) {
      for (const { account, amountCents } of postings) {
        const name = nameOf(account);
        balances.set(name, (balances.get(name) ?? 0) + amountCents);
      }
    }
    const total = { wallet: 0, packet: 0, clearing: 0, issuer: 0 };
    for (const [name, balance] of balances) {
      const kind = name.split(' ')[0] as keyof typeof total;
      total[kind] += balance;
      const mayOwe = kind === 'clearing' || kind === 'issuer';
      hold(mayOwe || balance >= 0, `M3 ${name} is negative at LSN ${entry.lsn}`);
    }
    const { money } = entry;
    hold(
      total.wallet + total.packet + total.clearing + total.issuer === 0 &&
        total.wallet === money.walletsCents &&
        total.packet === money.packetsCents &&
        total.issuer === money.issuerCents,
      `M1 the Set does not sum up at LSN ${entry.lsn}`,
    );
  }
}

type Seen = {
  definition: PacketDefinition;
  users: Set<string>;
  paid: number;
  refund: number | null;
};

/** M4, M5, M7 for every packet. */
function holdPackets(logged: readonly Logged[]): void {
  const packets = new Map<bigint, Seen>();
  for (const { op, lsn } of logged) {
    const { command, outcome } = op;
    if (!succeeded(outcome)) continue;
    if (command.type === 'transfer.deliver' && outcome.type === command.type) {
      command.transfers.forEach((transfer, index) => {
        if (transfer.kind !== 'packet.create') return;
        const kind = outcome.receipts[index]?.kind;
        const isRight = kind === 'live' || kind === 'tombstone' || kind === 'duplicate';
        hold(isRight, `M8 a packet.create is answered ${kind} at LSN ${lsn}: where is its money?`);
        if (kind !== 'live') return;
        const { definition } = transfer;
        hold(!packets.has(definition.packetId), `M8 a packet is made twice, LSN ${lsn}`);
        packets.set(definition.packetId, { definition, users: new Set(), paid: 0, refund: null });
      });
    } else if (command.type === 'packet.open' && outcome.type === command.type) {
      const packet = packets.get(command.packetId);
      hold(packet !== undefined && packet.refund === null, `M7 open of no live packet, LSN ${lsn}`);
      hold(!packet.users.has(command.user), `M5 ${command.user} opens twice, LSN ${lsn}`);
      packet.users.add(command.user);
      packet.paid += outcome.amountCents;
      hold(outcome.order === packet.users.size, `M5 order ${outcome.order} at LSN ${lsn}`);
      hold(outcome.amountCents >= 1, `M4 an empty share at LSN ${lsn}`);
      const { totalCents, count } = packet.definition;
      hold(packet.paid <= totalCents, `M4 more than there was, LSN ${lsn}`);
      const last = packet.users.size === count;
      hold(!last || packet.paid === totalCents, `M4 the last takes all, LSN ${lsn}`);
    } else if (command.type === 'packet.expire' && outcome.type === command.type) {
      const packet = packets.get(command.packetId);
      hold(packet !== undefined && packet.refund === null, `M7 ended twice, LSN ${lsn}`);
      packet.refund = outcome.refundCents;
      hold(packet.refund > 0, `M7 drained and refunded, LSN ${lsn}`);
      hold(packet.paid + packet.refund === packet.definition.totalCents, `M4 refund, LSN ${lsn}`);
    }
  }
}

/** A group's seqs grow by one: nothing is told twice, nothing is lost. */
function holdMessages(logged: readonly Logged[]): void {
  const seqs = new Map<bigint, number>();
  for (const { op, lsn } of logged) {
    const { command, outcome } = op;
    if (!succeeded(outcome)) continue;
    if (command.type === 'transfer.deliver' && outcome.type === command.type) {
      command.transfers.forEach((transfer, index) => {
        const receipt = outcome.receipts[index];
        if (receipt?.kind === 'message' && transfer.kind === 'group.found')
          seqs.set(transfer.groupId, receipt.seq);
      });
    } else if (command.type === 'message.send' && outcome.type === command.type) {
      const before = seqs.get(command.groupId);
      hold(before !== undefined && outcome.seq === before + 1, `seq ${outcome.seq}, LSN ${lsn}`);
      seqs.set(command.groupId, outcome.seq);
    }
  }
}
