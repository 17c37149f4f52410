import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { equalBytes } from '../../../lib/core/bytes.ts';
import type { Command } from '../../../lib/core/command.ts';
import { encodeCommand } from '../../../lib/core/command.ts';
import type { Outcome, Receipt } from '../../../lib/core/outcome.ts';
import { decodeOutcome, succeeded } from '../../../lib/core/outcome.ts';
import { retryOf } from '../../../lib/core/status.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { History } from './history.ts';
import type { SimNode } from './node.ts';
import type { Trace } from '../trace.ts';
import { hold } from '../trace.ts';

export type Answer = {
  readonly lsn: number;
  readonly bytes: Uint8Array;
  readonly outcome: Outcome;
};

/** One thing that a client wants, with the same bytes at every try until a final answer comes. */
export type Wish = {
  readonly number: number;
  readonly command: Command;
  readonly bytes: Uint8Array;
  tries: number;
  nextTryMs: number;
  /** Final answers in the order in which they came; all but the first are to repeats. */
  readonly answers: Answer[];
  readonly onAnswer: (answer: Answer) => void;
};

const PATIENCE_MS = 3_000;

/** All clients: they ask, wait, ask again elsewhere, and remember what they were told. */
export class Clients {
  readonly wishes: Wish[] = [];
  readonly #clock: Clock;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #history: History;

  constructor(args: { clock: Clock; chance: SeededRandom; trace: Trace; history: History }) {
    this.#clock = args.clock;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#history = args.history;
  }

  get open(): number {
    return this.wishes.filter((wish) => wish.answers.length === 0).length;
  }

  want(command: Command, onAnswer: (answer: Answer) => void = () => undefined): Wish {
    const wish: Wish = {
      number: this.wishes.length,
      command,
      bytes: encodeCommand(command),
      tries: 0,
      nextTryMs: 0,
      answers: [],
      onAnswer,
    };
    this.wishes.push(wish);
    return wish;
  }

  /** Every wish without an answer whose time has come is asked of one of the nodes. */
  ask(nodes: readonly SimNode[]): void {
    if (nodes.length === 0) return;
    for (const wish of this.wishes) {
      if (wish.answers.length > 0 || wish.nextTryMs > this.#clock.monotonicMs()) continue;
      const leading = nodes.filter(({ leads }) => leads);
      const among = leading.length > 0 && this.#chance.below(4) > 0 ? leading : nodes;
      const node = among[this.#chance.below(among.length)];
      if (node !== undefined) this.send(wish, node);
    }
  }

  send(wish: Wish, node: SimNode): void {
    wish.tries += 1;
    wish.nextTryMs = this.#clock.monotonicMs() + PATIENCE_MS;
    let heard = 0;
    const sink = {
      reply: (tag: number, at: number, bytes: Uint8Array): void => {
        heard += 1;
        this.#trace.guard(() => hold(heard === 1 && tag === wish.number, `one try, one answer`));
        this.#hear({ wish, node, lsn: at, bytes: bytes.slice() });
      },
    };
    node.hold(() => node.engine.submit({ bytes: wish.bytes, tag: wish.number, sink }));
  }

  #hear(args: { wish: Wish; node: SimNode; lsn: number; bytes: Uint8Array }): void {
    const { wish, node, lsn, bytes } = args;
    const outcome = decodeOutcome(wish.command.type, bytes);
    const final = retryOf(outcome.status) === 'final';
    this.#trace.note(
      `${node.name} answers #${wish.number} ${wish.command.type}: ${outcome.status} at LSN ${lsn}`,
    );
    if (!final) {
      wish.nextTryMs = this.#clock.monotonicMs() + 50 + this.#chance.below(400);
      return;
    }
    this.#history.announce(lsn, `#${wish.number} is answered`);
    const answer = { lsn, bytes, outcome };
    const first = wish.answers[0];
    wish.answers.push(answer);
    if (first === undefined) wish.onAnswer(answer);
    else this.#trace.guard(() => holdSame(wish, first, answer));
  }
}

/** M9: who was told yes is told the same for ever, in the words of a repeat. */
export function holdSame(wish: Wish, first: Answer, second: Answer): void {
  const a = first.outcome;
  const b = second.outcome;
  if (!succeeded(a) && !succeeded(b)) return;
  const rule = `M9 #${wish.number} ${wish.command.type}: ${a.status}, then ${b.status}`;
  hold(succeeded(a) && succeeded(b), rule);
  if (a.type === 'packet.open' && b.type === 'packet.open') {
    const same = a.amountCents === b.amountCents && a.order === b.order && a.at === b.at;
    hold(same, `${rule} with another share`);
  } else if (a.type === 'message.send') {
    hold(equalBytes(first.bytes, second.bytes), `${rule} with another seq`);
  } else if (a.type === 'transfer.deliver' && b.type === 'transfer.deliver') {
    hold(a.receipts.length === b.receipts.length, `${rule} with other receipts`);
    a.receipts.forEach((receipt, index) => {
      hold(sameReceipt(receipt, b.receipts[index]), `${rule} with another receipt`);
    });
  }
}

/** A repeat says `duplicate` for what was done, and the same tombstone for what was refused. */
function sameReceipt(a: Receipt, b: Receipt | undefined): boolean {
  if (a.kind !== 'tombstone') return b !== undefined && b.kind !== 'tombstone';
  return b?.kind === 'tombstone' && a.reason === b.reason;
}
