import { expect, test } from 'vitest';
import type { Claim, Packet } from '../../client/protocol.ts';
import { verifyPacket } from '../../client/verify.ts';
import { preSplit } from '../../lib/core/allocation.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { parseId } from '../../lib/core/ids.ts';
import { seedHashOf } from '../../lib/core/packet.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { cents } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';

const seed = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1);

/** A packet that ended as the servers would show it; `taken` of its shares were opened. */
function ended(
  part: Partial<PacketDefinition> = {},
  taken = part.count ?? 5,
): { packet: Packet; claims: Claim[] } {
  const definition: PacketDefinition = {
    packetId: parseId('4611686018427387905')!,
    sender: parseUserId('爱丽丝')!,
    groupId: parseId('77')!,
    kind: 'lucky',
    strategy: 'double_mean',
    timing: 'at_open',
    totalCents: cents(1_000),
    count: 5,
    lifetimeMs: 86_400_000,
    greeting: '恭喜发财',
    receivers: [],
    ...part,
  };
  const { totalCents: total, count, strategy } = definition;
  const shares = preSplit({ strategy, total, count, seed }).slice(0, taken);
  const claims = shares.map((amountCents, index) => ({
    userId: `user-${index}`,
    order: index + 1,
    amountCents,
    at: 1_000 + index,
  }));
  const takenCents = shares.reduce((sum, share) => sum + share, 0);
  const packet: Packet = {
    ...definition,
    packetId: String(definition.packetId),
    groupId: String(definition.groupId),
    taken,
    phase: taken === count ? 'drained' : 'refunded',
    createdAt: 1_700_000_000_000,
    expiresAt: 1_700_000_000_000 + definition.lifetimeMs,
    endedAt: 1_700_000_001_000,
    seedHash: toHex(seedHashOf({ definition, seed })),
    seed: toHex(seed),
    totalCents: total,
    takenCents,
    refundedCents: total - takenCents,
    mine: null,
    best: null,
  };
  return { packet, claims };
}

test.each(['double_mean', 'classic', 'uniform'] as const)('a %s packet verifies', (strategy) => {
  const { packet, claims } = ended({ strategy });
  expect(verifyPacket({ packet, claims })).toEqual({ status: 'verified', shares: 5 });
  expect(verifyPacket({ packet, claims: claims.toReversed() }).status).toBe('verified');
});

test('an equal packet and one that ran out verify too', () => {
  const equal = ended({ kind: 'equal', strategy: 'equal', totalCents: cents(1_001), count: 3 });
  expect(verifyPacket(equal)).toEqual({ status: 'verified', shares: 3 });
  expect(verifyPacket(ended({}, 3))).toEqual({ status: 'verified', shares: 3 });
  expect(verifyPacket(ended({}, 0))).toEqual({ status: 'verified', shares: 0 });
});

test('every field that the sender said is bound by the hash', () => {
  const changes: Partial<Packet>[] = [
    { sender: 'mallory' },
    { groupId: '78' },
    { packetId: '4611686018427387906' },
    { greeting: '恭喜发财!' },
    { timing: 'pre_split' },
    { strategy: 'uniform' },
    { expiresAt: 1_700_000_000_000 + 1 + 86_400_000 },
    { totalCents: 1_001 },
    { seed: `00${toHex(seed).slice(2)}` },
    { seedHash: '0'.repeat(64) },
  ];
  for (const change of changes) {
    const { packet, claims } = ended();
    const verdict = verifyPacket({ packet: { ...packet, ...change }, claims });
    expect({ change, verdict }).toEqual({
      change,
      verdict: { status: 'broken', what: 'seed_hash' },
    });
  }
});

test('a share that is one cent off is named', () => {
  const { packet, claims } = ended();
  const [first, second, third, ...rest] = claims;
  const moved = [
    first!,
    { ...second!, amountCents: second!.amountCents + 1 },
    { ...third!, amountCents: third!.amountCents - 1 },
    ...rest,
  ];
  expect(verifyPacket({ packet, claims: moved })).toEqual({
    status: 'broken',
    what: 'share',
    order: 2,
  });
});

test('sums that do not fit, and what no packet can be', () => {
  const { packet, claims } = ended();
  const off = { ...packet, refundedCents: 1 };
  expect(verifyPacket({ packet: off, claims })).toEqual({ status: 'broken', what: 'sums' });
  for (const change of [{ seed: 'xyz' }, { count: 0 }, { strategy: 'mine' }, { sender: '' }]) {
    const verdict = verifyPacket({ packet: { ...packet, ...change }, claims });
    expect(verdict).toEqual({ status: 'broken', what: 'definition' });
  }
});

test('what cannot be verified now or here says so instead of complaining', () => {
  const { packet, claims } = ended();
  const reasons = [
    [{ ...packet, seed: null, phase: 'live' as const }, claims, 'not_ended'],
    [{ ...packet, totalCents: null }, claims, 'amounts_hidden'],
    [{ ...packet, kind: 'exclusive' }, claims, 'receivers_hidden'],
    [packet, claims.slice(1), 'claims_missing'],
  ] as const;
  for (const [shown, list, reason] of reasons) {
    expect(verifyPacket({ packet: shown, claims: list })).toEqual({
      status: 'not_verifiable',
      reason,
    });
  }
});
