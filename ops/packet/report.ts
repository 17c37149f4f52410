/** What `./hongbao packet` prints: words for people, plain values for machines. */
import type { Figure } from '../cli.ts';
import { textOfCents } from '../wallet.ts';
import type { Rebuilt } from './rebuild.ts';
import type { Checked } from './replay.ts';
import type { Told } from './timeline.ts';
import { lineOf } from './timeline.ts';
import type { AllPackets } from './verify-all.ts';

/** The packet as plain values; ids are decimal strings, bytes hex. */
export function packetJson(packet: Rebuilt): Record<string, unknown> {
  const { definition: d, claims, phase, restCents, refundCents, seed } = packet;
  const { sender, kind, strategy, timing, totalCents, count, lifetimeMs, greeting, receivers } = d;
  return {
    packetId: String(d.packetId),
    groupId: String(d.groupId),
    ...{ sender, kind, strategy, timing, totalCents, count, lifetimeMs, greeting, receivers },
    ...{ phase, restCents, refundCents },
    createdAt: packet.createdAt,
    expiresAt: packet.expiresAt,
    endedAt: phase === 'live' ? null : packet.endedAt,
    seedHash: packet.seedHash,
    seed: seed.length === 0 ? null : Buffer.from(seed).toString('hex'),
    claims,
  };
}

/** A step as plain values. */
export function stepJson(step: Told): Record<string, unknown> {
  const { change, ...plain } = step;
  const { order = null, left = null } = change?.kind === 'open' ? change : {};
  return { ...plain, order, left };
}

export function packetLines(packet: Rebuilt): string[] {
  const { definition: d, claims, phase, refundCents, restCents } = packet;
  const time = (at: number): string => new Date(at).toISOString();
  const end = phase === 'live' ? `expires ${time(packet.expiresAt)}` : `${time(packet.endedAt)}`;
  const rest =
    phase === 'refunded'
      ? `refunded ${textOfCents(refundCents)}`
      : `rest ${textOfCents(restCents)}`;
  return [
    `packet ${d.packetId} of ${d.sender} in group ${d.groupId}: ${phase}, ${end}`,
    `${textOfCents(d.totalCents)} in ${d.count} shares, ${d.kind}, ${d.strategy}, ${d.timing}; ${rest}`,
    `seed hash ${packet.seedHash}`,
    ...(packet.seed.length === 0 ? [] : [`seed ${Buffer.from(packet.seed).toString('hex')}`]),
    ...claims.map(
      ({ order, user, amountCents, at }) =>
        `  ${String(order).padStart(3)}  ${textOfCents(amountCents).padStart(9)}  ${time(at)}  ${user}`,
    ),
  ];
}

export function flightLines(checked: Checked): string[] {
  const { steps, packet, tables, leader, onTheirWay, findings } = checked;
  const compared = tables.map(({ where, projectedLsn, differences }) => {
    const verdict = differences.length === 0 ? 'the same' : `${differences.length} differences`;
    return `${where}: tables at LSN ${projectedLsn}: ${verdict}`;
  });
  return [
    ...steps.map(lineOf),
    '',
    ...(packet === null ? ['its owner never had it'] : packetLines(packet)),
    ...(onTheirWay.length === 0 ? [] : [`without a receipt yet: ${onTheirWay.join(', ')}`]),
    ...compared,
    `leader: ${leader}`,
    ...(findings.length === 0 ? ['everything fits'] : []),
  ];
}

export function allFigures(all: AllPackets): Figure[] {
  return [
    { name: 'ended packets recomputed', value: all.endedCount, unit: 'packets' },
    { name: 'shares recomputed', value: all.shares, unit: 'shares' },
    { name: 'still live', value: all.liveCount, unit: 'packets' },
    {
      name: 'wrong packets',
      value: all.wrongPackets.size,
      unit: 'packets',
      goal: '<= 0',
      met: all.wrongPackets.size === 0,
    },
  ];
}
