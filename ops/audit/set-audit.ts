import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Op } from '../../reconciler/audit/decode.ts';
import { Heads } from '../../reconciler/audit/replicas.ts';
import type { JournalFinding } from '../../reconciler/audit/replicas.ts';
import { snapshotProblems } from '../../reconciler/audit/replicas-snapshot.ts';
import { sumOf } from '../../reconciler/audit/sum.ts';
import { TableDigest } from '../../reconciler/audit/tables-digest.ts';
import { TABLE_NAMES, cellsText } from '../../reconciler/audit/tables-layout.ts';
import { TableModel } from '../../reconciler/audit/tables.ts';
import type { FindingList } from './findings.ts';
import type { ReplicaReader, ReplicaState, TablesView } from './reader.ts';
import { SetFeed } from './set-feed.ts';
import { compareRows } from './table-rows.ts';

/** An incarnation is its epoch times this, and a count. */
const INCARNATIONS_PER_EPOCH = 4_096;
/** How often the tables of one replica are tried. */
const LOOKS = 3;

type Replica = {
  readonly reader: ReplicaReader;
  readonly view: TablesView;
  /** Of all rows of its tables; null when one could not be read. */
  readonly digest: TableDigest | null;
};

/** What one Set's replicas came to. */
export type SetFigures = {
  readonly setId: number;
  readonly lsn: number;
  readonly replicas: readonly {
    readonly where: string;
    readonly headLsn: number;
    readonly projectedLsn: number;
  }[];
};

/** Everything of one Set that needs no other Set: journals, tables and snapshots of its replicas. */
export class SetAudit {
  readonly setId: number;
  readonly feed: SetFeed;
  readonly #replicas: readonly Replica[];
  readonly #quorum: number;
  readonly #findings: FindingList;
  readonly #heads = new Heads();
  readonly #model: TableModel;
  readonly #due = new TableDigest();
  /** What tables must show, by the LSN that some replica shows. */
  readonly #captures = new Map<number, TableDigest>();
  /** Checksums of entries at which there are snapshots. */
  readonly #sums = new Map<number, Uint8Array>();
  /** By replica: the newest words about what it had acknowledged, by epoch of who said so. */
  readonly #words = new Map<number, { epoch: number; acked: number }[]>();
  #states: ReplicaState[] = [];
  #isModelBroken = false;
  #clusterId = '';
  #lsn = 0;
  #tableRows = 0;

  private constructor(args: {
    setId: number;
    quorum: number;
    replicas: readonly Replica[];
    findings: FindingList;
  }) {
    const { setId, quorum, replicas, findings } = args;
    this.setId = setId;
    this.#quorum = quorum;
    this.#replicas = replicas;
    this.#findings = findings;
    this.#model = new TableModel(({ table, row }) => this.#due.add(table, cellsText(table, row)));
    this.feed = new SetFeed({
      setId,
      quorum,
      readers: replicas.map(({ reader }) => reader),
      onFinding: (finding) => this.#addJournal(finding),
    });
    for (const { view, digest } of replicas) {
      this.#tableRows += digest?.rows ?? 0;
      for (const { lsn } of view.snapshots) this.#sums.set(lsn, new Uint8Array(0));
    }
    this.#capture(0);
  }

  /** First what tables show, then how far journals go: so these go at least as far. */
  static async open(args: {
    setId: number;
    /** Copies that make an entry committed. */
    quorum: number;
    readers: readonly ReplicaReader[];
    findings: FindingList;
  }): Promise<SetAudit> {
    const { setId, quorum, findings } = args;
    const replicas: Replica[] = [];
    for (const reader of args.readers) replicas.push(await look({ reader, findings }));
    const audit = new SetAudit({ setId, quorum, replicas, findings });
    await audit.refresh();
    return audit;
  }

  get lsn(): number {
    return this.#lsn;
  }

  /** Rows of journals and tables that were read. */
  get rows(): number {
    return this.feed.rows + this.#tableRows;
  }

