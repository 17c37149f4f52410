import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SimEnd, SimJob } from './pool.ts';

/** Enough to read the end of a walk that failed; the whole of it is in the file. */
const LAST_LINES = 60;
/** Traces that are shown and kept: after these a person has enough, and the disk has other uses. */
const TRACES_MAX = 10;

/** The command that walks this again, exactly, with its trace. */
export function replayCommand(job: SimJob, mutant: string | null): string {
  const { world, seed, ops } = job;
  return [
    `./hongbao sim --world ${world} --seeds ${seed}..${seed}`,
    ...(ops === undefined ? [] : [`--ops ${ops}`]),
    ...(mutant === null ? [] : [`--mutant ${mutant}`]),
    '--trace',
  ].join(' ');
}

/** What did not hold in a walk, in a line; null when all did. */
export function failureOf(end: SimEnd): string | null {
  return end.kind === 'broken' ? `broken: ${end.message}` : end.result.violation;
}

/** Tells people of walks that failed, and keeps their traces in a temporary folder. */
export class FailureReports {
  readonly #mutant: string | null;
  readonly #brief: boolean;
  #dir: string | null = null;
  #traces = 0;

  /** `mutant` was planted, for the replay command; `brief` when the caller prints whole traces. */
  constructor({ mutant, brief }: { readonly mutant: string | null; readonly brief: boolean }) {
    this.#mutant = mutant;
    this.#brief = brief;
  }

  /** The lines for one walk that failed. */
  linesOf(end: SimEnd, failure: string): readonly string[] {
    const { job } = end;
    const replay = `replay: ${replayCommand(job, this.#mutant)}`;
    const head = `${job.world} seed ${job.seed}: ${failure}`;
    if (end.kind === 'broken' || this.#brief || this.#traces >= TRACES_MAX) return [head, replay];
    this.#traces += 1;
    const { lines } = end.result;
    return [
      head,
      ...lines.slice(-LAST_LINES).map((line) => `  ${line}`),
      `whole trace (${lines.length} lines): ${this.#keep(job, lines)}`,
      replay,
    ];
  }

  #keep({ world, seed }: SimJob, lines: readonly string[]): string {
    this.#dir ??= mkdtempSync(join(tmpdir(), 'hongbao-sim-'));
    const path = join(this.#dir, `${world}-${seed}.trace`);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }
}
