/** One damage: how it is done to a world, and how it is undone. */
import { assert } from '../../lib/core/assert.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { NotTheFormat } from '../../reconciler/audit/reader.ts';
import { TABLE_NAMES, layoutOf } from '../../reconciler/audit/tables-layout.ts';
import { TableModel } from '../../reconciler/audit/tables.ts';
import { journalRow } from '../audit/reader.ts';
import type { DamageDisk, DiskCell, DiskRow } from './damage-disk.ts';
import { DAMAGES } from './damage-kinds.ts';
import type { Damage } from './damage-kinds.ts';
import { LIES, tell } from './damage-lies.ts';
import type { Lie } from './damage-lies.ts';
import type { DamageWorld } from './damage-world.ts';

export type Item =
  | { readonly kind: string; readonly of: 'rows'; readonly damage: Damage }
  | { readonly kind: string; readonly of: 'lie'; readonly lie: Lie; readonly everywhere: boolean };

/** Every kind of damage there is. */
export const ITEMS: readonly Item[] = [
  ...DAMAGES.map((damage): Item => {
    const where = damage.everywhere ? 'all replicas' : 'one replica';
    return { kind: `${damage.kind} (${where})`, of: 'rows', damage };
  }),
  ...LIES.map((lie): Item => {
    return { kind: `resealed, ${lie.kind} (all replicas)`, of: 'lie', lie, everywhere: true };
  }),
  ...LIES.map((lie): Item => {
    return { kind: `resealed, ${lie.kind} (one replica)`, of: 'lie', lie, everywhere: false };
  }),
];

/** What all tables of a world held before anybody touched it. */
export class Stage {
  readonly world: DamageWorld;
  readonly #kept = new Map<DamageDisk, Map<string, readonly DiskRow[]>>();
  readonly #touched: { disk: DamageDisk; table: string }[] = [];

  constructor(world: DamageWorld) {
    this.world = world;
  }

  /** False: there was nothing to damage so, and all is as before. */
  async damage(item: Item, seed: number): Promise<boolean> {
    const random = new SeededRandom(seed);
    const sets = this.world.plans.map(({ setId }) => setId);
    // Not every Set has everything: the first one after a chosen one that has it.
    const from = random.below(sets.length);
    const replica = random.below(this.world.plans[0]?.replicas.length ?? 1);
    for (let step = 0; step < sets.length; step++) {
      const setId = sets[(from + step) % sets.length];
      const disks = this.world.disks.filter((disk) => disk.setId === setId);
      const isDone =
        item.of === 'rows'
          ? await this.#rows({ disks, replica, seed, damage: item.damage })
          : await this.#lie({ ...item, disks, replica, seed });
      if (isDone) return true;
      await this.undo();
    }
    return false;
  }

  async undo(): Promise<void> {
    for (const { disk, table } of this.#touched.splice(0)) {
      await disk.replace(table, await this.#original(disk, table));
    }
  }

  /** Rows of a table before any damage; journals in order. */
  async #original(disk: DamageDisk, table: string): Promise<readonly DiskRow[]> {
    let tables = this.#kept.get(disk);
    if (tables === undefined) this.#kept.set(disk, (tables = new Map()));
    let rows = tables.get(table);
    if (rows === undefined) {
      rows = await disk.rows(table);
      tables.set(table, rows);
    }
    return rows;
  }

