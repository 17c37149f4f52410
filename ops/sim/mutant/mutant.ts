import type { WorldName } from '../simulate.ts';

/** One change of a source file's text. */
export type Patch = {
  /** From the root of the repository. */
  readonly file: string;
  /** Must occur exactly once in the file. */
  readonly find: string;
  readonly replace: string;
};

/** A known mistake, planted into the real code when it is loaded (plant.ts). */
export type Mutant = {
  /** kebab-case. */
  readonly name: string;
  /** One line: the simpler rule, as the page names it. */
  readonly what: string;
  /** The page that demands it: `replication.md`, `rulings 6`, `issue 4` … */
  readonly source: string;
  /** The world in which it is looked for. */
  readonly world: WorldName;
  /** Commands of a walk; absent: as many as its world has. Short where the night tells, not the load. */
  readonly ops?: number;
  readonly patches: readonly Patch[];
  /** What the violation must say: another one does not count as seeing it. */
  readonly rule: RegExp;
  /** A seed that sees it, as somebody found it: seeds.ts, written by a machine, goes before. */
  readonly seed: number;
};