  /** How far journals go now. */
  async refresh(): Promise<void> {
    this.#states = await Promise.all(this.#replicas.map(({ reader }) => reader.state()));
    this.feed.extend({
      heads: this.#states.map(({ headLsn }) => headLsn),
      commitLsn: Math.max(...this.#states.map(({ commitLsn }) => commitLsn)),
    });
  }

  /** The next entry of the feed; `ops` is null when they cannot be read. */
  add(entry: Entry, ops: readonly Op[] | null): void {
    this.#lsn = entry.lsn;
    const head = this.#heads.add(entry, ops?.map(({ type }) => type) ?? null);
    if (head !== null) {
      const { rule, what } = head;
      const expected = 'a head that follows from the entries before';
      this.#add({ kind: 'journal head', place: `LSN ${entry.lsn}`, rule, expected, found: what });
    }
    for (const op of ops ?? []) {
      if (op.type === 'set.configure') this.#clusterId = op.command.clusterId;
    }
    this.#remember(entry);
    // The books name the rule.
    if (ops === null) this.#isModelBroken = true;
    if (this.#isModelBroken || ops === null) return;
    this.#model.addOps(entry, ops);
    this.#capture(entry.lsn);
  }

  #remember(entry: Entry): void {
    if (this.#sums.has(entry.lsn)) this.#sums.set(entry.lsn, entry.sum);
    for (const [replica, acked] of entry.acked.entries()) {
      const words = this.#words.get(replica) ?? [];
      const last = words.at(-1);
      if (last?.epoch === entry.epoch) last.acked = Math.max(last.acked, acked);
      else words.push({ epoch: entry.epoch, acked });
      this.#words.set(replica, words);
    }
  }

  #capture(lsn: number): void {
    if (!this.#replicas.some(({ view }) => view.projectedLsn === lsn)) return;
    const due = this.#due.copy();
    for (const { table, row } of this.#model.kept()) due.add(table, cellsText(table, row));
    this.#captures.set(lsn, due);
  }

  /** When the feed is at its end: tables, snapshots, and what replicas say of themselves. */
  async finish(): Promise<SetFigures> {
    if (!this.feed.isBlocked) await this.refresh();
    await this.feed.readAbove();
    for (const [index, replica] of this.#replicas.entries()) {
      const state = this.#states[index];
      if (state !== undefined) this.#checkState({ replica, state });
      this.#checkSnapshots(replica);
      this.#checkNames(replica);
      await this.#checkTables(replica);
      await this.#checkBeside(replica);
    }
    return {
      setId: this.setId,
      lsn: this.#lsn,
      replicas: this.#replicas.map(({ reader, view }, index) => ({
        where: reader.where,
        headLsn: this.#states[index]?.headLsn ?? 0,
        projectedLsn: view.projectedLsn,
      })),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#replicas.map(({ view }) => view.close()));
  }

  /** L15: who has less than he knows himself, or than he acknowledged, has forgotten. */
  #checkState(args: { replica: Replica; state: ReplicaState }): void {
    const { replica, state } = args;
    const { where } = replica.reader;
    const { headLsn, commitLsn, incarnation, readmitting, discardedBy, clusterId } = state;
    if (clusterId === '' || readmitting > incarnation) {
      this.#findings.notes.push(`${where} is being re-admitted: how much it has is not judged`);
      return;
    }
    if (this.#clusterId !== '' && clusterId !== this.#clusterId) {
      const expected = `cluster ${this.#clusterId}, as the journal says`;
      this.#add({
        kind: 'replica state',
        where,
        place: 'its row',
        rule: 'L21',
        expected,
        found: clusterId,
      });
    }
    const { projectedLsn } = replica.view;
    const known = Math.max(commitLsn, projectedLsn);
    const from = Math.floor(incarnation / INCARNATIONS_PER_EPOCH);
    const words = (this.#words.get(replica.reader.replica) ?? []).filter(
      ({ epoch }) => epoch > from && epoch >= discardedBy,
    );
    const acked = Math.max(0, ...words.map((word) => word.acked));
    const place = `LSN ${headLsn + 1}`;
    if (headLsn < known) {
      const expected = `entries up to LSN ${known}, which it knows to be committed`;
      const found = `a journal that ends with ${headLsn}`;
      this.#add({ kind: 'journal short', where, place, rule: 'L15', expected, found });
    } else if (headLsn < acked) {
      const expected = `entries up to LSN ${acked}, which it acknowledged`;
      const found = `a journal that ends with ${headLsn}`;
      this.#add({ kind: 'journal short', where, place, rule: 'L15', expected, found });
    } else if (headLsn < this.#lsn) {
      this.#findings.notes.push(`${where} lags: LSN ${headLsn} of ${this.#lsn}`);
    }
  }

  #checkSnapshots({ reader, view }: Replica): void {
    for (const snapshot of view.snapshots) {
      const sum = this.#sums.get(snapshot.lsn);
      if (snapshot.lsn > this.#lsn && this.feed.isBlocked) continue;
      const sumAt = sum === undefined || sum.length === 0 ? null : sum;
      for (const { expected, found } of snapshotProblems(snapshot, sumAt)) {
        const place = `snapshot at LSN ${snapshot.lsn}`;
        this.#add({ kind: 'snapshot', where: reader.where, place, rule: 'L13', expected, found });
      }
    }
  }

  #checkNames({ reader, view }: Replica): void {
    const { where } = reader;
    const made = new Set(view.made);
    const there = new Set(view.names);
    // Before anything was projected a replica has none.
    if (made.size === 0) return;
    for (const name of TABLE_NAMES) {
      if (!made.has(name)) {
        this.#findings.notes.push(`${where} has no table ${name}: it was made by another build`);
      } else if (!there.has(name)) {
        const expected = 'a table that it was made with';
        this.#add({
          kind: 'table gone',
          where,
          place: name,
          rule: 'AU23',
          expected,
          found: 'none',
        });
      }
    }
    for (const name of made) {
      if (TABLE_NAMES.some((known) => known === name)) continue;
      this.#findings.notes.push(`${where} has a table ${name} that this audit does not know`);
    }
  }

  async #checkTables({ reader, view, digest }: Replica): Promise<void> {
    const { where } = reader;
    const { projectedLsn } = view;
    const due = this.#captures.get(projectedLsn);
    if (digest === null || view.made.length === 0) return;
    if (due === undefined) {
      if (this.#isModelBroken || this.feed.isBlocked) {
        const reason = `the journal can be believed up to LSN ${this.#lsn} only`;
        this.#findings.notes.push(
          `${where}: tables at LSN ${projectedLsn} not compared, ${reason}`,
        );
        return;
      }
      const expected = `tables up to LSN ${this.#lsn} at most, the end of the journal`;
      const found = `tables that show LSN ${projectedLsn}`;
      const place = 'projection_state';
      this.#add({ kind: 'table ahead', where, place, rule: 'RS12', expected, found });
      return;
    }
    const heaps = due.differences(digest);
    const made = new Set(view.made);
    for (const table of heaps.keys()) if (!made.has(table)) heaps.delete(table);
    if (heaps.size === 0) return;
    const feed = new SetFeed({
      setId: this.setId,
      quorum: this.#quorum,
      readers: this.#replicas.map((each) => each.reader),
      onFinding: () => undefined,
    });
    feed.extend({ heads: this.#states.map(({ headLsn }) => headLsn), commitLsn: projectedLsn });
    const differences = await compareRows({ feed, view, heaps });
    for (const { kind, table, key, expected, found } of differences) {
      this.#add({ kind, where, place: `${table} ${key}`, rule: 'I11', expected, found });
    }
    if (differences.length === 0) {
      const place = [...heaps.keys()].join(', ');
      const expected = 'the rows that the journal makes';
      this.#add({ kind: 'table differs', where, place, rule: 'I11', expected, found: 'others' });
    }
  }

  async #checkBeside({ reader }: Replica): Promise<void> {
    const { where } = reader;
    for (const found of await reader.strays()) {
      const expected = 'entries of this Set from LSN 1, and one empty row below';
      this.#add({ kind: 'journal stray', where, place: 'journal', rule: 'L24', expected, found });
    }
    for await (const rows of reader.discarded()) {
      for (const { lsn, entry, problem } of rows) {
        const isWhole = entry !== null && Buffer.compare(sumOf(entry), entry.sum) === 0;
        if (isWhole) continue;
        const place = `journal_discarded, LSN ${lsn}`;
        const found = problem === '' ? 'a checksum that does not match' : problem;
        const expected = 'an entry as it was sealed';
        this.#add({ kind: 'discarded row', where, place, rule: 'L7', expected, found });
      }
    }
  }

  #addJournal({ kind, replica, lsn, rule, expected, found }: JournalFinding): void {
    const where = this.#replicas[replica]?.reader.where ?? `Set ${this.setId}`;
    this.#findings.add({ kind, where, place: `LSN ${lsn}`, rule, expected, found });
  }

  #add(finding: {
    kind: string;
    where?: string;
    place: string;
    rule: string;
    expected: string;
    found: string;
  }): void {
    this.#findings.add({ where: `Set ${this.setId}`, ...finding });
  }
}

/** A leader who takes over cuts our line, and a page may be damaged: the first is over when asked again. */
async function look(args: { reader: ReplicaReader; findings: FindingList }): Promise<Replica> {
  const { reader, findings } = args;
  for (let left = LOOKS; ; left--) {
    const view = await reader.view();
    try {
      return { reader, view, digest: await digestOf(view) };
    } catch (error) {
      if (left > 1) {
        await view.close();
        continue;
      }
      const found = error instanceof Error ? error.message : String(error);
      const expected = 'tables that can be read';
      const { where } = reader;
      findings.add({ kind: 'unreadable', where, place: 'tables', rule: 'L24', expected, found });
      return { reader, view, digest: null };
    }
  }
}

async function digestOf(view: TablesView): Promise<TableDigest> {
  const digest = new TableDigest();
  const there = new Set(view.names);
  for (const table of TABLE_NAMES) {
    if (!there.has(table)) continue;
    for await (const rows of view.rows(table)) {
      for (const row of rows) digest.add(table, cellsText(table, row));
    }
  }
  return digest;
}
