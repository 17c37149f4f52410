/** One packet's flight: every command of every journal that has to do with it, and nothing else. */
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Op, OpOf } from '../../reconciler/audit/decode.ts';
import { decodeOps } from '../../reconciler/audit/decode.ts';
import type { Definition, Outgoing, Receipt, Transfer } from '../../reconciler/audit/parts.ts';
import type { Change } from './changes.ts';
import { createChange, expireChange, openChange, ownDefinition, packetOf } from './changes.ts';

/** What happened to the packet; transfers are sent by the step before and `deliver` is their arrival. */
export type StepKind =
  | 'send'
  | 'pay'
  | 'settle'
  | 'lapse'
  | 'create'
  | 'announce'
  | 'open'
  | 'expire'
  | 'credit'
  | 'refund'
  | 'receipt';

/** One line of a flight: a command (or one transfer of a delivery) as one journal has it. */
export type Step = {
  readonly kind: StepKind;
  readonly setId: number;
  readonly lsn: number;
  readonly epoch: number;
  /** Place in its entry, from 0. */
  readonly op: number;
  /** Log time of its Set, milliseconds. */
  readonly at: number;
  readonly who: string;
  /** `ok`, a refusal's word, or what the receiver's receipt says. */
  readonly status: string;
  /** What it was about, cents; 0 where no money moves. */
  readonly amountCents: number;
  readonly note: string;
  /** Transfers that left with it, and the one that it is the arrival or the receipt of. */
  readonly sent: readonly string[];
  readonly because: string | null;
  /** What the owner's Set says; only of `create`, `open` and `expire` that did something. */
  readonly change: Change | null;
};

type Where = {
  readonly setId: number;
  readonly lsn: number;
  readonly epoch: number;
  readonly op: number;
  readonly at: number;
};

/** A transfer's name: numbers have no gaps per source, destination and lane. */
function nameOf(of: { from: number; to: number; lane: number; number: number }): string {
  return `${of.from}>${of.to}/${of.lane}/${of.number}`;
}

const ARRIVALS = {
  'packet.create': 'create',
  'packet.announce': 'announce',
  'claim.credit': 'credit',
  'packet.refund': 'refund',
} as const;

/** Takes the journals entry by entry: Sets in any order, the entries of each in theirs. */
export class FlightRecorder {
  readonly packetId: bigint;
  readonly #steps: Step[] = [];
  /** The packet's transfers that wait for a receipt, by name. */
  readonly #owed = new Map<string, { setId: number; send: Outgoing }>();
  readonly #payments = new Set<bigint>();
  /** Definitions in the sender's own command: they must be the owner's. */
  readonly #asked: Definition[] = [];

  constructor(packetId: bigint) {
    this.packetId = packetId;
  }

  /** By Set, then in the order of its journal. */
  get steps(): readonly Step[] {
    return this.#steps;
  }

  get asked(): readonly Definition[] {
    return this.#asked;
  }

  /** Transfers that have no receipt yet, by name. */
  get owed(): ReadonlySet<string> {
    return new Set(this.#owed.keys());
  }

  /** Throws NotTheFormat. */
  add(entry: Entry): void {
    for (const [op, read] of decodeOps(entry).entries()) {
      const { setId, lsn, epoch, ts } = entry;
      this.#addOp(read, { setId, lsn, epoch, op, at: ts });
    }
  }

  #addOp(op: Op, where: Where): void {
    const mine = op.sends.filter(({ transfer }) => packetOf(transfer) === this.packetId);
    const names = mine.map((send) => nameOf({ from: where.setId, ...send }));
    for (const [index, send] of mine.entries()) {
      this.#owed.set(names[index] ?? '', { setId: where.setId, send });
    }
    const sent = { sent: names };
    switch (op.type) {
      case 'packet.send':
      case 'packet.pay':
        return this.#asks(op, where, sent);
      case 'payment.settle':
      case 'payment.expire':
        return this.#pays(op, where, sent);
      case 'packet.open':
        return this.#opens(op, where, sent);
      case 'packet.expire':
        return this.#expires(op, where, sent);
      case 'transfer.deliver':
        return this.#arrives(op, where, names);
      case 'transfer.ack':
        return this.#acknowledges(op, where);
      default:
    }
  }

