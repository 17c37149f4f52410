import type { Key } from '../../lib/core/command.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import type { Lsn, TimeMs } from '../../lib/core/units.ts';

/** The recorded answer to a command id, for ever (M9); older ones are looked up in the projection. */
export type Answer = {
  readonly key: Key;
  /** Hex of command.ts fingerprintOf. */
  readonly fingerprint: string;
  readonly outcome: Outcome;
  readonly ts: TimeMs;
  readonly lsn: Lsn;
};

/** Answers younger than `answerKeptMs` of log time, in order of journaling (rulings 9). */
export class Answers {
  readonly #byKey = new Map<string, Answer>();

  get size(): number {
    return this.#byKey.size;
  }

  get(key: Key): Answer | undefined {
    return this.#byKey.get(keyText(key));
  }

  add(answer: Answer): void {
    this.#byKey.set(keyText(answer.key), answer);
  }

  /** Forgets what is old enough and stands in a projection that may be asked instead. */
  evict(args: { ts: TimeMs; projectedLsn: Lsn }): void {
    for (const [text, answer] of this.#byKey) {
      if (answer.ts + LIMITS.answerKeptMs >= args.ts || answer.lsn > args.projectedLsn) return;
      this.#byKey.delete(text);
    }
  }

  values(): IterableIterator<Answer> {
    return this.#byKey.values();
  }
}

/** Command ids have a fixed length, so that the pair is unambiguous whatever the user is called. */
function keyText(key: Key): string {
  return key.commandId + key.user;
}
