/** Ends a takeover that nobody waits for any more. */
export class Abort {
  #hooks: (() => void)[] = [];
  #done = false;

  get isDone(): boolean {
    return this.#done;
  }

  /** Runs `hook` when it is time, at once if it is already. */
  on(hook: () => void): void {
    if (this.#done) hook();
    else this.#hooks.push(hook);
  }

  now(): void {
    this.#done = true;
    const hooks = this.#hooks;
    this.#hooks = [];
    for (const hook of hooks) hook();
  }
}
