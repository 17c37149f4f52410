import { createHash } from 'node:crypto';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { sumOf } from '../../../reconciler/audit/sum.ts';
import type { Findings } from '../findings.ts';

/** What one replica's server held when everything had stopped. */
export type Disk = {
  readonly name: string;
  /** Rows above the anchor, in the order of LSN. */
  readonly entries: readonly Entry[];
  /** Rows that a repair or a re-admission took out. */
  readonly discarded: readonly Entry[];
  readonly commitLsn: number;
  readonly projectedLsn: number;
  /** Checksum of all rows of each projection table. */
  readonly tables: ReadonlyMap<string, string>;
};

export type DisksOptions = {
  readonly disks: readonly Disk[];
  /** Copies that make an entry committed. */
  readonly quorum: number;
  /** All faults are over: then the replicas must be equal. */
  readonly isHealed: boolean;
};

/**
 * I2, I3, I5, I7, I11 and M1 of the rules, from the rows alone. What does not hold is a finding.
 * @returns the journal: that of the replica with the greatest (epoch, LSN)
 */
export function judgeDisks(options: DisksOptions, findings: Findings): readonly Entry[] {
  const { disks, quorum, isHealed } = options;
  for (const disk of disks) checkChain(disk, findings);
  checkNames(disks, findings);
  const journal = newestOf(disks);
  const committed = committedOf(disks);
  if (committed > journal.length) {
    findings.lose(
      `LSN ${committed} was announced as committed, the journal ends with ${journal.length}`,
    );
  }
  for (let at = 0; at < Math.min(committed, journal.length); at++) {
    const copies = disks.filter(({ entries }) => isSame(entries[at], journal[at])).length;
    const others = disks.filter(({ entries }) => entries[at] !== undefined).length - copies;
    const where = `LSN ${at + 1}, committed`;
    if (copies < quorum) findings.lose(`${where}: on ${copies} of ${disks.length} replicas only`);
    // A lagging replica may have none; one with another checksum has not been repaired.
    if (others > 0 && isHealed) findings.break(`${where}: another entry on ${others} replicas`);
  }
  if (isHealed) checkEqual(disks, { journal, findings });
  checkTables(disks, findings);
  return journal;
}

/** I3: contiguous from 1, chained, checksums right, neither epochs nor log time falling. */
function checkChain({ name, entries }: Disk, findings: Findings): void {
  let prev: Uint8Array = new Uint8Array(32);
  let epoch = 0;
  let ts = 0;
  for (const [index, entry] of entries.entries()) {
    const where = `${name}, LSN ${entry.lsn}`;
    if (entry.lsn !== index + 1) return findings.break(`${where}: LSN ${index + 1} is missing`);
    if (!sumOf(entry).equals(entry.sum)) findings.break(`${where}: checksum`);
    if (Buffer.compare(prev, entry.prev) !== 0) findings.break(`${where}: chain`);
    if (entry.epoch < epoch) findings.break(`${where}: epoch ${entry.epoch} after ${epoch}`);
    if (entry.epoch > epoch && entry.kind !== 'EPOCH_START') {
      findings.break(`${where}: epoch ${entry.epoch} begins with ${entry.kind}`);
    }
    if (entry.ts < ts) findings.break(`${where}: log time falls`);
    const { walletsCents, packetsCents, clearingCents, issuerCents } = entry.money;
    const sum = walletsCents + packetsCents + clearingCents + issuerCents;
    findings.compareCents(`${where}: the digest's sum`, { expected: 0, actual: sum });
    prev = entry.sum;
    epoch = entry.epoch;
    ts = entry.ts;
  }
}

/** I5: (epoch, LSN) names one checksum in all history, discarded rows included. */
function checkNames(disks: readonly Disk[], findings: Findings): void {
  const sums = new Map<string, string>();
  for (const { name, entries, discarded } of disks) {
    for (const { epoch, lsn, sum } of [...entries, ...discarded]) {
      const key = `epoch ${epoch}, LSN ${lsn}`;
      const text = Buffer.from(sum).toString('hex');
      const known = sums.get(key);
      if (known === undefined) sums.set(key, text);
      else if (known !== text) findings.break(`${key}: a second content on ${name}`);
    }
  }
}

function newestOf(disks: readonly Disk[]): readonly Entry[] {
  let best: readonly Entry[] = [];
  for (const { entries } of disks) {
    const [a, b] = [entries.at(-1), best.at(-1)];
    if (a === undefined) continue;
    const isNewer = b === undefined || a.epoch > b.epoch || (a.epoch === b.epoch && a.lsn > b.lsn);
    if (isNewer) best = entries;
  }
  return best;
}

/** The greatest LSN that anybody wrote down as committed: in `commit_point` or in an entry. */
function committedOf(disks: readonly Disk[]): number {
  let committed = 0;
  for (const { commitLsn, entries, discarded } of disks) {
    committed = Math.max(committed, commitLsn);
    for (const entry of [...entries, ...discarded])
      committed = Math.max(committed, entry.commitLsn);
  }
  return committed;
}

function checkEqual(
  disks: readonly Disk[],
  args: { journal: readonly Entry[]; findings: Findings },
): void {
  const { journal, findings } = args;
  for (const { name, entries } of disks) {
    if (entries.length !== journal.length) {
      findings.break(`${name}: ${entries.length} entries after healing, not ${journal.length}`);
    } else if (!isSame(entries.at(-1), journal.at(-1))) {
      findings.break(`${name}: another journal after healing`);
    }
  }
}

/** I11: equal `projected_lsn` means equal rows. */
function checkTables(disks: readonly Disk[], findings: Findings): void {
  for (const [projectedLsn, group] of Map.groupBy(disks, (disk) => disk.projectedLsn)) {
    const [first, ...others] = group;
    if (first === undefined) continue;
    for (const [table, sum] of first.tables) {
      for (const { name, tables } of others) {
        if (tables.get(table) === sum) continue;
        findings.break(`${table} of ${name} and ${first.name} differ at LSN ${projectedLsn}`);
      }
    }
  }
}

function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(a.sum, b.sum) === 0;
}

/** Rows in the order of the key, whatever their columns are: two replicas hold the same or not. */
export function tableSum(rows: Iterable<Readonly<Record<string, unknown>>>): string {
  const hash = createHash('sha256');
  for (const row of rows) {
    for (const [column, value] of Object.entries(row)) {
      const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);
      hash.update(`${column}=${value === null ? 'null' : `${text.length}:${text}`};`);
    }
    hash.update('\n');
  }
  return hash.digest('hex');
}
