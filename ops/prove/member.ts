import { makeCommandId } from '../../lib/core/ids.ts';
import type { Random } from '../../lib/port/random.ts';
import type { Recorder } from '../rig/history.ts';
import type { EmbeddedProcess } from './embedded.ts';
import type { Answer } from './line.ts';
import { Line } from './line.ts';

/** Of one question: far more than an embedded server that works ever needs. */
const TRIES_MAX = 60;
const WAIT_MS_MIN = 20;

/** Why an op was asked: to prepare, under fire, again because nobody answered, or to compare. */
type Phase = 'prepare' | 'fire' | 'retry' | 'again' | 'check';

/** What the history keeps of an operation besides. */
export type Tags = { readonly round: number; readonly phase: Phase };

type Asked = Tags & {
  readonly op: string;
  readonly input: unknown;
};

/** A signed-in person whose every question is recorded. */
export class Member {
  readonly userId: string;
  readonly #recorder: Recorder<Tags>;
  readonly #random: Random;
  #line: Line | null = null;

  constructor(args: { userId: string; recorder: Recorder<Tags>; random: Random }) {
    this.userId = args.userId;
    this.#recorder = args.recorder;
    this.#random = args.random;
  }

  async connect({ url, socketUrl }: EmbeddedProcess): Promise<void> {
    this.#line = await Line.open({ url, socketUrl, userId: this.userId });
  }

  close(): void {
    this.#line?.close();
    this.#line = null;
  }

  /** A key for a command that may be repeated. */
  newId(): string {
    return makeCommandId(Date.now(), this.#random.bytes(10));
  }

  /** Asks once. null: the line was lost and nobody knows. */
  async ask({ round, phase, op, input }: Asked): Promise<Answer | null> {
    const { userId: user } = this;
    const operation = this.#recorder.invoke({ round, phase, user, op, input });
    const answer = (await this.#line?.ask(op, input)) ?? null;
    this.#recorder.end(operation, answer);
    return answer;
  }

  /** Asks until the answer is final; a lost line or too many refusals throw. */
  async askUntilFinal(asked: Asked): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.ask(asked);
      if (answer === null) throw new Error(`${asked.op} of ${this.userId}: the line was lost`);
      if (answer.ok || !answer.retryable) return answer;
      if (attempt === TRIES_MAX) throw new Error(`${asked.op}: ${answer.code} for ever`);
      await pause(Math.max(WAIT_MS_MIN, answer.retryAfterMs) + this.#random.below(WAIT_MS_MIN));
    }
  }

  /** The data of a final answer that has to be yes. */
  async need(asked: Asked): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.askUntilFinal(asked);
    if (!answer.ok) throw new Error(`${asked.op} of ${this.userId}: ${answer.code}`);
    return answer.d;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
