/** Tables of one replica as plain rows, to be changed behind everybody's back and put back again. */
import { DatabaseSync } from 'node:sqlite';
import { bindable } from '../../lib/adapter/sqlite-value.ts';
import type { MariaDb } from '../rig/mariadb.ts';
import { databaseOf } from '../rig/mariadb.ts';

export type DiskCell = null | number | bigint | string | Uint8Array;
export type DiskRow = Readonly<Record<string, DiskCell>>;

export type DamageDisk = {
  readonly setId: number;
  readonly replica: number;
  /** Name of a query table in this database. */
  tableName(table: string): string;
  rows(table: string): Promise<DiskRow[]>;
  /** Makes these the rows of the table. Rejects when the database itself refuses them. */
  replace(table: string, rows: readonly DiskRow[]): Promise<void>;
  close(): Promise<void>;
};

const INSERT_ROWS = 200;

export function sqliteDisk(args: { path: string; setId: number; replica: number }): DamageDisk {
  const db = new DatabaseSync(args.path);
  return {
    setId: args.setId,
    replica: args.replica,
    tableName: (table) => `p_${table}`,
    rows: async (table) => {
      const sql = db.prepare(`SELECT * FROM ${table}`);
      sql.setReadBigInts(true);
      return sql.all();
    },
    replace: async (table, rows) => {
      db.exec('BEGIN');
      try {
        db.exec(`DELETE FROM ${table}`);
        const columns = Object.keys(rows[0] ?? {});
        const marks = columns.map(() => '?').join(', ');
        if (rows.length > 0) {
          const sql = db.prepare(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks})`);
          for (const row of rows) {
            sql.run(...columns.map((column) => bindable(row[column] ?? null)));
          }
        }
        db.exec('COMMIT');
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    },
    close: async () => db.close(),
  };
}

export function mariaDisk(args: { server: MariaDb; setId: number; replica: number }): DamageDisk {
  const { server, setId, replica } = args;
  const database = databaseOf(setId);
  return {
    setId,
    replica,
    tableName: (table) => table,
    rows: async (table) => {
      const rows: DiskRow[] = await server.query(`SELECT * FROM ${database}.\`${table}\``);
      return rows.map((row) => ({ ...row }));
    },
    replace: (table, rows) =>
      server.withAdmin(async (connection) => {
        const name = `${database}.\`${table}\``;
        await connection.beginTransaction();
        await connection.query(`DELETE FROM ${name}`);
        const columns = Object.keys(rows[0] ?? {});
        const list = columns.map((column) => `\`${column}\``).join(', ');
        for (let from = 0; from < rows.length; from += INSERT_ROWS) {
          const values = rows
            .slice(from, from + INSERT_ROWS)
            .map((row) => columns.map((column) => valueOf(row[column])));
          await connection.query(`INSERT INTO ${name} (${list}) VALUES ?`, [values]);
        }
        await connection.commit();
      }),
    close: async () => undefined,
  };
}

function valueOf(cell: DiskCell | undefined): null | number | string | Buffer {
  if (cell === null || cell === undefined) return null;
  if (cell instanceof Uint8Array) return Buffer.from(cell);
  return typeof cell === 'bigint' ? String(cell) : cell;
}