  async #replace(disk: DamageDisk, table: string, rows: readonly DiskRow[]): Promise<boolean> {
    await this.#original(disk, table);
    this.#touched.push({ disk, table });
    try {
      await disk.replace(table, rows);
      return true;
    } catch {
      // The database itself refuses such rows: that is no damage to be found.
      return false;
    }
  }

  async #rows(args: {
    disks: readonly DamageDisk[];
    replica: number;
    seed: number;
    damage: Damage;
  }): Promise<boolean> {
    const { seed, damage } = args;
    const disks = damage.everywhere
      ? args.disks
      : args.disks.filter(({ replica }) => replica === args.replica);
    for (const disk of disks) {
      const table = damage.table.startsWith('*')
        ? disk.tableName(damage.table.slice(1))
        : damage.table;
      const before = await this.#original(disk, table);
      const after = damage.damage(before, new SeededRandom(seed + 1));
      if (after === null || isSame(before, after)) return false;
      if (!(await this.#replace(disk, table, after))) return false;
    }
    return true;
  }

  /** The same lie on all replicas, with the tables that follow from it; or on one, in its journal. */
  async #lie(args: {
    disks: readonly DamageDisk[];
    replica: number;
    seed: number;
    lie: Lie;
    everywhere: boolean;
  }): Promise<boolean> {
    const { disks, seed, lie, everywhere } = args;
    const [first] = disks;
    assert(first !== undefined, 'a Set has replicas');
    const journal = entriesOf(await this.#original(first, 'journal'));
    const lied = tell(journal, lie, new SeededRandom(seed + 1));
    if (lied === null) return false;
    const tables = everywhere ? tablesOf(lied) : null;
    for (const disk of disks) {
      if (!everywhere && disk.replica !== args.replica) continue;
      const [anchor] = await this.#original(disk, 'journal');
      assert(anchor !== undefined, 'a journal has a row below its first');
      if (!(await this.#replace(disk, 'journal', [anchor, ...lied.map(rowOf)]))) return false;
      if (tables === null) continue;
      for (const [table, rows] of tables) {
        if (!(await this.#replace(disk, disk.tableName(table), rows))) return false;
      }
      // One that names the honest entry would tell.
      await this.#replace(disk, 'snapshot_manifest', []);
    }
    return true;
  }
}

function isSame(a: readonly DiskRow[], b: readonly DiskRow[]): boolean {
  return a.length === b.length && a.every((row, at) => textOf(row) === textOf(b[at] ?? {}));
}

function textOf(row: DiskRow): string {
  const cells = Object.values(row).map((cell) =>
    cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : String(cell),
  );
  return cells.join('\n');
}

function entriesOf(rows: readonly DiskRow[]): Entry[] {
  return rows
    .map((row) => journalRow(row))
    .filter(({ lsn }) => lsn > 0)
    .map(({ entry, problem }) => {
      assert(entry !== null, `what is not damaged can be read: ${problem}`);
      return entry;
    });
}

function rowOf(entry: Entry): DiskRow {
  const { money } = entry;
  return {
    lsn: entry.lsn,
    set_id: entry.setId,
    epoch: entry.epoch,
    leader_id: entry.leaderId,
    kind: entry.kind,
    prev: entry.prev,
    sum: entry.sum,
    ts: entry.ts,
    commit_lsn: entry.commitLsn,
    acked_0: entry.acked[0],
    acked_1: entry.acked[1],
    acked_2: entry.acked[2],
    fmt: entry.format,
    n_ops: entry.opCount,
    money_wallets: money.walletsCents,
    money_packets: money.packetsCents,
    money_clearing: money.clearingCents,
    money_issuer: money.issuerCents,
    payload: entry.payload,
  };
}

/** What an honest projector would make of it; null where it would refuse to read on. */
function tablesOf(journal: readonly Entry[]): Map<string, DiskRow[]> | null {
  const tables = new Map<string, DiskRow[]>(TABLE_NAMES.map((table) => [table, []]));
  const add = (table: (typeof TABLE_NAMES)[number], row: readonly DiskCell[]): void => {
    const names = Object.keys(layoutOf(table).columns);
    tables.get(table)?.push(Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])));
  };
  const model = new TableModel(({ table, row }) => add(table, row));
  try {
    for (const entry of journal) model.add(entry);
  } catch (error) {
    if (error instanceof NotTheFormat) return null;
    throw error;
  }
  for (const { table, row } of model.kept()) add(table, row);
  // A lie that says one thing twice makes one row of it.
  for (const [table, rows] of tables) {
    const { keyColumns } = layoutOf(table as (typeof TABLE_NAMES)[number]);
    const byKey = new Map(
      rows.map((row) => [Object.values(row).slice(0, keyColumns).join('\n'), row]),
    );
    tables.set(table, [...byKey.values()]);
  }
  return tables;
}
