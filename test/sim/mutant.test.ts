import { describe, expect, test } from 'vitest';
import { LOG_MUTANTS } from '../../ops/sim/mutant/log-mutants.ts';
import { MUTANTS } from '../../ops/sim/mutant/mutants.ts';
import type { Patch } from '../../ops/sim/mutant/mutant.ts';
import { PatchDoesNotApply, checkPatches, plant } from '../../ops/sim/mutant/plant.ts';
import type { SimEnd } from '../../ops/sim/pool.ts';
import { runWalks } from '../../ops/sim/pool.ts';

const FILE = 'set-node/log/votes.ts';
const FIND = `proved, incarnations };`;
/** A seed that every mutant of W=1 falls over at once. */
const CANARY = { name: 'one-write-is-enough', seed: 1 };

function mutantOf(...patches: Patch[]): { name: string; patches: readonly Patch[] } {
  return { name: 'planted', patches };
}

async function walkOnce(mutant: string | null, seed: number): Promise<SimEnd> {
  const ends: SimEnd[] = [];
  const jobs = [{ world: 'log', seed }] as const;
  await runWalks({ jobs, mutant, workers: 1, ended: (end) => ends.push(end) });
  const [end] = ends;
  if (end === undefined) throw new Error('a walk ends');
  return end;
}

describe('patches', () => {
  test('every one applies exactly once, and what comes out parses', () => {
    expect(() => checkPatches(MUTANTS)).not.toThrow();
  });

  test('names are words with hyphens, and each is one mutant', () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
  });

  test('one that does not apply is told, and one that applies twice', () => {
    const lost = mutantOf({ file: FILE, find: 'no such text', replace: '' });
    expect(() => checkPatches([lost])).toThrow(PatchDoesNotApply);
    expect(() => checkPatches([lost])).toThrow(/^planted: .*0 times/);
    expect(() => plant(lost)).toThrow(PatchDoesNotApply);
    const twice = mutantOf({ file: FILE, find: 'promised', replace: 'refused' });
    expect(() => checkPatches([twice])).toThrow(/times, not once/);
    expect(() => checkPatches([mutantOf()])).toThrow(/changes nothing/);
  });

  test('what does not parse any more is told', () => {
    const broken = mutantOf({ file: FILE, find: FIND, replace: 'proved, incarnations' });
    expect(() => checkPatches([broken])).toThrow(/^planted: /);
  });

  test('the second patch of a file finds what the first one wrote', () => {
    const first = { file: FILE, find: FIND, replace: `proved, incarnations /* first */ };` };
    const second = { file: FILE, find: '/* first */', replace: '' };
    expect(() => checkPatches([mutantOf(first, second)])).not.toThrow();
    expect(() => checkPatches([mutantOf(second, first)])).toThrow(PatchDoesNotApply);
  });
});

describe('a planted mistake', () => {
  test('W=1 is seen by its rule, and the same seed without it breaks none', async () => {
    const canary = LOG_MUTANTS.find(({ name }) => name === CANARY.name);
    const seen = await walkOnce(CANARY.name, CANARY.seed);
    if (seen.kind !== 'walked') throw new Error(seen.message);
    expect(seen.result.violation).toMatch(canary?.rule ?? /^$/);
    const clean = await walkOnce(null, CANARY.seed);
    expect(clean).toMatchObject({ kind: 'walked', result: { violation: null } });
  });

  test('a name that is no mutant ends the thread, and is told', async () => {
    const end = await walkOnce('nobody', 1);
    const message = expect.stringContaining('there is no mutant nobody') as string;
    expect(end).toMatchObject({ kind: 'broken', message });
  });
});
