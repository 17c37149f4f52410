/** The audit's own books, which share no code with the machine, find nothing in its journals. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Op } from '../../reconciler/audit/decode.ts';
import { SetBooks, opsOf } from '../../reconciler/audit/set-books.ts';
import type { Cell } from './machine-sets.ts';
import type { Script } from './machine-script.ts';
import { script } from './machine-script.ts';
import type { TestWorld } from './machine-world.ts';
import { runScript } from './machine-world.ts';

/** At rules 3 from the start; nobody uses an id that was not leased, which C10 does not forgive. */
function honest({ sets, seed, steps }: Script): Script {
  const upgrades = [0, 1].map((cell) => ({ do: 'upgrade', with: cell }) as const);
  const leased = steps.map((step) => {
    if (step.do === 'send') return { ...step, with: { ...step.with, id: 'leased' } } as const;
    if (step.do !== 'createGroup') return step;
    const [who, where] = step.with;
    return { do: 'createGroup', with: [who, where % 60] } satisfies typeof step;
  });
  return { sets, seed, steps: [...upgrades, ...leased] };
}

function run(day: Script): TestWorld {
  return runScript({ script: honest(day), cutsEach: true });
}

function audited(cell: Cell, tamper: (op: Op) => Op = (op) => op): void {
  const books = new SetBooks(cell.setId);
  for (const entry of cell.entries) books.addOps(entry, opsOf(entry).map(tamper));
}

const days = fc.constantFrom(1 as const, 2 as const).chain((sets) => script({ sets, steps: 300 }));

test('[AU1] no rule is broken in the journal of any day', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(days, (day) => {
      const world = run(day);
      for (const cell of world.cells) expect(() => audited(cell)).not.toThrow();
      for (const name of world.seen.keys()) seen.add(name);
    }),
    { numRuns: 100 },
  );
  const met = ['credited', 'sent', 'paid_out', 'returned', 'dropped'];
  expect(met.filter((became) => !seen.has(`payment.settle ${became}`))).toEqual([]);
});

test('[M11] a payment that became what it cannot is found', () => {
  const tamper = (op: Op): Op => {
    if (op.type !== 'payment.settle' || op.outcome.success?.became !== 'paid_out') return op;
    return {
      ...op,
      outcome: { ...op.outcome, success: { ...op.outcome.success, became: 'returned' } },
    };
  };
  const found = fc.check(
    fc.property(days, (day) => {
      for (const cell of run(day).cells) audited(cell, tamper);
    }),
    { numRuns: 200, endOnFailure: true },
  );
  expect(String(found.errorInstance)).toContain('M11');
});
