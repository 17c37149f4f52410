/** What clients asked and were told, with times: the history that every proof judges. */
import { writeFile } from 'node:fs/promises';
import { assert } from '../../lib/core/assert.ts';

/** One client operation from its invocation to its end. */
export type Operation = {
  readonly number: number;
  /** Who asked. */
  readonly user: string;
  readonly op: string;
  readonly input: unknown;
  /** Milliseconds since the recorder began, on a clock that never falls. */
  readonly invokedMs: number;
  endedMs: number | null;
  /** `fail`: certainly refused. `unknown`: the line was lost before an answer. */
  end: 'ok' | 'fail' | 'unknown' | null;
  answer: unknown;
};

/** Something done to the system meanwhile: a kill, a cut, a healing. */
export type HistoryNote = { readonly note: string; readonly atMs: number };

type Invocation = Pick<Operation, 'user' | 'op' | 'input'>;

/** `Tags`: what a proof wants to know of its operations besides, for example the round. */
export class Recorder<Tags extends object = object> {
  readonly operations: (Operation & Tags)[] = [];
  readonly notes: HistoryNote[] = [];
  readonly #startMs = performance.now();

  invoke(args: Invocation & Tags): Operation & Tags {
    const operation: Operation & Tags = {
      ...args,
      number: this.operations.length,
      invokedMs: this.nowMs(),
      endedMs: null,
      end: null,
      answer: null,
    };
    this.operations.push(operation);
    return operation;
  }

  /** null: the line was lost. */
  end(operation: Operation, answer: { readonly ok: boolean } | null): void {
    assert(operation.end === null, 'an operation ends once');
    operation.endedMs = this.nowMs();
    operation.end = answer === null ? 'unknown' : answer.ok ? 'ok' : 'fail';
    operation.answer = answer;
  }

  /** Notes what was done to the system; returns when, on the clock of the operations. */
  note(note: string): number {
    const atMs = this.nowMs();
    this.notes.push({ note, atMs });
    return atMs;
  }

  /** Milliseconds since the recorder began. */
  nowMs(): number {
    return Math.round((performance.now() - this.#startMs) * 1_000) / 1_000;
  }

  /** One line of JSON per operation, then one per note. */
  async write(path: string): Promise<void> {
    const lines = [...this.operations, ...this.notes];
    await writeFile(path, lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
  }
}
