/** Lies that the proof has to find out; each of them once was, or could be, a real failure. */
import { unreachable } from '../../../lib/core/assert.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { databaseOf } from '../../rig/mariadb.ts';
import { readDisk } from '../set/disk-rows.ts';
import { forgePayload } from '../set/sabotage.ts';
import type { SetPlace } from './cluster.ts';
import type { History, Open, Told } from './history.ts';

export const MONEY_SABOTAGES = [
  'ack-early',
  'extra-cent',
  'one-row',
  'doubled-credit',
  'changed-answer',
] as const;
export type MoneySabotage = (typeof MONEY_SABOTAGES)[number];

/** Of the newest entries, where a claim is looked for. */
const NEWEST = 2_000;

/** Arguments of node for the reconcilers: only `ack-early` changes the program itself. */
export function plant(kind: MoneySabotage): string[] {
  return kind === 'ack-early' ? ['--import', new URL('ack-early.ts', import.meta.url).href] : [];
}

/** Done when nobody writes any more. `ack-early` was planted at the start: nothing is left to do. */
export async function tamper(
  kind: MoneySabotage,
  { sets, history }: { readonly sets: readonly SetPlace[]; readonly history: History },
): Promise<void> {
  const [set] = sets;
  if (set === undefined) throw new Error('there are Sets');
  switch (kind) {
    case 'ack-early':
      return;
    case 'extra-cent':
      return extraCent(set, history);
    case 'one-row':
      return flipRow(set);
    case 'doubled-credit':
      return doubleCredit(set);
    case 'changed-answer':
      return changeAnswer(history);
    default:
      return unreachable(kind);
  }
}

type Claimed = Open & { told: Extract<Told, { kind: 'claim' }> };

function claimsOf(history: History): Claimed[] {
  return history.opens.filter((open): open is Claimed => open.told?.kind === 'claim');
}

/** A cent more in one share, on all replicas, with checksums and chain made right again. */
async function extraCent(set: SetPlace, history: History): Promise<void> {
  const [server] = set.servers;
  if (server === undefined) throw new Error('a Set has replicas');
  const { entries } = await readDisk({ server, set: set.id });
  for (const { told, user } of claimsOf(history).toReversed()) {
    const amount = Buffer.alloc(8);
    amount.writeBigInt64LE(BigInt(told.amountCents));
    const holds = ({ ts, payload }: Entry): boolean =>
      ts === told.at &&
      Buffer.from(payload).includes(user) &&
      Buffer.from(payload).includes(amount);
    const at = entries.findLastIndex(
      (entry, index) => index > entries.length - NEWEST && holds(entry),
    );
    const found = entries[at];
    if (found === undefined) continue;
    const payload = Buffer.from(found.payload);
    payload.writeBigInt64LE(BigInt(told.amountCents + 1), payload.indexOf(amount));
    return forgePayload({ servers: set.servers, set: set.id, entries, at, payload });
  }
  throw new Error('no share is in the newest entries');
}

/** A bit of one row of one replica. */
async function flipRow(set: SetPlace): Promise<void> {
  const changed = await set.servers[1]?.flipByte({
    setId: set.id,
    table: 'journal',
    column: 'payload',
    where: `lsn = (SELECT lsn FROM (SELECT FLOOR(MAX(lsn) / 2) AS lsn FROM ${databaseOf(set.id)}.journal) AS half)`,
    at: 3,
  });
  if (changed !== 1) throw new Error(`${changed} rows were changed`);
}

/** A second line for one share in the statement of its owner, on all replicas. */
async function doubleCredit(set: SetPlace): Promise<void> {
  const table = `${databaseOf(set.id)}.ledger_entry`;
  const [line] =
    (await set.servers[0]?.query(
      `SELECT HEX(owner) AS owner, lsn, leg FROM ${table}
       WHERE reason = 'claim.credit' ORDER BY owner, lsn, leg LIMIT 1`,
    )) ?? [];
  if (line === undefined) throw new Error('nobody was credited');
  const owner = `UNHEX('${String(line['owner'])}')`;
  const at = `owner = ${owner} AND lsn = ${String(line['lsn'])} AND leg = ${String(line['leg'])}`;
  for (const server of set.servers) {
    await server.query(
      `INSERT INTO ${table} (owner, lsn, leg, amount_cents, reason, packet_id, at)
       SELECT owner, lsn, leg + 100, amount_cents, reason, packet_id, at FROM ${table} WHERE ${at}`,
    );
  }
}

/** One share is remembered with a cent more than it was. */
function changeAnswer(history: History): void {
  const [open] = claimsOf(history);
  if (open === undefined) throw new Error('nothing was acknowledged');
  open.told = { ...open.told, amountCents: open.told.amountCents + 1 };
}
