import type { Lsn, SetId } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import { StoreError } from '../port/replica-store.ts';
import { bytesOf, numberOf } from './mysql-fence.ts';
import type { MysqlSession } from './mysql-session.ts';

type Snapshot = { lsn: Lsn; chunks: Uint8Array[]; manifest: Uint8Array };

const NEWEST = `SELECT m.lsn, m.chunks, m.bytes FROM snapshot_manifest m
  WHERE m.set_id = ? AND m.chunks =
    (SELECT COUNT(*) FROM snapshot s WHERE s.set_id = m.set_id AND s.lsn = m.lsn)
  ORDER BY m.lsn DESC LIMIT 1`;

/** The newest whole snapshot, or null. A manifest whose chunks are not all there does not count. */
export async function readSnapshot(
  session: MysqlSession,
  { set, renew }: { set: SetId; renew: () => void },
): Promise<Snapshot | null> {
  return session.snapshot(async () => {
    const [newest] = await session.select(NEWEST, [set]);
    if (newest === undefined) return null;
    const at = numberOf(newest['lsn']);
    const chunks: Uint8Array[] = [];
    while (chunks.length < numberOf(newest['chunks'])) {
      renew();
      const [row] = await session.select(
        'SELECT bytes FROM snapshot WHERE set_id = ? AND lsn = ? AND chunk = ?',
        [set, at, chunks.length],
      );
      if (row === undefined) throw new StoreError('corrupt', 'a chunk of a snapshot is missing');
      chunks.push(bytesOf(row['bytes']));
    }
    return { lsn: lsn(at), chunks, manifest: bytesOf(newest['bytes']) };
  });
}

/**
 * Writes a snapshot chunk by chunk, each by itself; the last step makes it visible and forgets
 * older ones. Nothing happens when one at or above this LSN is there.
 */
export async function writeSnapshot(
  session: MysqlSession,
  args: { set: SetId; snapshot: Readonly<Snapshot>; renew: () => void },
): Promise<void> {
  const { set, snapshot, renew } = args;
  const [newest] = await session.select(NEWEST, [set]);
  if (newest !== undefined && numberOf(newest['lsn']) >= snapshot.lsn) return;
  // What a crash left of an earlier try.
  await session.transaction(async () => {
    const values = [set, snapshot.lsn];
    await session.change('DELETE FROM snapshot_manifest WHERE set_id = ? AND lsn = ?', values);
    await session.change('DELETE FROM snapshot WHERE set_id = ? AND lsn = ?', values);
  });
  for (const [chunk, bytes] of snapshot.chunks.entries()) {
    renew();
    await session.change('INSERT INTO snapshot VALUES (?, ?, ?, ?)', [
      set,
      snapshot.lsn,
      chunk,
      bytes,
    ]);
  }
  renew();
  await session.transaction(async () => {
    await session.change('INSERT INTO snapshot_manifest VALUES (?, ?, ?, ?)', [
      set,
      snapshot.lsn,
      snapshot.chunks.length,
      snapshot.manifest,
    ]);
    const older = [set, snapshot.lsn];
    await session.change('DELETE FROM snapshot_manifest WHERE set_id = ? AND lsn < ?', older);
    await session.change('DELETE FROM snapshot WHERE set_id = ? AND lsn < ?', older);
  });
}
