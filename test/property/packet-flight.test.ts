/** The flight recorder tells of every packet what the owner's memory says, and finds every lie. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asId } from '../../lib/core/ids.ts';
import { unpackBytes } from '../../lib/core/bytes.ts';
import type { Packet } from '../../set-node/machine/state.ts';
import type { Rebuilt } from '../../ops/packet/rebuild.ts';
import { faultsOf, rebuild } from '../../ops/packet/rebuild.ts';
import { FlightRecorder } from '../../ops/packet/record.ts';
import { TAMPERS, tampered } from '../../ops/packet/tamper.ts';
import { inOrder, tell } from '../../ops/packet/timeline.ts';
import { AllPackets } from '../../ops/packet/verify-all.ts';
import type { Cell } from './machine-sets.ts';
import { runScript } from './machine-world.ts';
import { script } from './machine-script.ts';

const days = fc.constantFrom(1 as const, 2 as const).chain((sets) => script({ sets, steps: 300 }));
const MAX = Number.MAX_SAFE_INTEGER;

function fly(cells: readonly Cell[], packetId: bigint): FlightRecorder {
  const recorder = new FlightRecorder(packetId);
  for (const { entries } of cells) for (const entry of entries) recorder.add(entry);
  return recorder;
}

/** The owner's memory and the recorder's packet in the same words. */
function wordsOfState({ definition, claims, end, ...packet }: Packet) {
  return {
    packetId: definition.packetId,
    seedHash: Buffer.from(unpackBytes(packet.seedHash)).toString('hex'),
    createdAt: packet.createdAt,
    expiresAt: packet.expiresAt,
    phase: end?.kind ?? 'live',
    endedAt: end?.at ?? 0,
    refundCents: end?.refundCents ?? 0,
    seed: Buffer.from(end?.seed ?? []).toString('hex'),
    claims: [...claims].map(([user, { order, amountCents, at }]) => [user, order, amountCents, at]),
  };
}

function wordsOfRebuilt(packet: Rebuilt) {
  const { definition, seedHash, createdAt, expiresAt, phase, endedAt, refundCents } = packet;
  return {
    ...{ packetId: definition.packetId, seedHash, createdAt, expiresAt, phase, endedAt },
    refundCents,
    seed: Buffer.from(packet.seed).toString('hex'),
    claims: packet.claims.map(({ user, order, amountCents, at }) => [user, order, amountCents, at]),
  };
}

describe('a flight', () => {
  test('is rebuilt to what the owner has, and breaks no rule', () => {
    let packets = 0;
    fc.assert(
      fc.property(days, (day) => {
        const { cells } = runScript({ script: day });
        for (const { setId, state } of cells) {
          for (const packet of state.packets.values()) {
            const { packetId } = packet.definition;
            const recorder = fly(cells, packetId);
            const own = recorder.steps.filter((step) => step.setId === setId);
            const wrong: string[] = [];
            const say = (what: string): void => void wrong.push(what);
            const rebuilt = rebuild(own, { throughLsn: MAX, wrong: say })!;
            expect(wordsOfRebuilt(rebuilt)).toEqual(wordsOfState(packet));
            expect([...wrong, ...faultsOf(rebuilt)]).toEqual([]);
            const told = tell(inOrder(recorder.steps));
            expect(told.findLast(({ restCents }) => restCents !== null)?.restCents).toBe(
              rebuilt.restCents,
            );
            packets += 1;
          }
        }
      }),
      { numRuns: 40 },
    );
    expect(packets).toBeGreaterThan(10);
  });

  test('is in order: what was caused stands behind its cause, and nothing is left out', () => {
    fc.assert(
      fc.property(days, (day) => {
        const { cells } = runScript({ script: day });
        for (const { state } of cells) {
          for (const packetId of state.packets.keys()) {
            const { steps } = fly(cells, packetId);
            const ordered = inOrder(steps);
            expect(new Set(ordered)).toEqual(new Set(steps));
            expect(ordered).toHaveLength(steps.length);
            const sent = new Set<string>();
            for (const step of ordered) {
              expect(step.because === null || sent.has(step.because)).toBe(true);
              for (const name of step.sent) sent.add(name);
            }
            expect(['send', 'pay']).toContain(ordered[0]?.kind);
          }
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe('lies', () => {
  test('of an ended packet are found, every kind of them, and nobody else is accused', () => {
    const found = new Map<string, number>();
    fc.assert(
      fc.property(days, (day) => {
        for (const { entries, state } of runScript({ script: day }).cells) {
          const honest = new AllPackets();
          for (const entry of entries) honest.add(entry);
          expect([...honest.wrongPackets]).toEqual([]);
          const ended = [...state.packets.values()].filter(({ end }) => end !== null);
          for (const { definition } of ended.slice(0, 3)) {
            for (const tamper of TAMPERS) {
              const packetId = asId(definition.packetId);
              const lie = tampered(entries, { packetId, tamper });
              if (lie === null) continue;
              const all = new AllPackets();
              for (const entry of lie) all.add(entry);
              const wrong = [...all.wrongPackets];
              expect({ tamper, wrong }).toEqual({ tamper, wrong: [String(packetId)] });
              found.set(tamper, (found.get(tamper) ?? 0) + 1);
            }
          }
        }
      }),
      { numRuns: 40 },
    );
    expect([...found.keys()].toSorted()).toEqual([...TAMPERS].toSorted());
  });
});
