import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { KillProof } from '../../ops/prove/kill-embedded.ts';
import { proveKillEmbedded } from '../../ops/prove/kill-embedded.ts';
import type { KillOptions } from '../../ops/prove/kill-world.ts';

/** The short form of `./hongbao prove kill-embedded`; the long one is in docs/proofs. */
const SHORT: KillOptions = {
  rounds: 2,
  opens: 300,
  // Half of them: the other half is still to come whenever the kill comes.
  outstanding: 150,
  packets: 10,
  sets: 2,
  seed: 20_251_120,
  sabotage: null,
  say: () => {},
};

/** Big enough to be found out in. */
const SMALL: KillOptions = { ...SHORT, rounds: 1, opens: 60, outstanding: 30, packets: 3 };

function figureOf(proof: KillProof, name: string): number {
  const found = proof.result.figures.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no figure ${name}`);
  return found.value;
}

/** A proof that has to fail; what it keeps for an inquest is not needed. */
async function sabotaged(sabotage: KillOptions['sabotage']): Promise<KillProof> {
  const proof = await proveKillEmbedded({ ...SMALL, sabotage });
  if (proof.keptDir !== null) await rm(proof.keptDir, { recursive: true, force: true });
  return proof;
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
    const proof = await sabotaged('lose-ack');
    expect(proof.result.ok).toBe(false);
    // Above the commit point the loss shows in the answers, below it the process refuses to serve.
    expect(proof.findings.join('\n')).toMatch(/^lost: .* was acknowledged|corrupt_journal/m);
  });

  test('is found out when one answer is a cent off', async () => {
    const proof = await sabotaged('extra-cent');
    expect(proof.result.ok).toBe(false);
    expect(figureOf(proof, 'changed answers')).toBeGreaterThan(0);
    expect(figureOf(proof, 'cents wrong')).toBeGreaterThan(0);
  });
});
