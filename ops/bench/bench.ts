import type { Figure } from '../cli.ts';

export type BenchFlags = {
  readonly seconds: number;
  readonly runs: number;
  /** How long a rate has to hold. */
  readonly holdSeconds: number;
  /** Of the usual size, 1..100: less only to try a bench out. */
  readonly percent: number;
};

/** One name of `./hongbao bench NAME`. */
export type Bench = {
  /** Usual seconds of a run, and usual runs; the flags win. */
  readonly seconds: number;
  readonly runs: number;
  /** What a reader must know beside machine and disk: durability of each side, processes. */
  readonly conditions: (flags: BenchFlags) => Readonly<Record<string, unknown>>;
  /** @param log takes lines for a person who waits */
  readonly run: (flags: BenchFlags, log: (line: string) => void) => Promise<Figure[]>;
};
