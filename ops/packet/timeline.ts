/** The steps of all Sets as one story: what was caused stands behind its cause. */
import { textOfCents } from '../wallet.ts';
import type { Step } from './record.ts';

/**
 * Orders steps by log time, but never an arrival before what was sent, nor a receipt before the
 * arrival: clocks of Sets differ. Steps of one Set stay in the order of its journal.
 */
export function inOrder(steps: readonly Step[]): Step[] {
  const queues = [...Map.groupBy(steps, ({ setId }) => setId).values()];
  const rest = new Map(queues.map((queue) => [queue, 0]));
  const sent = new Set<string>();
  const arrived = new Set<string>();
  const ordered: Step[] = [];
  const all = new Set(steps.flatMap((step) => step.sent));
  const arrivals = new Set(
    steps.flatMap((step) =>
      step.kind === 'receipt' || step.because === null ? [] : [step.because],
    ),
  );
  const isReady = ({ kind, because }: Step): boolean => {
    if (because === null) return true;
    // A cause that stands in no journal that we have is not waited for.
    if (kind === 'receipt') return arrived.has(because) || !arrivals.has(because);
    return sent.has(because) || !all.has(because);
  };
  while (ordered.length < steps.length) {
    const heads = queues.flatMap((queue) => {
      const step = queue[rest.get(queue) ?? 0];
      return step === undefined ? [] : [{ queue, step }];
    });
    const ready = heads.filter(({ step }) => isReady(step));
    const from = ready.length > 0 ? ready : heads;
    const next = from.toSorted((a, b) => a.step.at - b.step.at || a.step.setId - b.step.setId)[0];
    if (next === undefined) break;
    const { queue, step } = next;
    rest.set(queue, (rest.get(queue) ?? 0) + 1);
    for (const name of step.sent) sent.add(name);
    if (step.kind !== 'receipt' && step.because !== null) arrived.add(step.because);
    ordered.push(step);
  }
  return ordered;
}

/** A step with what a reader wants beside it. */
export type Told = Step & {
  /** Cents in the packet after it; null where it changes nothing there. */
  readonly restCents: number | null;
  /** From the log time at which its transfer left to its own; null when it is no arrival. */
  readonly delayMs: number | null;
};

/** Adds the packet's rest and how long transfers were on their way. */
export function tell(steps: readonly Step[]): Told[] {
  const leftAt = new Map<string, number>();
  let restCents = 0;
  return steps.map((step) => {
    for (const name of step.sent) leftAt.set(name, step.at);
    const { change, because, at } = step;
    if (change?.kind === 'create') restCents = change.definition.totalCents;
    else if (change?.kind === 'open') restCents -= change.amountCents;
    else if (change?.kind === 'expire') restCents -= change.refundCents;
    const since = because === null ? undefined : leftAt.get(because);
    return {
      ...step,
      restCents: change === null ? null : restCents,
      delayMs: since === undefined ? null : at - since,
    };
  });
}

/** One line for a person; times are UTC log times of the Set that it happened in. */
export function lineOf(step: Told): string {
  const { at, setId, lsn, epoch, kind, who, status, amountCents, note, restCents, delayMs } = step;
  const parts = [
    new Date(at).toISOString().slice(0, 23),
    `Set ${setId}`,
    `LSN ${lsn}`,
    `epoch ${epoch}`,
    kind.padEnd(8),
    status,
  ];
  if (who !== '') parts.push(who);
  if (amountCents !== 0) parts.push(textOfCents(amountCents));
  if (note !== '') parts.push(note);
  if (restCents !== null) parts.push(`rest ${textOfCents(restCents)}`);
  if (delayMs !== null) parts.push(`${delayMs} ms on its way`);
  return parts.join('  ');
}
