/**
 * Short texts that are read again and again (the names of people), found by their bytes: the same
 * string comes back, already checked, without a new one. A slot keeps the newest of those that fall
 * into it, so the table is bounded; what it holds is only speed.
 */
export class TextTable<T extends string> {
  readonly #slots: number;
  readonly #check: (text: string) => T | null;
  /** ASCII only: there a text has as many units as bytes, with the same values. */
  #texts: (T | undefined)[] = [];

  /** `slots` is a power of two; `check` is a pure function that says what a text may be. */
  constructor(slots: number, check: (text: string) => T | null) {
    this.#slots = slots;
    this.#check = check;
  }

  /** The text of these bytes when it is here. */
  find(bytes: Uint8Array, at: number, size: number): T | undefined {
    const known = this.#texts[this.#slotOf(bytes, at, size)];
    if (known === undefined || known.length !== size) return undefined;
    for (let index = 0; index < size; index++) {
      if (known.charCodeAt(index) !== bytes[at + index]) return undefined;
    }
    return known;
  }

  /** Checks the text of these bytes, and keeps it when it may be. null: it may not. */
  add(args: { text: string; bytes: Uint8Array; at: number; size: number }): T | null {
    const { text, bytes, at, size } = args;
    const checked = this.#check(text);
    if (checked === null || checked.length !== size) return checked;
    if (this.#texts.length === 0) this.#texts = Array.from({ length: this.#slots });
    this.#texts[this.#slotOf(bytes, at, size)] = checked;
    return checked;
  }

  #slotOf(bytes: Uint8Array, at: number, size: number): number {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let index = at; index < at + size; index++) {
      hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
    }
    return (hash ^ (hash >>> 15)) & (this.#slots - 1);
  }
}
