import { readFile } from 'node:fs/promises';
import type { RigProcess } from '../../rig/process.ts';
import { pause } from '../member.ts';

const LOOK_MS = 500;
/** Of the kernel's clock, in which /proc counts; 100 on every Linux that people run. */
const TICK_MS = 10;

type Watched = { readonly tier: string; readonly process: RigProcess };

/** What each tier costs, also of processes that are killed all the time. Linux only; else nothing. */
export class CpuWatch {
  readonly #watched: readonly Watched[];
  readonly #last = new Map<number, number>();
  readonly #byTier = new Map<string, number>();
  readonly #loop: Promise<void>;
  #isOver = false;

  constructor(watched: readonly Watched[]) {
    this.#watched = watched;
    this.#loop = this.#watch();
  }

  /** CPU milliseconds so far, by tier. */
  get byTier(): ReadonlyMap<string, number> {
    return this.#byTier;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await Promise.all(this.#watched.map((one) => this.#look(one)));
      await pause(LOOK_MS);
    }
  }

  async #look({ tier, process: { pid } }: Watched): Promise<void> {
    if (pid === null) return;
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // The name stands in brackets and may contain anything; user and system time are 12 words on.
    const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ms = (Number(words[11]) + Number(words[12])) * TICK_MS;
    if (!Number.isFinite(ms)) return;
    this.#byTier.set(tier, (this.#byTier.get(tier) ?? 0) + ms - (this.#last.get(pid) ?? 0));
    this.#last.set(pid, ms);
  }
}
