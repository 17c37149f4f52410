import type { SimTotals } from './simulate.ts';

const HOUR_MS = 3_600_000;

export const NO_TOTALS: SimTotals = {
  commands: 0,
  faults: 0,
  takeovers: 0,
  refunds: 0,
  simulatedMs: 0,
};

export function plus(one: SimTotals, other: SimTotals): SimTotals {
  return {
    commands: one.commands + other.commands,
    faults: one.faults + other.faults,
    takeovers: one.takeovers + other.takeovers,
    refunds: one.refunds + other.refunds,
    simulatedMs: one.simulatedMs + other.simulatedMs,
  };
}

/** Simulated hours, to a tenth. */
export function hoursOf({ simulatedMs }: SimTotals): number {
  return Math.round((simulatedMs / HOUR_MS) * 10) / 10;
}

/** `2,010 commands, 31 faults, …`: for people. */
export function describeTotals(totals: SimTotals): string {
  const { commands, faults, takeovers, refunds } = totals;
  const counted = (count: number, what: string): string =>
    `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
  return [
    counted(commands, 'command'),
    counted(faults, 'fault'),
    counted(takeovers, 'takeover'),
    counted(refunds, 'refund'),
    `${hoursOf(totals).toLocaleString('en')} simulated hours`,
  ].join(', ');
}
