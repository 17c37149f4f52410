import { describe, expect, test } from 'vitest';
import { proveKillEmbedded } from '../../ops/prove/kill-embedded.ts';
import type { KillOptions } from '../../ops/prove/kill-world.ts';

/** The short form of `./hongbao prove kill-embedded`; the long one is in docs/proofs. */
const SHORT: KillOptions = {
  rounds: 2,
  opens: 300,
  packets: 10,
  sets: 2,
  seed: 20_251_120,
  sabotage: null,
  say: () => {},
};

/** Big enough to be found out in. */
const SMALL: KillOptions = { ...SHORT, rounds: 1, opens: 60, packets: 3 };

function figureOf(proof: Awaited<ReturnType<typeof proveKillEmbedded>>, name: string): number {
  const found = proof.result.figures.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no figure ${name}`);
  return found.value;
}

describe('kill -9 of the embedded process', () => {
  test('loses no acknowledged open and no cent', async () => {
    const proof = await proveKillEmbedded(SHORT);
    expect(proof.findings).toEqual([]);
    expect(proof.result.ok).toBe(true);
    expect(figureOf(proof, 'rounds killed in the middle')).toBe(2);
    // Two Sets' journals with an EPOCH_START for every start, and every claim in them.
    expect(figureOf(proof, 'journal entries read again')).toBeGreaterThan(10);
    expect(figureOf(proof, 'journaled commands read again')).toBeGreaterThan(SHORT.opens);
  });

  // A proof that cannot fail proves nothing.
  test('is found out when an acknowledged open is dropped from the journal', async () => {
    const proof = await proveKillEmbedded({ ...SMALL, sabotage: 'lose-ack' });
    expect(proof.result.ok).toBe(false);
    // Above the commit point the loss shows in the answers, below it the process refuses to serve.
    expect(proof.findings.join('\n')).toMatch(/^lost: .* was acknowledged|corrupt_journal/m);
  });

  test('is found out when one answer is a cent off', async () => {
    const proof = await proveKillEmbedded({ ...SMALL, sabotage: 'extra-cent' });
    expect(proof.result.ok).toBe(false);
    expect(figureOf(proof, 'changed answers')).toBeGreaterThan(0);
    expect(figureOf(proof, 'cents wrong')).toBeGreaterThan(0);
  });
});
