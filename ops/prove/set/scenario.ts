import type { Figure } from '../../cli.ts';
import { figure } from '../../cli.ts';
import { median, rounded } from '../../bench/statistics.ts';
import { pause } from '../member.ts';
import type { Stretch } from './watch.ts';
import type { SetWorld } from './world.ts';

/** How long stretches of normal and of disturbed time are; the gate's short form cuts them. */
export type Pace = {
  readonly stretchMs: number;
  readonly times: number;
  /** What is waited for at most until the Set serves again; then it is a finding. */
  readonly withinMs: number;
};

/** One fault, from a healthy Set to the figures that it is held to. */
export type Scenario = {
  readonly name: string;
  readonly summary: string;
  /** Each node reaches each replica through a proxy of its own. */
  readonly isProxied?: boolean;
  readonly hasSmallDisk?: boolean;
  /** The last node is an old build at first. */
  readonly hasOldNode?: boolean;
  /**
   * Hurts the Set and leaves it as it is: healing, the answers that are still open and the verdict
   * follow. What does not hold goes to the world's findings.
   * @returns the figures, read when every open is answered
   */
  run(world: SetWorld, pace: Pace): Promise<() => Figure[]>;
};

/** Rulings 25. */
export const TAKEOVER_WORST_S = 3;
/** A replica or a node that is not back by then is a finding. */
export const WITHIN_MS = 30_000;

/** null, what never came, meets no goal. */
export function seconds(name: string, ms: number | null, atMost?: number): Figure {
  const value = ms === null ? WITHIN_MS / 1_000 : rounded(ms / 1_000, 3);
  return figure({ name, value, unit: 's', ...(atMost === undefined ? {} : { goal: { atMost } }) });
}

/** null: it did not come in time, which is a finding. */
export function since(
  world: SetWorld,
  of: { what: string; fromMs: number; at: number | null },
): number | null {
  const { what, fromMs, at } = of;
  if (at === null) world.findings.break(`${what}: not in time`);
  return at === null ? null : at - fromMs;
}

export type Span = { readonly fromMs: number; readonly toMs: number };

/** Nothing is done for this long; the span of it. */
export async function stretchOf(world: SetWorld, ms: number): Promise<Span> {
  const fromMs = world.watch.now();
  await pause(ms);
  return { fromMs, toMs: world.watch.now() };
}

/** Normal and disturbed stretches by turns: median p99 of both, and every failed command. */
export function comparison(
  world: SetWorld,
  spans: { normal: readonly Span[]; hurt: readonly Span[] },
): Figure[] {
  const read = (span: Span): Stretch => world.watch.stretch(span.fromMs, span.toMs);
  const [normal, hurt] = [spans.normal.map(read), spans.hurt.map(read)];
  const p99 = (all: readonly Stretch[]): number => median(all.map(({ p99Ms }) => p99Ms));
  const ratio = p99(hurt) / p99(normal);
  const failed = hurt.reduce((sum, one) => sum + one.failed, 0);
  const asked = hurt.reduce((sum, one) => sum + one.asked, 0);
  return [
    figure({ name: 'failed commands', value: failed, unit: 'commands', goal: { atMost: 0 } }),
    figure({ name: 'asked meanwhile', value: asked, unit: 'commands' }),
    figure({ name: 'normal p99', value: rounded(p99(normal), 2), unit: 'ms' }),
    figure({ name: 'disturbed p99', value: rounded(p99(hurt), 2), unit: 'ms' }),
    figure({
      name: 'p99 against normal',
      value: rounded(ratio, 2),
      unit: 'x',
      goal: { atMost: 2 },
    }),
    figure({
      name: 'worst answer meanwhile',
      value: Math.max(...hurt.map(({ worstMs }) => worstMs)),
      unit: 'ms',
    }),
  ];
}

/** Normal time and a fault by turns; `hurt` brings it on, `mend` takes it away again. */
export async function byTurns(
  world: SetWorld,
  args: { pace: Pace; hurt: () => Promise<void>; mend: () => Promise<void> },
): Promise<() => Figure[]> {
  const { pace, hurt, mend } = args;
  const spans: { normal: Span[]; hurt: Span[] } = { normal: [], hurt: [] };
  for (let turn = 0; turn < pace.times; turn++) {
    spans.normal.push(await stretchOf(world, pace.stretchMs));
    const fromMs = world.watch.now();
    await hurt();
    await pause(pace.stretchMs);
    spans.hurt.push({ fromMs, toMs: world.watch.now() });
    await mend();
  }
  return () => comparison(world, spans);
}
