import type { DatabaseSync } from 'node:sqlite';
import type { Lsn } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import { inTransaction } from './sqlite-transaction.ts';
import { bindable } from './sqlite-value.ts';

export type Snapshot = { lsn: Lsn; chunks: Uint8Array[]; manifest: Uint8Array };

/** The newest whole snapshot, or null. A manifest whose chunks are not all there does not count. */
export function readSnapshot(db: DatabaseSync): Snapshot | null {
  const manifest = db
    .prepare(
      `SELECT m.lsn, m.bytes FROM snapshot_manifest m
       WHERE m.chunks = (SELECT count(*) FROM snapshot s WHERE s.lsn = m.lsn)
       ORDER BY m.lsn DESC LIMIT 1`,
    )
    .get();
  if (manifest === undefined) return null;
  const at = Number(manifest['lsn']);
  const rows = db.prepare('SELECT bytes FROM snapshot WHERE lsn = ? ORDER BY chunk').all(at);
  return {
    lsn: lsn(at),
    chunks: rows.map((row) => row['bytes'] as Uint8Array),
    manifest: manifest['bytes'] as Uint8Array,
  };
}

/**
 * Writes a snapshot in steps, one chunk a step, so that appends go in between; the last step makes
 * it visible and forgets older ones. Nothing happens when one at or above this LSN is there.
 */
export function* snapshotSteps(db: DatabaseSync, snapshot: Readonly<Snapshot>): Generator<void> {
  const newest = readNewest(db);
  if (newest !== null && newest >= snapshot.lsn) return;
  // What a crash left of an earlier try.
  inTransaction(db, () => {
    db.prepare('DELETE FROM snapshot_manifest WHERE lsn = ?').run(snapshot.lsn);
    db.prepare('DELETE FROM snapshot WHERE lsn = ?').run(snapshot.lsn);
  });
  const insert = db.prepare('INSERT INTO snapshot VALUES (?, ?, ?)');
  for (const [chunk, bytes] of snapshot.chunks.entries()) {
    yield;
    insert.run(snapshot.lsn, chunk, bindable(bytes));
  }
  yield;
  inTransaction(db, () => {
    db.prepare('INSERT INTO snapshot_manifest VALUES (?, ?, ?)').run(
      snapshot.lsn,
      snapshot.chunks.length,
      bindable(snapshot.manifest),
    );
    db.prepare('DELETE FROM snapshot_manifest WHERE lsn < ?').run(snapshot.lsn);
    db.prepare('DELETE FROM snapshot WHERE lsn < ?').run(snapshot.lsn);
  });
}

function readNewest(db: DatabaseSync): number | null {
  const row = db
    .prepare(
      `SELECT max(m.lsn) AS lsn FROM snapshot_manifest m
       WHERE m.chunks = (SELECT count(*) FROM snapshot s WHERE s.lsn = m.lsn)`,
    )
    .get();
  return typeof row?.['lsn'] === 'number' ? row['lsn'] : null;
}
