import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { Writer } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { decodeCommand } from '../../lib/core/command.ts';
import { asId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome, Receipt } from '../../lib/core/outcome.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { Status } from '../../lib/core/status.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { LANE_COUNT, LANES, writeTransfer } from '../../lib/core/transfer.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents, setId } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { OutboxAnswer__Output } from '../../proto/gen/hongbao/OutboxAnswer.ts';
import type { Ask, CommandAnswer, EncodedCommand, QueryAnswer, Router } from '../../router/api.ts';

/** Entries below this amount of every tenth cent are refused by their receiver for ever. */
const REFUSED_EVERY = 10;

/** What a courier asked for, readable. */
export function commandOf(command: Command | EncodedCommand): Command {
  return 'bytes' in command ? decodeCommand(command.bytes) : command;
}

type OutLane = { first: number; pending: Transfer[]; enqueued: number };

type FakeInbox = { upTo: number; above: Set<number>; tombstones: Map<number, Status> };

/** One Set as far as transfers go: an outbox, an inbox, and books that sum to zero. */
class FakeBooks {
  readonly out = new Map<number, OutLane>();
  readonly inbox = new Map<number, FakeInbox>();
  /** Numbers as they were booked, per (source, lane). */
  readonly booked = new Map<number, number[]>();
  walletsCents = 0;
  clearingCents = 0;
  lsn = 0;

  outLane(to: number, lane: number): OutLane {
    const key = to * LANE_COUNT + lane;
    const found = this.out.get(key) ?? { first: 1, pending: [], enqueued: 0 };
    this.out.set(key, found);
    return found;
  }

  get pendingCents(): number {
    return [...this.out.values()]
      .flatMap((l) => l.pending)
      .reduce((sum, t) => sum + amountOf(t), 0);
  }

  get pendingTransfers(): number {
    return [...this.out.values()].reduce((sum, lane) => sum + lane.pending.length, 0);
  }
}

function amountOf(t: Transfer): number {
  return t.kind === 'claim.credit' ? t.amountCents : 0;
}

export type Faults = {
  /** Of 100: how many answers are lost after they were done, and requests before. */
  readonly lostReplies: number;
  readonly lostRequests: number;
  readonly overloaded: number;
  /** A destination is away for this part of 100 of all seconds. */
  readonly down: number;
};

export const NO_FAULTS: Faults = { lostReplies: 0, lostRequests: 0, overloaded: 0, down: 0 };

/** Sets that owe each other, behind a Router whose line loses, repeats and refuses. */
export class FakeWorld {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly books = new Map<SetId, FakeBooks>();
  /** What must never happen; a checker that cannot fill this proves nothing. */
  readonly violations: string[] = [];
  readonly delivers: { to: SetId; lane: number; first: number; count: number }[] = [];
  faults: Faults = NO_FAULTS;
  /** Answers entry by entry, as builds before runs did. */
  isOld = false;
  /** Withdrawals that each Set has under way. */
  gatewayCents = 0;
  issuedCents = 0;

  constructor(args: { sets: number; seed: number }) {
    this.random = new SeededRandom(args.seed);
    for (let id = 0; id < args.sets; id++) this.books.set(setId(id), new FakeBooks());
  }

  /** Money leaves a packet of `from` for somebody at `to`. */
  owe(args: { from: number; to: number; amountCents: number }): void {
    const source = this.of(args.from);
    const lane = source.outLane(
      args.to,
      args.amountCents >= 5_000 ? LANES.largeCredit : LANES.credit,
    );
    lane.pending.push({
      kind: 'claim.credit',
      packetId: asId(1n),
      groupId: asId(2n),
      user: parseUserId('bob')!,
      amountCents: cents(args.amountCents),
    });
    lane.enqueued += 1;
    source.clearingCents += args.amountCents;
    source.lsn += 1;
    this.issuedCents += args.amountCents;
  }

  of(set: number): FakeBooks {
    return this.books.get(setId(set))!;
  }

  get pendingTransfers(): number {
    return [...this.books.values()].reduce((sum, books) => sum + books.pendingTransfers, 0);
  }

  readonly router: Router = {
    topologyVersion: 1,
    sets: () => [...this.books.keys()],
    homeOf: () => setId(0),
    place: () => null,
    takeId: () => Promise.resolve(null),
    command: (set, command) => this.#command(set, commandOf(command)),
    query: (set, ask) => this.#query(set, ask),
    onEvents: () => {},
    watchGroup: () => {},
    unwatchGroup: () => {},
    watchUser: () => {},
    unwatchUser: () => {},
    queueWaitUs: () => 0,
    isUp: () => true,
    close: () => Promise.resolve(),
  };

