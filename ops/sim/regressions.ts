import type { SimJob } from './pool.ts';

export type Regression = SimJob & {
  /** The bug, in a line. */
  readonly what: string;
};

/**
 * Bugs that walks found, by the seed that saw each first; the gate walks them before all others. A
 * history moves with the code and with the faults that are drawn: an old one may be a walk like
 * others today, and the mutants show that walks see.
 */
export const REGRESSIONS: readonly Regression[] = [
  {
    world: 'log',
    seed: 3,
    what: 'a voter whose journal could not be read was locked out by a new incarnation',
  },
  {
    world: 'log',
    seed: 108,
    what: 'a takeover gave up for ever although copies that did not answer may be good',
  },
  {
    world: 'log',
    seed: 301,
    what: 'a recovery gave up for ever although copies that did not answer may be good',
  },
  {
    world: 'log',
    seed: 1053,
    what: 'a takeover that was itself taken over read entries of its successor as its own',
  },
  {
    world: 'log',
    seed: 943,
    what: 'over two connections a late restore cut off what a newer one had brought',
  },
  {
    world: 'log',
    seed: 115,
    what: 'a full house did not look whether its promises still stood',
  },
  {
    world: 'whole',
    seed: 11,
    what: 'a clock that leapt a day between two comparisons was stamped',
  },
  {
    world: 'whole',
    seed: 15,
    what: 'tables of a replica that came back waited for the next commit',
  },
  {
    world: 'whole',
    seed: 1103,
    ops: 300,
    what: 'an admission that landed late counted beside a newer identity that was half recorded',
  },
  {
    world: 'whole',
    seed: 2092,
    ops: 300,
    what: 'a no that was asked for before the group was there was told to its founder',
  },
];
