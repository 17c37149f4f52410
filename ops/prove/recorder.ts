import { writeFile } from 'node:fs/promises';
import { assert } from '../../lib/core/assert.ts';
import type { Answer } from './line.ts';

/** Why an op was asked: to prepare, under fire, again because nobody answered, or to compare. */
export type Phase = 'prepare' | 'fire' | 'retry' | 'again' | 'check';

/** One client operation from its invocation to its end. */
export type Operation = {
  readonly number: number;
  readonly round: number;
  readonly phase: Phase;
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

/** Every operation that a client began and how it ended for that client: the history that is judged. */
export class Recorder {
  readonly operations: Operation[] = [];
  readonly #startMs = performance.now();

  invoke(args: Omit<Operation, 'number' | 'invokedMs' | 'endedMs' | 'end' | 'answer'>): Operation {
    const operation: Operation = {
      ...args,
      number: this.operations.length,
      invokedMs: this.#now(),
      endedMs: null,
      end: null,
      answer: null,
    };
    this.operations.push(operation);
    return operation;
  }

  /** null: the line was lost. */
  end(operation: Operation, answer: Answer | null): void {
    assert(operation.end === null, 'an operation ends once');
    operation.endedMs = this.#now();
    operation.end = answer === null ? 'unknown' : answer.ok ? 'ok' : 'fail';
    operation.answer = answer;
  }

  #now(): number {
    return Math.round((performance.now() - this.#startMs) * 1_000) / 1_000;
  }

  /** One line of JSON per operation. */
  async write(path: string): Promise<void> {
    await writeFile(path, this.operations.map((one) => `${JSON.stringify(one)}\n`).join(''));
  }
}