  #chance(of100: number): boolean {
    return this.random.below(100) < of100;
  }

  /** Away for whole seconds, each Set in its own. */
  #isDown(set: SetId): boolean {
    const second = Math.floor(this.clock.monotonicMs() / 1_000);
    return (second * 37 + set * 53) % 100 < this.faults.down;
  }

  #later<T>(answer: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.clock.after(this.random.below(8), () => resolve(answer()));
    });
  }

  #command(set: SetId, command: Command): Promise<CommandAnswer> {
    return this.#later(() => {
      const mark = { setId: set, epoch: 3, lsn: this.of(set).lsn + 1 };
      const failed = (status: Status): CommandAnswer => ({
        outcome: refuse(command.type, status),
        mark,
      });
      if (this.#isDown(set)) return failed('set_unavailable');
      if (this.#chance(this.faults.overloaded)) return failed('overloaded');
      if (this.#chance(this.faults.lostRequests)) return failed('unknown');
      const outcome = this.#decide(set, command);
      return this.#chance(this.faults.lostReplies) ? failed('unknown') : { outcome, mark };
    });
  }

  #decide(set: SetId, command: Command): Outcome {
    this.of(set).lsn += 1;
    if (command.type === 'transfer.deliver') return this.#receive(set, command);
    if (command.type === 'transfer.ack') return this.#finish(set, command);
    throw new Error(`a courier never sends ${command.type}`);
  }

  #receive(set: SetId, command: Extract<Command, { type: 'transfer.deliver' }>): Outcome {
    const { from, lane, first, transfers } = command;
    const books = this.of(set);
    const key = from * LANE_COUNT + lane;
    const fresh = { upTo: 0, above: new Set<number>(), tombstones: new Map<number, Status>() };
    const inbox = books.inbox.get(key) ?? fresh;
    books.inbox.set(key, inbox);
    const booked = books.booked.get(key) ?? [];
    books.booked.set(key, booked);
    this.delivers.push({ to: set, lane, first, count: transfers.length });
    const ahead = first + transfers.length - 1 - inbox.upTo;
    if (ahead > LIMITS.transferWindowMax) {
      this.violations.push(`${from}>${set}/${lane} ${first} is ${ahead} ahead`);
    }
    if (lane === LANES.control && first > inbox.upTo + 1) {
      this.violations.push(`hole before ${from}>${set}/${lane} ${first}`);
    }
    const receipts = transfers.map((transfer, index): Receipt => {
      const number = first + index;
      const recorded = inbox.tombstones.get(number);
      if (recorded !== undefined) return { kind: 'tombstone', reason: recorded };
      if (number <= inbox.upTo || inbox.above.has(number)) return { kind: 'duplicate' };
      inbox.above.add(number);
      while (inbox.above.delete(inbox.upTo + 1)) inbox.upTo += 1;
      booked.push(number);
      if (amountOf(transfer) % REFUSED_EVERY === 1) {
        inbox.tombstones.set(number, 'not_allowed');
        return { kind: 'tombstone', reason: 'not_allowed' };
      }
      books.walletsCents += amountOf(transfer);
      books.clearingCents -= amountOf(transfer);
      return { kind: 'applied' };
    });
    return { type: 'transfer.deliver', status: 'ok', receipts };
  }

  #finish(set: SetId, command: Extract<Command, { type: 'transfer.ack' }>): Outcome {
    const { to, lane, upTo, tombstones } = command;
    const out = this.of(set).outLane(to, lane);
    const inbox = this.of(to).inbox.get(set * LANE_COUNT + lane);
    if (upTo > (inbox?.upTo ?? 0))
      this.violations.push(`${set}>${to}/${lane} acked unreceived ${upTo}`);
    for (; out.first <= upTo; out.first++) {
      const transfer = out.pending.shift();
      if (transfer === undefined) {
        this.violations.push(`${set}>${to}/${lane} acked unsent ${upTo}`);
        break;
      }
      const refused = inbox?.tombstones.has(out.first) ?? false;
      const refunded = tombstones.some((tombstone) => tombstone.number === out.first);
      if (refused !== refunded) {
        this.violations.push(
          `${set}>${to}/${lane} ${out.first}: refused ${refused}, told ${refunded}`,
        );
      }
      if (!refunded) continue;
      this.of(set).walletsCents += amountOf(transfer);
      this.of(set).clearingCents -= amountOf(transfer);
    }
    return { type: 'transfer.ack', status: 'ok', upTo };
  }

  #query(set: SetId, ask: Ask): Promise<QueryAnswer> {
    return this.#later(() => {
      const lost = this.#chance(this.faults.lostReplies + this.faults.lostRequests);
      if (this.#isDown(set) || lost) return { status: 'set_unavailable', reply: null };
      const reply = { tag: 0, status: 'ok', asOfLsn: '0' };
      if (ask.money) return { status: 'ok', reply: { ...reply, money: this.#money(set) } };
      const after = new Map(
        (ask.outbox?.cursors ?? []).map((cursor) => [
          (cursor.to ?? 0) * LANE_COUNT + (cursor.lane ?? 0),
          Number(cursor.after ?? 0),
        ]),
      );
      // What is not named is read from its beginning.
      const entries = [...this.of(set).out].flatMap(([key, { first, pending }]) => {
        const [to, lane] = [Math.floor(key / LANE_COUNT), key % LANE_COUNT];
        return pending.flatMap((transfer, index) => {
          const number = first + index;
          return number <= (after.get(key) ?? 0) ? [] : [{ to, lane, number, transfer }];
        });
      });
      const page = entries.slice(0, ask.outbox?.limit);
      const isPacked = ask.outbox?.packed === true && !this.isOld;
      const outbox = isPacked ? runsOf(page) : plainOf(page);
      return { status: 'ok', reply: { ...reply, outbox } };
    });
  }

  #money(set: SetId): NonNullable<NonNullable<QueryAnswer['reply']>['money']> {
    const books = this.of(set);
    return {
      lsn: String(books.lsn),
      walletsCents: String(books.walletsCents),
      packetsCents: '0',
      clearingCents: String(books.clearingCents + this.gatewayCents),
      issuerCents: String(-books.walletsCents - books.clearingCents - this.gatewayCents),
      pendingCents: String(books.pendingCents),
      livePackets: 0,
      wallets: 1,
      pendingTransfers: books.pendingTransfers,
      gatewayCents: String(this.gatewayCents),
      pendingPayments: 0,
    };
  }

  /** At the end: every entry was booked once, and the books agree. */
  check(): string[] {
    const found = [...this.violations];
    for (const [from, source] of this.books) {
      for (const [key, lane] of source.out) {
        const to = Math.floor(key / LANE_COUNT);
        const number = key % LANE_COUNT;
        const booked = (this.of(to).booked.get(from * LANE_COUNT + number) ?? []).toSorted(
          (a, b) => a - b,
        );
        const whole =
          booked.length === lane.enqueued && booked.every((each, index) => each === index + 1);
        if (!whole)
          found.push(`${from}>${to}/${number}: ${lane.enqueued} sent, booked ${booked.length}`);
        if (lane.pending.length > 0)
          found.push(`${from}>${to}/${number}: ${lane.pending.length} left`);
      }
    }
    const all = [...this.books.values()];
    const wallets = all.reduce((sum, books) => sum + books.walletsCents, 0);
    const clearing = all.reduce((sum, books) => sum + books.clearingCents, 0);
    if (wallets !== this.issuedCents) found.push(`wallets ${wallets} of ${this.issuedCents}`);
    if (clearing !== 0) found.push(`clearing ${clearing}`);
    return found;
  }
}

