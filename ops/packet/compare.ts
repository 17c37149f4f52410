/** A rebuilt packet against what the tables and the live leader say of it. */
import { cellsText } from '../../reconciler/audit/tables-layout.ts';
import type { TableName } from '../../reconciler/audit/tables-layout.ts';
import type { ClaimsAnswer__Output } from '../../proto/gen/hongbao/ClaimsAnswer.ts';
import type { PacketAnswer__Output } from '../../proto/gen/hongbao/PacketAnswer.ts';
import type { ReplicaReader } from '../audit/reader.ts';
import type { Rebuilt } from './rebuild.ts';

/** What one replica's tables say, and how it compares. */
export type TableCheck = {
  readonly where: string;
  readonly projectedLsn: number;
  /** Column by column, first ones first; empty: the same. */
  readonly differences: readonly string[];
};

/** `at` gives the packet as the journal has it at an LSN. Reads the tables once from end to end. */
export async function checkTables(args: {
  reader: ReplicaReader;
  packetId: bigint;
  at: (throughLsn: number) => Rebuilt | null;
}): Promise<TableCheck> {
  const { reader, packetId, at } = args;
  const view = await reader.view();
  try {
    const { projectedLsn } = view;
    const due = at(projectedLsn);
    const found = async (table: TableName): Promise<string[][]> => {
      const key = String(packetId);
      const cells: string[][] = [];
      for await (const rows of view.rows(table)) {
        for (const row of rows) if (String(row[0]) === key) cells.push(cellsText(table, row));
      }
      return cells;
    };
    const packets = await found('red_packet');
    const claims = await found('red_packet_record');
    const differences = [
      ...differencesOf('red_packet', { due: due === null ? [] : [packetRow(due)], found: packets }),
      ...differencesOf('red_packet_record', { due: claimRows(packetId, due), found: claims }),
    ];
    return { where: reader.where, projectedLsn, differences };
  } finally {
    await view.close();
  }
}

function packetRow(packet: Rebuilt): unknown[] {
  const { definition: d, claims } = packet;
  const takenCents = claims.reduce((sum, { amountCents }) => sum + amountCents, 0);
  return [
    ...[d.packetId, d.groupId, d.sender, d.kind, d.strategy, d.timing, d.totalCents, d.count],
    ...[d.greeting, packet.createdAt, packet.expiresAt, packet.phase, claims.length, takenCents],
    ...[packet.refundCents, packet.endedAt, Buffer.from(packet.seedHash, 'hex'), packet.seed],
  ];
}

function claimRows(packetId: bigint, packet: Rebuilt | null): unknown[][] {
  const claims = packet?.claims ?? [];
  return claims.map(({ order, user, amountCents, at }) => [packetId, order, user, amountCents, at]);
}

function differencesOf(
  table: TableName,
  args: { due: readonly unknown[][]; found: readonly string[][] },
): string[] {
  const due = new Map(args.due.map((row) => cellsText(table, row)).map((row) => [keyOf(row), row]));
  const differences: string[] = [];
  for (const row of args.found) {
    const expected = due.get(keyOf(row));
    due.delete(keyOf(row));
    const label = `${table} ${keyOf(row)}`;
    if (expected === undefined) differences.push(`${label}: a row that the journal does not make`);
    else if (expected.join() !== row.join()) {
      const at = row.findIndex((cell, index) => cell !== expected[index]);
      differences.push(`${label}: ${row[at]} where the journal makes ${expected[at]}`);
    }
  }
  for (const key of due.keys()) differences.push(`${table} ${key}: no row`);
  return differences;

  function keyOf(row: readonly string[]): string {
    return row.slice(0, table === 'red_packet' ? 1 : 2).join('/');
  }
}

/** What a leader says to the packet's sender, who sees all of it. */
export type LeaderView = {
  readonly asOfLsn: number;
  readonly packet: PacketAnswer__Output;
  readonly claims: ClaimsAnswer__Output;
};

/** Where a leader's answer is not what the journal makes; empty: the same. */
export function leaderDifferences(view: LeaderView, due: Rebuilt): string[] {
  const { packet, claims } = view;
  const { definition } = due;
  const takenCents = due.claims.reduce((sum, { amountCents }) => sum + amountCents, 0);
  const pairs: [string, unknown, unknown][] = [
    ['phase', packet.phase, due.phase],
    ['sender', packet.sender, definition.sender],
    ['group', packet.groupId, String(definition.groupId)],
    ['kind', packet.kind, definition.kind],
    ['strategy', packet.strategy, definition.strategy],
    ['timing', packet.timing, definition.timing],
    ['count', packet.count, definition.count],
    ['greeting', packet.greeting, definition.greeting],
    ['total', Number(packet.totalCents), definition.totalCents],
    ['taken', packet.taken, due.claims.length],
    ['taken cents', Number(packet.takenCents), takenCents],
    ['refunded', Number(packet.refundedCents), due.refundCents],
    ['created', Number(packet.createdAt), due.createdAt],
    ['expires', Number(packet.expiresAt), due.expiresAt],
    ['ended', Number(packet.endedAt), due.endedAt],
    ['seed hash', packet.seedHash.toString('hex'), due.seedHash],
    ['seed', packet.seed.toString('hex'), Buffer.from(due.seed).toString('hex')],
    ['claims', claimText(claims), due.claims.map(claimLine).join(' ')],
  ];
  return pairs
    .filter(([, is, expected]) => is !== expected)
    .map(([name, is, expected]) => `${name}: ${String(is)}, the journal makes ${String(expected)}`);
}

type ClaimLine = { user: string; order: number; amountCents: number; at: number };

function claimLine({ user, order, amountCents, at }: ClaimLine): string {
  return `${order}:${JSON.stringify(user)}:${amountCents}@${at}`;
}

function claimText({ claims }: ClaimsAnswer__Output): string {
  return claims
    .map(({ user, order, amountCents, at }) =>
      claimLine({ user, order, amountCents: Number(amountCents), at: Number(at) }),
    )
    .join(' ');
}
