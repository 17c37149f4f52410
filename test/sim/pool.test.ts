import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { simFindings } from '../../ops/gate/sim-part.ts';
import type { SimPartOptions } from '../../ops/gate/sim-part.ts';
import { proveSim, shortOf, SIM_250 } from '../../ops/prove/sim-250.ts';
import { jobsOf, runCampaign } from '../../ops/sim/campaign.ts';
import { huntMutant, seedsFrom } from '../../ops/sim/mutant/hunt.ts';
import type { Mutant } from '../../ops/sim/mutant/mutant.ts';
import { mergedSeeds, seedsText } from '../../ops/sim/mutant/record.ts';
import type { PoolOptions, SimEnd } from '../../ops/sim/pool.ts';
import { runWalks } from '../../ops/sim/pool.ts';

const script = new URL('./fake-worker.ts', import.meta.url);
const world = 'log';
const quiet = (): void => {};

/** Where the traces of failures go. */
const dir = mkdtempSync(join(tmpdir(), 'hongbao-pool-test-'));
vi.stubEnv('TMPDIR', dir);
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

function mutantOf(name: string, seed = 2): Mutant {
  const source = 'a test';
  return { name, what: 'wrong on purpose', source, world, patches: [], rule: /^I1 /, seed };
}

async function ends(
  seeds: readonly number[],
  more: Partial<PoolOptions> = {},
): Promise<readonly SimEnd[]> {
  const seen: SimEnd[] = [];
  await runWalks({
    jobs: seeds.map((seed) => ({ world, seed })),
    ended: (end) => seen.push(end),
    workers: 1,
    script,
    ...more,
  });
  return seen;
}

function summary(end: SimEnd): string {
  const how = end.kind === 'broken' ? end.message.split('\n')[0] : end.result.violation;
  return `${end.job.seed} ${how ?? 'clean'}`;
}

describe('the pool', () => {
  test('goes on after a walk that throws, a thread that dies and one that hangs', async () => {
    const seen = await ends([1, 90, 2, 91, 3, 92, 4, 93, 5], { watchdogMs: 1_500 });
    expect(seen.map(summary)).toEqual([
      '1 clean',
      '90 the code threw',
      '2 clean',
      '91 the walk hung: no end within 1.5 s of wall time',
      '3 clean',
      '92 the thread ended with 3',
      '4 clean',
      '93 Error: uncaught in the thread',
      '5 clean',
    ]);
  });

  test('a thread walks many seeds, and after a failure another one does', async () => {
    const seen = await ends([1, 2, 90, 3], { keepTraces: true });
    const firsts = seen.map((end) => (end.kind === 'walked' ? end.result.lines[0] : null));
    const walk = (number: number): string => `walk ${number} of this thread`;
    expect(firsts).toEqual([walk(1), walk(2), null, walk(1)]);
  });

  test('keeps the lines of a violation, and of nothing else', async () => {
    const kept = (await ends([1, 66])).map((end) => end.kind === 'walked' && end.result.lines);
    expect(kept).toEqual([[], ['walk 2 of this thread', 'mutant null']]);
  });

  test('each walk once over several threads, the planted mistake in all of them', async () => {
    const seeds = Array.from({ length: 12 }, (_, at) => at + 100);
    const seen = await ends(seeds, { workers: 3, mutant: 'quiet', keepTraces: true });
    expect(seen.map(({ job }) => job.seed).toSorted((a, b) => a - b)).toEqual(seeds);
    for (const end of seen) {
      expect(end.kind === 'walked' ? end.result.lines[1] : '').toBe('mutant quiet');
    }
  });

  test('ends an endless run at once when it is told to, in the middle of a hang too', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    await runWalks({
      jobs: (function* jobs() {
        yield { world, seed: 91 } as const;
        for (let seed = 100; ; seed++) yield { world, seed } as const;
      })(),
      ended: ({ job }) => {
        seen.push(job.seed);
        if (job.seed === 1_000) stop.abort();
      },
      workers: 2,
      script,
      signal: stop.signal,
    });
    expect(seen).toContain(1_000);
    expect(seen).not.toContain(91);
  });
});

test('a campaign adds up, tells how to walk a failure again, and has one hash however it ran', async () => {
  const lines: string[] = [];
  const run = async (workers: number) =>
    runCampaign({
      jobs: jobsOf({ from: 60, to: 70 }, { world, ops: 7 }),
      workers,
      script,
      say: (line) => lines.push(line),
    });
  const campaign = await run(1);
  expect(campaign.totals).toMatchObject({ commands: 77, faults: 275 });
  expect(campaign.failures).toEqual([{ job: { world, seed: 66, ops: 7 }, failure: 'I1 planted' }]);
  expect(lines.join('\n')).toMatch(/^log seed 66: I1 planted\n {2}walk 7 .*\n.*\nwhole trace/);
  expect(lines.at(-1)).toBe('replay: ./hongbao sim --world log --seeds 66..66 --ops 7 --trace');
  expect((await run(3)).hash).toBe(campaign.hash);
});