type Entry = {
  readonly to: number;
  readonly lane: number;
  readonly number: number;
  readonly transfer: Transfer;
};

function plainOf(page: readonly Entry[]): OutboxAnswer__Output {
  const entries = page.map(({ to, lane, number, transfer }) => {
    const w = new Writer();
    writeTransfer(w, transfer);
    return { to, lane, number: String(number), transfer: Buffer.from(w.finish()) };
  });
  return { entries, runs: [] };
}

/** A run for each stretch of one lane without gaps. */
function runsOf(page: readonly Entry[]): OutboxAnswer__Output {
  const runs: { to: number; lane: number; first: number; count: number; w: Writer }[] = [];
  for (const { to, lane, number, transfer } of page) {
    let run = runs.at(-1);
    const fits =
      run?.to === to && run.lane === lane && number === run.first + run.count ? run : undefined;
    run = fits ?? { to, lane, first: number, count: 0, w: new Writer() };
    if (fits === undefined) runs.push(run);
    const at = run.w.openLength();
    writeTransfer(run.w, transfer);
    run.w.patchLength(at);
    run.count += 1;
  }
  return {
    entries: [],
    runs: runs.map(({ to, lane, first, w }) => ({
      to,
      lane,
      first: String(first),
      transfers: Buffer.from(w.finish()),
    })),
  };
}
