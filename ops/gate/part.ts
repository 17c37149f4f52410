import type { Processes } from './processes.ts';

/** What a part found, counted in tests; a static part is one test. */
export interface Findings {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What to show a person when something failed. */
  readonly output: string;
  /** What was looked at, in a line, for a part whose counts do not say it. */
  readonly note?: string;
}

/** One part of the gate. */
export interface Part {
  readonly name: string;
  /** A light part may share the two cores with another; a heavy one runs alone. */
  readonly weight: 'light' | 'heavy';
  run(context: PartContext): Promise<Findings>;
}

export interface PartContext {
  /** The repository's folder, absolute. */
  readonly root: string;
  readonly processes: Processes;
}

export interface Finished extends Findings {
  readonly name: string;
  readonly seconds: number;
}

/** A static part's findings: one test, passed or failed. */
export function oneTest(passed: boolean, output: string): Findings {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, output };
}

/** A part that has nothing to look at yet. */
export function nothingYet(output: string): Findings {
  return { passed: 0, failed: 0, skipped: 1, output };
}