describe('a hunt', () => {
  const hunt = async (name: string, seeds: Iterable<number>, withinMs = 10_000) =>
    huntMutant({ mutant: mutantOf(name), seeds, withinMs, script });

  test('ends at the seed that breaks the rule of the mutant', async () => {
    expect(await hunt('seen-at-2', seedsFrom(1))).toMatchObject({
      seed: 2,
      violation: 'I1 planted',
      walks: 2,
    });
  });

  test('does not count another rule as seen', async () => {
    const found = await hunt('stray', [1, 2, 3]);
    expect(found).toMatchObject({ seed: null, walks: 3 });
    expect(found.strays[0]).toBe('seed 1: I9 something else');
  });

  test('ends in time when nothing is seen', async () => {
    expect(await hunt('quiet', seedsFrom(100), 300)).toMatchObject({ seed: null, violation: null });
  });

  test('gives up when nothing can be walked with the mistake in it', async () => {
    const found = await hunt('quiet', [90, 90, 90, 1, 2]);
    expect(found).toMatchObject({ seed: null, walks: 0 });
  });

  test('is written down: what was not caught keeps its seed, what is gone goes', async () => {
    const seeds = mergedSeeds({
      recorded: { 'seen-at-2': 900, quiet: 5, gone: 7 },
      hunts: [await hunt('seen-at-2', [1, 2]), await hunt('quiet', [1])],
      names: ['seen-at-2', 'quiet'],
    });
    expect(seedsText(seeds)).toContain(`= {\n  quiet: 5,\n  'seen-at-2': 2,\n};\n`);
  });
});

describe('the proof of many seeds', () => {
  const { minima } = SIM_250;
  const prove = (from: number, ops: number) =>
    proveSim({ ...SIM_250, world, seeds: { from, to: from + 2 }, ops, say: quiet, script });

  test('holds when no rule is broken and every walk is long enough', async () => {
    const { result, findings } = await prove(1, 2_000);
    expect({ ok: result.ok, findings }).toEqual({ ok: true, findings: [] });
    expect(result.figures).toContainEqual({ name: 'commands', value: 6_000, unit: '1' });
  });

  test.each([
    ['a walk of too few commands', 1, 1_999, 'seed 1 is too short: 1999 of 2000 commands'],
    ['a broken rule', 64, 2_000, 'seed 66: I1 planted'],
    ['a walk that throws', 88, 2_000, 'seed 90: broken: the code threw'],
    ['a seed that has two traces', 77, 2_000, 'seed 77 gave 77.'],
  ])('does not hold after %s', async (_, from, ops, finding) => {
    const { result, findings } = await prove(from, ops);
    expect(result.ok).toBe(false);
    expect(findings.join('\n')).toContain(finding);
  });

  test('knows each minimum', () => {
    const enough = { commands: 2_000, faults: 20, takeovers: 0, refunds: 0 };
    const hour = 3_600_000;
    expect(shortOf({ ...enough, simulatedMs: 26 * hour }, minima)).toEqual([]);
    expect(shortOf({ ...enough, simulatedMs: 26 * hour - 1 }, minima)).toHaveLength(1);
    expect(shortOf({ ...enough, faults: 19, simulatedMs: 26 * hour }, minima)).toEqual([
      '19 of 20 faults',
    ]);
  });
});

describe('the part of the gate', () => {
  const fine: SimPartOptions = {
    budgetMs: 500,
    mutantMs: 2_000,
    limitMs: 30_000,
    regressions: [{ world, seed: 3, what: 'a bug' }],
    mutants: [mutantOf('seen-at-2', 12)],
    canary: 'seen-at-2',
    firstSeed: 1_000,
    worlds: ['whole', 'log'],
    script,
  };

  test('counts regressions, mutants, the canary, equal traces and new seeds', async () => {
    const found = await simFindings({ ...fine, budgetMs: 3_000 });
    expect(found.failed).toBe(0);
    expect(found.note).toMatch(/^1 regressions, 1 mutants, \d+ new seeds from 1000: /);
    const fresh = Number(/(\d+) new seeds/.exec(found.note ?? '')?.[1]);
    expect(fresh).toBeGreaterThan(4);
    expect(found.passed).toBe(1 + 1 + 1 + 2 + fresh);
  });

  test('walks every world even when there is no time left', async () => {
    const found = await simFindings({ ...fine, budgetMs: 1 });
    expect(found).toMatchObject({ failed: 0, passed: 9 });
    expect(found.note).toContain('4 new seeds');
  });

  test.each<[string, Partial<SimPartOptions>, string]>([
    ['a regression that is back', { regressions: [{ world, seed: 66, what: 'it' }] }, 'seed 66'],
    ['a stale recorded seed', { mutants: [mutantOf('seen-at-2', 13)] }, 'sim --record --mutant'],
    ['no mutants', { mutants: [] }, '0 mutants'],
    ['a canary that is not there', { canary: 'nobody' }, 'canary nobody'],
    ['a canary that nothing sees', { canary: 'stray', mutants: [mutantOf('stray')] }, 'canary'],
    ['no new seeds', { worlds: [] }, '0 new seeds'],
    ['a new seed that breaks a rule', { firstSeed: 66 }, 'log seed 66: I1 planted'],
    ['two traces of one seed', { firstSeed: 77 }, 'seed 77 has two traces'],
    ['a hang', { regressions: [{ world, seed: 91, what: 'it' }], limitMs: 600 }, 'stopped'],
  ])('is red after %s', async (_, change, said) => {
    const found = await simFindings({ ...fine, ...change, budgetMs: 100 });
    expect(found.failed).toBeGreaterThan(0);
    expect(found.output).toContain(said);
  });
});
