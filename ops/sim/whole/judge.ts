import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { Row } from '../../../lib/port/replica-store.ts';
import { TABLES } from '../../../set-node/read/tables.ts';
import { Cashbook } from '../check/cashbook.ts';
import type { GatewayRecord } from '../check/cashbook.ts';
import { Clients } from '../check/clients.ts';
import { ClusterBooks } from '../../../reconciler/audit/cluster-books.ts';
import { opsOf } from '../../../reconciler/audit/set-books.ts';
import { holdEqualTables, holdWallets } from '../../../reconciler/audit/projection.ts';
import type { TableDump } from '../../../reconciler/audit/projection.ts';
import type { Site } from '../site.ts';
import type { Trace } from '../trace.ts';
import type { SimSet } from './sim-set.ts';
import type { Told } from './told.ts';

const LANES = 4;

/**
 * Holds what is committed, what tables show and what people were told against books that it keeps
 * itself from the journals, by SPEC. It believes nobody.
 */
export class Judge {
  readonly #trace: Trace;
  readonly #told: Told;
  readonly #books: ClusterBooks;
  readonly #clients = new Clients();
  readonly #cashbook = new Cashbook();
  /** How much of each list of what people were told has been taken. */
  readonly #taken = {
    opens: 0,
    sends: 0,
    messages: 0,
    groups: 0,
    balances: 0,
    refusals: 0,
    payments: 0,
  };

  readonly #isShown: (packetId: string) => boolean;

  /** `isShown`: was anybody told that this packet is there? */
  constructor(args: {
    sets: readonly number[];
    trace: Trace;
    told: Told;
    isShown: (packetId: string) => boolean;
  }) {
    this.#isShown = args.isShown;
    this.#books = new ClusterBooks(args.sets);
    this.#trace = args.trace;
    this.#told = args.told;
  }

  /** The next entry of a Set that anybody may know of. Throws a Violation. */
  committed(set: number, entry: Entry): void {
    this.#books.set(set).holdHead(entry);
    const ops = opsOf(entry);
    this.#books.addOps(set, entry, ops);
    this.#cashbook.add(ops);
  }

  /** Packets whose rest went back. */
  get refunds(): number {
    return this.#count(({ end }) => end?.kind === 'refunded');
  }

  get allEnded(): boolean {
    return this.#count(({ end }) => end === null) === 0;
  }

  #count(is: (packet: { end: { kind: string } | null }) => boolean): number {
    let count = 0;
    for (const { packets } of this.#books.sets()) {
      for (const packet of packets.all()) if (is(packet)) count += 1;
    }
    return count;
  }

  /** Has every transfer a receipt, and is no cent on its way between Sets? */
  get isSettled(): boolean {
    const ids = [...this.#books.sets()].map(({ setId }) => setId);
    for (const { outbox } of this.#books.sets()) {
      for (const to of ids) {
        for (let lane = 0; lane < LANES; lane++) {
          if (outbox.sentUpTo(to, lane) !== outbox.doneUpTo(to, lane)) return false;
        }
      }
    }
    let gatewayCents = 0;
    for (const { ledger } of this.#books.sets()) gatewayCents += ledger.gatewayCents;
    return this.#books.whereabouts().inFlightCents === gatewayCents;
  }

  /** Has the gateway had its say about every withdrawal? */
  get arePaidOut(): boolean {
    return this.#cashbook.withdrawing === 0;
  }

  /** What the gateway has ended and nobody here has heard of; null: nothing. */
  whyNotHeard(records: readonly GatewayRecord[]): string | null {
    return this.#cashbook.whyNotHeard(records);
  }

  /** What is not yet as the gateway says; null: nothing. */
  whyNotPaid(records: readonly GatewayRecord[]): string | null {
    return this.#cashbook.whyNotSettled(records);
  }

  /** The gateway was told that its word is settled: then it is committed (P7). */
  gatewayTold(record: GatewayRecord): void {
    this.#trace.guard(() => this.#cashbook.holdRecord(record));
  }

  /** How far the books of a Set go. */
  lsnOf(set: number): number {
    return this.#books.set(set).lsn;
  }

  /** What people were told since the last look: the same question has the same answer (M9). */
  hear(): void {
    const { opens, sends, messages, groups, balances, refusals, payments } = this.#told;
    const taken = this.#taken;
    for (; taken.opens < opens.length; taken.opens++) {
      this.#take(opens[taken.opens], (open) => this.#clients.toldOpen(open));
    }
    for (; taken.sends < sends.length; taken.sends++) {
      this.#take(sends[taken.sends], (send) => this.#clients.toldSend(send));
    }
    for (; taken.payments < payments.length; taken.payments++) {
      this.#take(payments[taken.payments], (payment) => this.#clients.toldPayment(payment));
    }
    for (; taken.messages < messages.length; taken.messages++) {
      this.#take(messages[taken.messages], (message) => {
        if (message.how === 'reply') this.#clients.toldMessage(message);
        else this.#clients.toldSeen({ ...message, sender: message.user });
      });
    }
    for (; taken.groups < groups.length; taken.groups++) {
      this.#take(groups[taken.groups], ({ clientId, change, ...rest }) => {
        if (clientId === null) return;
        if (change === 'created') this.#clients.toldGroup({ ...rest, clientId });
        else if (change === 'left') this.#clients.toldLeave({ ...rest, clientId });
      });
    }
    for (; taken.balances < balances.length; taken.balances++) {
      this.#take(balances[taken.balances], (balance) => this.#clients.toldBalance(balance));
    }
    for (; taken.refusals < refusals.length; taken.refusals++) {
      this.#take(refusals[taken.refusals], ({ user, op, key, code, sealed }) => {
        // Other noes are not journaled (C7): the same id may be answered with a yes later.
        if (code === 'packet_drained') {
          this.#clients.toldNo({ user, status: code, packetId: key });
        } else if (sealed && KEYED.has(op)) {
          this.#clients.toldNo({ user, status: code, clientId: key });
        }
      });
    }
  }

  #take<One>(one: One | undefined, by: (one: One) => void): void {
    if (one !== undefined) this.#trace.guard(() => by(one));
  }

  /** I11, for every two replicas of a Set whose tables show the same LSN. */
  async compareTables(sets: readonly SimSet[]): Promise<void> {
    for (const set of sets) {
      const dumps = await Promise.all(set.sites.map(dump));
      this.#trace.guard(() => {
        for (const [at, one] of dumps.entries()) {
          for (const other of dumps.slice(at + 1)) holdEqualTables(one, other);
        }
      });
    }
  }

  /** The end of a walk, when nothing is on its way any more. */
  async finish(
    sets: readonly SimSet[],
    money: { records: readonly GatewayRecord[]; hands: readonly string[] },
  ): Promise<void> {
    this.hear();
    const { issuedCents: issued } = this.#books.whereabouts();
    const told = this.#told.payments;
    this.#trace.guard(() =>
      this.#cashbook.finish({ ...money, told, issuedCents: issued, isShown: this.#isShown }),
    );
    await this.compareTables(sets);
    this.#trace.guard(() => this.#clients.finish(this.#books));
    for (const set of sets) {
      const books = this.#books.set(set.id);
      for (const site of set.sites) {
        const tables = await dump(site);
        this.#trace.guard(() => holdWallets(tables, books));
      }
    }
    const { walletsCents, packetsCents, inFlightCents, issuedCents } = this.#books.whereabouts();
    this.#trace.note(
      `${walletsCents} cents in wallets, ${packetsCents} in packets, ${inFlightCents} in flight, ${issuedCents} issued`,
    );
    const [paid, denied, expired] = (['paid', 'denied', 'expired'] as const).map((state) =>
      this.#cashbook.count(state),
    );
    this.#trace.note(`${paid} payments are paid, ${denied} denied, ${expired} expired`);
  }
}

/** Ops whose key is the client's id of a command. */
const KEYED = new Set([
  'packet.send',
  'group.create',
  'group.leave',
  'message.send',
  'wallet.topup',
  'wallet.withdraw',
]);

async function dump({ name, disk }: Site): Promise<TableDump> {
  const tables = new Map<string, { columns: readonly string[]; rows: readonly Row[] }>();
  const projectedLsn = await disk.projectedLsn();
  for (const { name: table, columns } of TABLES) {
    tables.set(table, { columns: Object.keys(columns), rows: disk.rows(table) });
  }
  return { where: `replica ${name}`, projectedLsn, tables };
}
