import type { ReplicaWorld, WorldSource } from './replica-world.ts';
import type { Run } from './run-script.ts';
import { runScript } from './run-script.ts';
import type { Script, Step } from './script.ts';
import { showStep } from './script.ts';

/** Where stores differ first, and what each said. */
export type Difference = {
  readonly script: Script;
  /** Index of the step; null: only the state at the end differs. */
  readonly at: number | null;
  readonly what: string;
  readonly said: readonly { readonly store: string; readonly outcome: string }[];
};

export type Compared = {
  readonly runs: readonly Run[];
  readonly difference: Difference | null;
};

/** A script is shortened by at most so many further runs. */
const SHORTER_RUNS_MAX = 150;
const SHOWN_CHARS = 1_500;

/** Runs one script on a new replica of each source, at the same time, and compares all that they said. */
export async function compareScript(
  sources: readonly WorldSource[],
  script: Script,
): Promise<Compared> {
  const runs = await Promise.all(sources.map((source) => runOn(source, script)));
  const names = sources.map(({ name }) => name);
  return { runs, difference: firstDifference({ names, runs, script }) };
}

async function runOn(source: WorldSource, script: Script): Promise<Run> {
  const world: ReplicaWorld = await source.open();
  try {
    return await runScript(world, script);
  } finally {
    await world.dispose();
  }
}

function firstDifference(args: {
  names: readonly string[];
  runs: readonly Run[];
  script: Script;
}): Difference | null {
  const { names, runs, script } = args;
  const said = (list: (run: Run) => readonly string[], at: number): Difference['said'] =>
    names.map((store, index) => {
      const run = runs[index];
      return { store, outcome: (run === undefined ? undefined : list(run)[at]) ?? 'nothing' };
    });
  for (const [at, step] of script.steps.entries()) {
    const outcomes = said((run) => run.outcomes, at);
    if (differ(outcomes)) return { script, at, what: showStep(step), said: outcomes };
  }
  const parts = Math.max(...runs.map(({ state }) => state.length));
  for (let at = 0; at < parts; at++) {
    const lines = said((run) => run.state, at);
    if (differ(lines)) return { script, at: null, what: 'the state at the end', said: lines };
  }
  return null;
}

function differ(said: Difference['said']): boolean {
  return said.some(({ outcome }) => outcome !== said[0]?.outcome);
}

/**
 * The same difference, or another one, with fewer steps: leaves out ever smaller pieces of the
 * script while the stores still differ.
 */
export async function shorten(
  sources: readonly WorldSource[],
  found: Difference,
): Promise<Difference> {
  let best = found;
  let left = SHORTER_RUNS_MAX;
  const { seed } = found.script;
  // What comes after the first difference has no part in it.
  const upTo = found.at === null ? found.script.steps.length : found.at + 1;
  let steps: readonly Step[] = found.script.steps.slice(0, upTo);
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < steps.length && left > 0; left--) {
      const fewer = steps.toSpliced(at, size);
      const { difference } = await compareScript(sources, { seed, steps: fewer });
      if (difference === null) at += size;
      else {
        best = difference;
        steps = fewer;
      }
    }
  }
  return best;
}

/** For people: the seed, the step, what each store said, and the steps that lead there. */
export function describe({ script, at, what, said }: Difference): string[] {
  const steps = script.steps.slice(0, at === null ? undefined : at);
  return [
    `seed ${script.seed}${at === null ? '' : `, step ${at}`}: ${cut(what)}`,
    ...said.map(({ store, outcome }) => `  ${store}: ${cut(outcome)}`),
    '  after:',
    ...steps.map((step) => `    ${cut(showStep(step))}`),
  ];
}

function cut(text: string): string {
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`;
}
