import type { Serving } from './cluster.ts';
import { LOOPBACK } from '../../rig/ports.ts';
import { pause } from '../member.ts';

const LOOK_MS = 1_000;
const ANSWER_WITHIN_MS = 900;
/** Whatever a reconciler says is wrong with the money; each has one healthy value, 0. */
const ALARM = /^(hongbao_audit_mismatch\w*|hongbao_money_mismatch_cents)(\{[^}]*\})? (\S+)$/gm;

/** What the running audit says all the while: without damage every word of it is a false alarm. */
export class Gauges {
  readonly #reconcilers: readonly Serving[];
  readonly #loop: Promise<void>;
  #isOver = false;
  /** Answers that were read. */
  looks = 0;
  /** Names of the gauges that were seen, so that nobody watches one that is not there. */
  readonly seen = new Set<string>();
  readonly alarms: string[] = [];

  constructor(reconcilers: readonly Serving[]) {
    this.#reconcilers = reconcilers;
    this.#loop = this.#watch();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await Promise.all(this.#reconcilers.map((one) => this.#look(one)));
      await pause(LOOK_MS);
    }
  }

  async #look({ port, process }: Serving): Promise<void> {
    const text = await fetch(`http://${LOOPBACK}:${port}/metrics`, {
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    }).then(
      (response) => response.text(),
      () => null,
    );
    if (text === null) return;
    this.looks += 1;
    for (const [, name = '', labels = '', value = ''] of text.matchAll(ALARM)) {
      this.seen.add(name);
      if (Number(value) !== 0) this.alarms.push(`${process.name}: ${name}${labels} is ${value}`);
    }
  }
}
