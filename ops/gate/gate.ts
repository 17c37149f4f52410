/**
 * The gate: every check of this repository, the same on a laptop and in CI. Light parts share the
 * cores, heavy ones run one after another; each prints its seconds, and what failed is shown.
 */
import type { Finished, Part, PartContext } from './part.ts';
import { Processes } from './processes.ts';
import { promtoolPart } from './promtool-part.ts';
import { simPart } from './sim-part.ts';
import { smokePart } from './smoke-part.ts';
import { STATIC_PARTS } from './static-parts.ts';
import { QUICK_VITEST_PARTS, SLOW_VITEST_PARTS } from './vitest-parts.ts';

export const PARTS: readonly Part[] = [
  ...STATIC_PARTS,
  smokePart,
  promtoolPart,
  ...QUICK_VITEST_PARTS,
  simPart,
  ...SLOW_VITEST_PARTS,
];

/** The longest a gate may take: over it something hangs, and an answer is worth more than hope. */
const GATE_TIMEOUT_MS = 12 * 60_000;
/** Most light parts wait for a disk or a process start part of the time. */
const LIGHT_AT_ONCE = 2;
/** How often a person hears what is still running. */
const PROGRESS_MS = 30_000;

export interface GateOptions {
  /** The repository's folder, absolute. */
  readonly root: string;
  readonly parts: readonly Part[];
  readonly timeoutMs?: number;
  /** Takes a piece of text for standard output. */
  readonly print: (text: string) => void;
  /** Takes a line for people who wait. */
  readonly progress: (line: string) => void;
}

export interface GateResult {
  readonly ok: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  readonly parts: readonly Finished[];
}

/** Runs the parts and prints the outcome of each; the summary line is the caller's to print last. */
export async function runGate(options: GateOptions): Promise<GateResult> {
  const { root, parts, print, progress, timeoutMs = GATE_TIMEOUT_MS } = options;
  const begun = performance.now();
  const processes = new Processes();
  const context: PartContext = { root, processes };
  const running = new Set<string>();
  const finished: Finished[] = [];
  let timedOut = false;

  const watchdog = setTimeout(() => {
    timedOut = true;
    const names = [...running].join(', ');
    print(`The gate is stopped after ${timeoutMs / 1000} s while running: ${names}.\n`);
    processes.stop();
  }, timeoutMs);
  const ticker = setInterval(() => {
    progress(`… ${Math.round(secondsSince(begun))} s, running: ${[...running].join(', ')}`);
  }, PROGRESS_MS);
  const interrupt = (): void => {
    processes.stop();
    process.exit(130);
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);

  const runOne = async (part: Part): Promise<void> => {
    if (timedOut) {
      finished.push(notRun(part));
      return;
    }
    running.add(part.name);
    const one = await timed(part, context);
    running.delete(part.name);
    finished.push(one);
    print(describe(one));
  };
  try {
    const light = parts.filter(({ weight }) => weight === 'light');
    const lanes = Array.from({ length: LIGHT_AT_ONCE }, async () => {
      for (let part = light.shift(); part !== undefined; part = light.shift()) await runOne(part);
    });
    await Promise.all(lanes);
    for (const part of parts.filter(({ weight }) => weight === 'heavy')) await runOne(part);
  } finally {
    clearTimeout(watchdog);
    clearInterval(ticker);
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    processes.stop();
  }
  const sum = (field: 'passed' | 'failed' | 'skipped'): number =>
    finished.reduce((total, one) => total + one[field], 0);
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')];
  const ok = failed === 0 && passed > 0 && !timedOut;
  return { ok, passed, failed, skipped, seconds: secondsSince(begun), parts: finished };
}

/** The line that ends every run of the gate, alone on its line. */
export function summaryLine({ passed, failed, skipped }: GateResult): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

async function timed(part: Part, context: PartContext): Promise<Finished> {
  const begun = performance.now();
  try {
    const findings = await part.run(context);
    return { name: part.name, seconds: secondsSince(begun), ...findings };
  } catch (error) {
    // A part that breaks has not shown that its check holds.
    const output = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const seconds = secondsSince(begun);
    return { name: part.name, seconds, passed: 0, failed: 1, skipped: 0, output };
  }
}

function notRun(part: Part): Finished {
  return { name: part.name, seconds: 0, passed: 0, failed: 0, skipped: 1, output: 'not run' };
}

function describe({ name, seconds, passed, failed, skipped, output, note }: Finished): string {
  const verdict = failed > 0 ? 'FAIL' : passed > 0 ? 'pass' : 'none';
  const counts = [
    `${passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(note === undefined ? [] : [note]),
  ].join(', ');
  const line = `${verdict}  ${name.padEnd(12)}${seconds.toFixed(1).padStart(6)} s  ${counts}\n`;
  return failed > 0 ? `\n${output.trimEnd()}\n${line}\n` : line;
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
