import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { ZERO_SUM } from '../core/journal-entry.ts';
import { epoch, lsn } from '../core/units.ts';
import type { Head } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';

/** One connection's statements, each prepared once for its life. */
export class Statements {
  readonly db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.db = db;
  }

  /** The statement of this text; texts are few, values are bound. */
  sql(text: string): StatementSync {
    return this.keyed(text, () => text);
  }

  /** The same where building the text costs more than its name. */
  keyed(key: string, text: () => string): StatementSync {
    let statement = this.#prepared.get(key);
    if (statement === undefined) {
      statement = this.db.prepare(text());
      this.#prepared.set(key, statement);
    }
    return statement;
  }
}

export function readHead(statements: Statements): Head {
  const row = statements.sql('SELECT lsn, epoch, sum FROM journal ORDER BY lsn DESC LIMIT 1').get();
  if (row === undefined) return { lsn: lsn(0), epoch: epoch(0), sum: ZERO_SUM };
  return {
    lsn: lsn(Number(row['lsn'])),
    epoch: epoch(Number(row['epoch'])),
    sum: bytesOf(row['sum']),
  };
}

/** A BLOB column. Throws StoreError `corrupt` on anything else. */
export function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new StoreError('corrupt', 'a column is not bytes');
  return value;
}
