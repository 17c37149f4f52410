/** One timer of a virtual clock. */
export type Waiting = {
  readonly dueMs: number;
  /** In which order timers were set: equal times run so. */
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
};

/** Timers by due time. What was cancelled leaves when it comes to the top. */
export class TimerHeap {
  readonly #heap: Waiting[] = [];

  add(timer: Waiting): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isSooner(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  /** The next one to run, or undefined. */
  peek(): Waiting | undefined {
    for (;;) {
      const [top] = this.#heap;
      if (top === undefined || !top.cancelled) return top;
      this.#drop();
    }
  }

  /** Takes the next one out. */
  take(): Waiting | undefined {
    const top = this.peek();
    if (top !== undefined) this.#drop();
    return top;
  }

  #drop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = heap[left + 1];
      let child = heap[left];
      if (child === undefined) break;
      let next = left;
      if (right !== undefined && isSooner(right, child)) [child, next] = [right, left + 1];
      if (!isSooner(child, last)) break;
      heap[at] = child;
      at = next;
    }
    heap[at] = last;
  }
}

function isSooner(a: Waiting, b: Waiting): boolean {
  return a.dueMs === b.dueMs ? a.order < b.order : a.dueMs < b.dueMs;
}
