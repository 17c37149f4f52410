import { isIncident } from './script.ts';
import type { Script } from './script.ts';
import type { Run } from './run-script.ts';

/** A word that the port answers with, alone or as `kind`. */
const WORD = /^(?:"(\w+)"|\{.*?\bkind: "(\w+)")/;

/** Counts what the scripts asked and what came of it: a comparison that saw nothing proves nothing. */
export class Tally {
  scripts = 0;
  calls = 0;
  incidents = 0;
  /** By kind of step: `append` → 12,345. */
  readonly kinds = new Map<string, number>();
  /** By kind of step and of outcome: `append acked`, `project throws corrupt`. */
  readonly outcomes = new Map<string, number>();

  add(script: Script, run: Run): void {
    this.scripts += 1;
    for (const [at, step] of script.steps.entries()) {
      if (isIncident(step)) this.incidents += 1;
      else this.calls += 1;
      count(this.kinds, step.kind);
      count(this.outcomes, `${step.kind} ${outcomeKind(run.outcomes[at] ?? '')}`);
    }
  }

  /** Those of `wanted` that came less than `times` times. */
  missing(wanted: readonly string[], times: number): string[] {
    return wanted.filter((one) => (this.outcomes.get(one) ?? 0) < times);
  }
}

/** `throws CODE`, the port's own word, or whether there was something: `none`, `some`. */
function outcomeKind(outcome: string): string {
  if (outcome.startsWith('throws ')) return outcome;
  const [, alone, kind] = WORD.exec(outcome) ?? [];
  // An entry has a kind of its own.
  if (!outcome.startsWith('[') && (alone ?? kind) !== undefined) return alone ?? kind ?? '';
  const isEmpty = ['nothing', 'null', '[]'].includes(outcome) || outcome.endsWith('rows: []}');
  return isEmpty ? 'none' : 'some';
}

function count(into: Map<string, number>, name: string): void {
  into.set(name, (into.get(name) ?? 0) + 1);
}

/** Every answer of the port that a script can come to. */
export const ANSWERS = [
  ...['made', 'exists', 'foreign_cluster', 'late'].map((kind) => `bootstrap ${kind}`),
  ...['promised', 'refused', 'no_row'].map((kind) => `takeOver ${kind}`),
  ...['acked', 'fenced', 'no_vote', 'mismatch'].map((kind) => `append ${kind}`),
  ...['done', 'fenced', 'mismatch', 'throws rejected'].map((kind) => `truncate ${kind}`),
  ...['none', 'some'].map((kind) => `read ${kind}`),
  ...['none', 'some'].map((kind) => `fenceRow ${kind}`),
  ...['done', 'fenced', 'no_vote'].map((kind) => `recordIncarnation ${kind}`),
  ...['done', 'fenced'].map((kind) => `unprove ${kind}`),
  ...['done', 'fenced', 'has_vote', 'mismatch'].map((kind) => `restore ${kind}`),
  ...['done', 'fenced', 'mismatch', 'throws rejected'].map((kind) => `admit ${kind}`),
  ...['setCommit none', 'commitLsn some', 'beat none', 'resign none', 'readBeat some'],
  ...['some', 'throws corrupt', 'throws rejected'].map((kind) => `project ${kind}`),
  ...['projectedLsn some', 'scan none', 'scan some', 'scan throws assertion'],
  ...['writeSnapshot none', 'readSnapshot none', 'readSnapshot some', 'probe some', 'close none'],
  ...['append', 'takeOver', 'restore'].map((kind) => `${kind} throws assertion`),
  ...['append', 'takeOver', 'read', 'scan'].map((kind) => `${kind} throws unavailable`),
  ...['restart', 'wipe', 'copy-disk', 'restore-disk', 'drop-fence-row', 'drop-manifest'].map(
    (kind) => `${kind} none`,
  ),
  'rot done',
];
