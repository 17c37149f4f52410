import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Cents, Epoch, Lsn, SetId, TimeMs } from '../../lib/core/units.ts';
import { NotTheFormat, Reader } from './reader.ts';
import { ENTRY_KINDS } from './words.ts';

/**
 * An entry as one blob (SPEC F6), read by the tables of docs/spec/formats.md. The payload is a view
 * of `bytes`. Says nothing of whether it is what was sealed. Throws NotTheFormat.
 */
export function readEntry(bytes: Uint8Array): Entry {
  const r = new Reader(bytes);
  const head = {
    setId: r.set() as SetId,
    lsn: r.u64() as Lsn,
    epoch: r.u64() as Epoch,
    leaderId: r.fixed(16),
    kind: r.tag(ENTRY_KINDS),
    prev: r.fixed(32),
    ts: r.u64() as TimeMs,
    commitLsn: r.u64() as Lsn,
    acked: [r.u64() as Lsn, r.u64() as Lsn, r.u64() as Lsn] as const,
    format: r.u16(),
    opCount: r.u32(),
    money: {
      walletsCents: r.i64() as Cents,
      packetsCents: r.i64() as Cents,
      clearingCents: r.i64() as Cents,
      issuerCents: r.i64() as Cents,
    },
    sum: r.fixed(32),
  };
  const payload = r.fixed(r.u32());
  r.end();
  if (head.lsn === 0) throw new NotTheFormat('an entry of LSN 0');
  return { ...head, payload };
}
