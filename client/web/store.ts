import { useEffect, useReducer } from 'preact/hooks';

/** Something that views look at and that says when it has changed; many changes, one redraw. */
export class Store {
  readonly #listeners = new Set<() => void>();
  #isDue = false;

  subscribe(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  changed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      for (const run of [...this.#listeners]) run();
    });
  }
}

/** Draws the component again whenever the store changes. */
export function useStore(store: Store): void {
  const [, redraw] = useReducer((count: number, _: void) => count + 1, 0);
  useEffect(() => store.subscribe(() => redraw()), [store]);
}
