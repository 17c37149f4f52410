/** One thing that is not as it must be: enough for a person to look at it. */
type Finding = {
  /** One or two words, for statistics. */
  readonly kind: string;
  /** `Set 1` or `Set 1, replica 2 (…)`. */
  readonly where: string;
  /** `LSN 17`, or table and key. */
  readonly place: string;
  /** Number of a rule of docs/SPEC.md. */
  readonly rule: string;
  readonly expected: string;
  readonly found: string;
};

const KEPT_MAX = 100;

/** All findings are counted, the first ones are kept. */
export class FindingList {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<string, number>();
  /** What is no damage, and yet has to be known: a replica that lags, a part that was not looked at. */
  readonly notes: string[] = [];
  #total = 0;

  add(finding: Finding): void {
    this.#total += 1;
    this.#counts.set(finding.kind, (this.#counts.get(finding.kind) ?? 0) + 1);
    if (this.#kept.length < KEPT_MAX) this.#kept.push(finding);
  }

  get total(): number {
    return this.#total;
  }

  get kept(): readonly Finding[] {
    return this.#kept;
  }

  /** How many of each kind. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }
}

/** One line in plain words. */
export function findingText({ kind, where, place, rule, expected, found }: Finding): string {
  return `${kind}: ${where}, ${place} (${rule}): expected ${expected}; found ${found}`;
}
