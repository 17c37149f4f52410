import { useEffect, useState } from 'preact/hooks';

/** Something that views look at and that says when it has changed; many changes, one redraw. */
export class Store {
  readonly #listeners = new Set<() => void>();
  #isDue = false;
  /** Grows with every change. */
  #version = 0;

  get version(): number {
    return this.#version;
  }

  subscribe(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  changed(): void {
    this.#version += 1;
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
  const [, setVersion] = useState(store.version);
  useEffect(() => {
    const look = (): void => setVersion(store.version);
    // It may have changed between the drawing and now.
    look();
    return store.subscribe(look);
  }, [store]);
}
