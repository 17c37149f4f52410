/** M1..M10 on random days of one and two Sets, step by step against a dumb model. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runScript } from './machine-world.ts';
import { script } from './machine-script.ts';

describe('the machine and the model agree after every step', () => {
  test.each([
    { sets: 1, numRuns: 120 },
    { sets: 2, numRuns: 150 },
  ] as const)('$sets Set(s)', ({ sets, numRuns }) => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(script({ sets, steps: 250 }), (day) => {
        const world = runScript({ script: day });
        for (const [name, count] of world.seen) seen.set(name, (seen.get(name) ?? 0) + count);
      }),
      { numRuns },
    );
    console.log([...seen].toSorted().map(([n, c]) => `${n} ${c}`).join('\n'));
    expect(seen.get('packet.open ok')).toBeGreaterThan(100);
  });
});