  #asks(
    op: OpOf<'packet.send'> | OpOf<'packet.pay'>,
    where: Where,
    sent: { readonly sent: readonly string[] },
  ): void {
    const { definition } = op.command;
    if (definition.packetId !== this.packetId) return;
    this.#asked.push(ownDefinition(definition));
    const { success } = op.outcome;
    if (success !== null && 'paymentId' in success) this.#payments.add(success.paymentId);
    this.#push(where, {
      kind: op.type === 'packet.send' ? 'send' : 'pay',
      who: definition.sender,
      status: op.outcome.status,
      amountCents: definition.totalCents,
      note: wordsOf(definition),
      ...sent,
    });
  }

  #pays(
    op: OpOf<'payment.settle'> | OpOf<'payment.expire'>,
    where: Where,
    sent: { readonly sent: readonly string[] },
  ): void {
    if (!this.#payments.has(op.command.paymentId)) return;
    const settled = op.type === 'payment.settle' ? op.outcome.success : null;
    this.#push(where, {
      kind: op.type === 'payment.settle' ? 'settle' : 'lapse',
      who: settled?.user ?? '',
      status: op.outcome.status,
      amountCents: settled?.amountCents ?? 0,
      note: settled === null ? `payment ${op.command.paymentId}` : settled.became,
      ...sent,
    });
  }

  #opens(op: OpOf<'packet.open'>, where: Where, sent: { readonly sent: readonly string[] }): void {
    const { packetId, user } = op.command;
    if (packetId !== this.packetId) return;
    const { status, success } = op.outcome;
    const { amountCents = 0 } = success ?? {};
    const step = { kind: 'open', who: user, status, amountCents, ...sent } as const;
    const note = success === null ? '' : `share ${success.order}, ${success.left} left`;
    this.#push(where, { ...step, note, change: openChange(op) });
  }

  #expires(
    op: OpOf<'packet.expire'>,
    where: Where,
    sent: { readonly sent: readonly string[] },
  ): void {
    if (op.command.packetId !== this.packetId) return;
    const { status, success } = op.outcome;
    const refundCents = success?.refundCents ?? 0;
    const step = { kind: 'expire', who: '', status, amountCents: refundCents, note: '' } as const;
    this.#push(where, { ...step, ...sent, change: expireChange(op, where.at) });
  }

  #arrives(op: OpOf<'transfer.deliver'>, where: Where, names: readonly string[]): void {
    const { from, lane, first, transfers } = op.command;
    for (const [index, transfer] of transfers.entries()) {
      if (packetOf(transfer) !== this.packetId) continue;
      const receipt = op.outcome.success?.receipts[index];
      const because = nameOf({ from, to: where.setId, lane, number: first + index });
      const status = receipt === undefined ? op.outcome.status : statusOf(receipt);
      // What a create sends on is its announcement; nothing else that arrives sends anything.
      const sent = transfer.kind === 'packet.create' ? names : [];
      const change = createChange({ transfer, receipt, sends: op.sends, at: where.at });
      this.#push(where, { ...arrivalOf(transfer, receipt), status, because, sent, change });
    }
  }

  #acknowledges(op: OpOf<'transfer.ack'>, where: Where): void {
    const { to, lane, upTo, tombstones } = op.command;
    if (op.outcome.success === null) return;
    for (const [name, { setId, send }] of this.#owed) {
      if (setId !== where.setId || send.to !== to || send.lane !== lane) continue;
      if (send.number > upTo) continue;
      this.#owed.delete(name);
      const grave = tombstones.find(({ number }) => number === send.number);
      const { kind } = send.transfer;
      const { transfer } = send;
      // What never went live goes back to who paid it.
      const back = grave !== undefined && transfer.kind === 'packet.create' ? transfer : null;
      this.#push(where, {
        kind: 'receipt',
        who: back?.definition.sender ?? '',
        status: grave === undefined ? 'ok' : `tombstone: ${grave.reason}`,
        amountCents: back?.definition.totalCents ?? 0,
        note: `${kind} ${send.number} in lane ${lane} at Set ${to}`,
        because: name,
      });
    }
  }

  #push(
    where: Where,
    step: Omit<Step, keyof Where | 'sent' | 'because' | 'change'> &
      Partial<Pick<Step, 'sent' | 'because' | 'change'>>,
  ): void {
    this.#steps.push({ ...where, sent: [], because: null, change: null, ...step });
  }
}

type Arrival = Pick<Step, 'kind' | 'who' | 'amountCents' | 'note'>;

function arrivalOf(transfer: Transfer, receipt: Receipt | undefined): Arrival {
  switch (transfer.kind) {
    case 'packet.create': {
      const { definition } = transfer;
      const { sender: who, totalCents: amountCents } = definition;
      return { kind: 'create', who, amountCents, note: wordsOf(definition) };
    }
    case 'packet.announce': {
      const note = receipt?.kind === 'message' ? `message ${receipt.seq}` : '';
      return { kind: 'announce', who: transfer.sender, amountCents: 0, note };
    }
    case 'claim.credit':
    case 'packet.refund': {
      const { user: who, amountCents } = transfer;
      return { kind: ARRIVALS[transfer.kind], who, amountCents, note: '' };
    }
    case 'group.found':
    case 'member.hint':
      throw new Error(`${transfer.kind} is of no packet`);
  }
}

function statusOf(receipt: Receipt): string {
  return receipt.kind === 'tombstone' ? `tombstone: ${receipt.reason}` : receipt.kind;
}

function wordsOf(definition: Definition): string {
  const { kind, strategy, timing, count } = definition;
  return `${kind}, ${strategy}, ${timing}, ${count} shares`;
}
