import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { Violation } from '../../reconciler/audit/violation.ts';

export function hold(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Violation(rule);
}

/** Everything that happened, one line each: two walks of one seed must have equal hashes. */
export class Trace {
  readonly lines: string[] = [];
  readonly #nowMs: () => number;
  /** The first broken rule: what runs inside the code under test cannot throw to the walk. */
  broken: Violation | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  note(line: string): void {
    this.lines.push(`${String(this.#nowMs()).padStart(7)} ${line}`);
  }

  /** Keeps the first violation for the walk, which stops at its next step. */
  guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      if (this.broken === null) this.note(`VIOLATION ${error.message}`);
      this.broken ??= error;
    }
  }

  hash(): string {
    return toHex(sha256(Buffer.from(this.lines.join('\n'))));
  }
}
