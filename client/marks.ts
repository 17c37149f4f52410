/** Session marks, opaque to applications: `set:epoch:lsn`, the newest of every Set (rulings 16). */
export class Marks {
  readonly #newest = new Map<
    string,
    { readonly mark: string; readonly order: readonly number[] }
  >();

  /** Keeps the mark unless a newer one of its Set is known. Ignores what is no mark. */
  note(mark: string): void {
    const match = /^(\d+):(\d+):(\d+)$/.exec(mark);
    if (match === null) return;
    const [, set = '', epoch = '', lsn = ''] = match;
    const order = [Number(epoch), Number(lsn)];
    const known = this.#newest.get(set);
    if (known === undefined || isNewer(order, known.order)) this.#newest.set(set, { mark, order });
  }

  /** Set number → its newest mark. */
  all(): ReadonlyMap<string, string> {
    return new Map([...this.#newest].map(([set, { mark }]) => [set, mark]));
  }
}

function isNewer(a: readonly number[], b: readonly number[]): boolean {
  const index = a.findIndex((part, at) => part !== b[at]);
  return index >= 0 && (a[index] ?? 0) > (b[index] ?? 0);
}
