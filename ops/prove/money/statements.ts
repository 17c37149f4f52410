/** People's statements on the servers' disks, by plain SQL: every share and every rest is there once. */
import type { ClusterBooks } from '../../../reconciler/audit/cluster-books.ts';
import { databaseOf } from '../../rig/mariadb.ts';
import type { Findings } from '../findings.ts';
import type { SetPlace } from './cluster.ts';

type Count = { readonly rows: number; readonly distinct: number; readonly cents: number };

/** Holds every replica of one Set to the books; returns how many lines there are. */
export async function holdStatements(args: {
  readonly set: SetPlace;
  readonly books: ClusterBooks;
  readonly findings: Findings;
}): Promise<number> {
  const { set, books, findings } = args;
  const due = dueAt(set.id, books);
  let lines = 0;
  for (const server of set.servers) {
    const table = `${databaseOf(set.id)}.ledger_entry`;
    const where = `Set ${set.id}, ${server.name}`;
    const counts = await server.query(
      `SELECT reason, COUNT(*) AS count, COUNT(DISTINCT owner, packet_id) AS pairs,
              SUM(amount_cents) AS cents FROM ${table} GROUP BY reason`,
    );
    for (const row of counts) lines += Number(row['count']);
    for (const reason of ['claim.credit', 'packet.refund'] as const) {
      const row = counts.find((one) => String(one['reason']) === reason);
      const found = {
        rows: Number(row?.['count'] ?? 0),
        distinct: Number(row?.['pairs'] ?? 0),
        cents: Number(row?.['cents'] ?? 0),
      };
      const { rows, distinct, cents } = due[reason];
      if (found.rows !== rows || found.distinct !== distinct) {
        const are = `${found.rows} lines (${found.distinct} different)`;
        findings.break(`${where}: ${are} of ${reason}, not ${rows}`);
      }
      findings.compareCents(`${where}: ${reason}`, { expected: cents, actual: found.cents });
    }
    const sums = await server.query(
      `SELECT CAST(owner AS CHAR) AS owner, SUM(amount_cents) AS cents FROM ${table} GROUP BY owner`,
    );
    const byOwner = new Map(sums.map((row) => [String(row['owner']), Number(row['cents'])]));
    const { ledger } = books.set(set.id);
    for (const user of new Set([...ledger.wallets(), ...byOwner.keys()])) {
      findings.compareCents(`${where}: statement of ${user}`, {
        expected: ledger.wallet(user),
        actual: byOwner.get(user) ?? 0,
      });
    }
  }
  return lines;
}

/** What must stand in the statements of the people at home in this Set. */
function dueAt(
  home: number,
  books: ClusterBooks,
): Readonly<Record<'claim.credit' | 'packet.refund', Count>> {
  const claims = { rows: 0, distinct: 0, cents: 0 };
  const refunds = { rows: 0, distinct: 0, cents: 0 };
  const add = (to: { rows: number; distinct: number; cents: number }, cents: number): void => {
    to.rows += 1;
    to.distinct += 1;
    to.cents += cents;
  };
  for (const { packets } of books.sets()) {
    for (const { definition, claims: shares, end } of packets.all()) {
      let left = definition.totalCents;
      for (const [user, { amountCents }] of shares) {
        left -= amountCents;
        if (books.homeOf(user)?.setId === home) add(claims, amountCents);
      }
      const isHome = books.homeOf(definition.sender)?.setId === home;
      if (end?.kind === 'refunded' && isHome) add(refunds, left);
    }
  }
  return { 'claim.credit': claims, 'packet.refund': refunds };
}
