const LINES_MAX = 40;

/** What did not hold, counted by kind and said in words. */
export class Findings {
  /** Acknowledged, and gone or done a second time afterwards. */
  lost = 0;
  /** The same question was answered in two ways. */
  changed = 0;
  /** Sum of all differences between what money should be and what it is. */
  centsWrong = 0;
  /** Everything else that must hold and does not. */
  broken = 0;
  readonly lines: string[] = [];

  lose(text: string): void {
    this.lost += 1;
    this.#say(`lost: ${text}`);
  }

  change(text: string): void {
    this.changed += 1;
    this.#say(`changed: ${text}`);
  }

  /** Compares money; says nothing when it is right. */
  compareCents(what: string, args: { expected: number; actual: number }): void {
    const { expected, actual } = args;
    if (expected === actual) return;
    this.centsWrong += Number.isFinite(actual) ? Math.abs(expected - actual) : 1;
    this.#say(`cents: ${what} is ${actual}, not ${expected}`);
  }

  break(text: string): void {
    this.broken += 1;
    this.#say(`broken: ${text}`);
  }

  get none(): boolean {
    return this.lost + this.changed + this.centsWrong + this.broken === 0;
  }

  #say(line: string): void {
    if (this.lines.length < LINES_MAX) this.lines.push(line);
  }
}
