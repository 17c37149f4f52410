import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Findings } from './findings.ts';
import { sumOf } from '../../reconciler/audit/sum.ts';
import { readOps } from './journal.ts';

export type JournalClaim = {
  readonly user: string;
  readonly amountCents: number;
  readonly order: number;
  /** Where it stands. */
  readonly lsn: number;
  readonly epoch: number;
};

/** The money of all Sets, added up from their journals alone. */
export class Books {
  readonly accounts = new Map<string, number>();
  /** By packet, in the order of the journal. */
  readonly claims = new Map<string, JournalClaim[]>();
  readonly sent = new Map<string, { sender: string; totalCents: number; count: number }>();
  entries = 0;
  ops = 0;

  balance(account: string): number {
    return this.accounts.get(account) ?? 0;
  }

  /** Sum of the accounts whose name begins so. */
  total(prefix: string): number {
    let sum = 0;
    for (const [name, amount] of this.accounts) if (name.startsWith(prefix)) sum += amount;
    return sum;
  }

  /** Reads one Set's journal from its first entry; what is wrong with it is a finding. */
  add(entries: readonly Entry[], findings: Findings): void {
    let prev: Uint8Array = new Uint8Array(32);
    let expected = 1;
    let rules = 1;
    for (const entry of entries) {
      const where = `Set ${entry.setId}, LSN ${entry.lsn}`;
      if (entry.lsn !== expected) findings.break(`${where}: LSN ${expected} is missing`);
      expected = entry.lsn + 1;
      if (!sumOf(entry).equals(entry.sum)) findings.break(`${where}: checksum`);
      if (Buffer.compare(prev, entry.prev) !== 0) findings.break(`${where}: chain`);
      prev = entry.sum;
      if (entry.format < rules) findings.break(`${where}: rules are lowered`);
      rules = entry.format;
      this.#addEntry(entry, { where, findings });
    }
  }

  #addEntry(entry: Entry, at: { where: string; findings: Findings }): void {
    this.entries += 1;
    const { lsn, epoch } = entry;
    for (const { action, postings } of readOps(entry)) {
      this.ops += 1;
      let sum = 0;
      for (const { account, amountCents } of postings) {
        sum += amountCents;
        // Two Sets keep an account of the same name for each other: their sum is what is on its way.
        const balance = this.balance(account) + amountCents;
        this.accounts.set(account, balance);
        const mayBeNegative = account === 'issuer' || account.startsWith('clearing');
        if (balance < 0 && !mayBeNegative)
          at.findings.break(`${at.where}: ${account} is overdrawn`);
      }
      at.findings.compareCents(`${at.where}: sum of an op`, { expected: 0, actual: sum });
      if (action.kind === 'send') {
        const { packetId, sender, totalCents, count } = action;
        this.sent.set(packetId, { sender, totalCents, count });
      } else if (action.kind === 'open') {
        const { packetId, user, amountCents, order } = action;
        const claims = this.claims.get(packetId) ?? [];
        claims.push({ user, amountCents, order, lsn, epoch });
        this.claims.set(packetId, claims);
      }
    }
  }

  /** Claims once a person, orders 1..k, a cent at least, never more than the packet; all when drained. */
  checkPackets(findings: Findings): void {
    for (const [packetId, { totalCents, count }] of this.sent) {
      const claims = this.claims.get(packetId) ?? [];
      const taken = claims.reduce((sum, { amountCents }) => sum + amountCents, 0);
      const what = `journal of packet ${packetId}`;
      if (new Set(claims.map(({ user }) => user)).size !== claims.length) {
        findings.break(`${what}: somebody claimed twice`);
      }
      if (claims.some(({ order }, index) => order !== index + 1)) {
        findings.break(`${what}: orders are not 1..${claims.length}`);
      }
      if (claims.some(({ amountCents }) => amountCents < 1)) findings.break(`${what}: empty share`);
      if (claims.length > count) findings.break(`${what}: ${claims.length} of ${count} shares`);
      const rest = this.balance(`packet ${packetId}`);
      findings.compareCents(`${what}: claims and rest`, {
        expected: totalCents,
        actual: taken + rest,
      });
      if (claims.length === count) {
        findings.compareCents(`${what}: rest when drained`, { expected: 0, actual: rest });
      }
    }
  }
}
