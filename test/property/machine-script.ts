/** A day in the life of one or two Sets, as data that fast-check can shrink. */
import fc from 'fast-check';

const pick = fc.nat({ max: 63 });

/** Numbers point at whatever is there when the step runs, modulo how many there are. */
const STEPS = {
  // A payment falls due after a quarter of an hour; it is 8 in the morning in China.
  time: fc.oneof(
    { weight: 12, arbitrary: fc.nat({ max: 500 }) },
    { weight: 12, arbitrary: fc.constantFrom(1_000, 30_000, 61_000) },
    { weight: 2, arbitrary: fc.constantFrom(900_000, 57_600_000) },
  ),
  welcome: fc.tuple(pick, fc.nat({ max: 600 })),
  createGroup: fc.tuple(pick, pick),
  join: fc.tuple(pick, pick, fc.constantFrom('good', 'good', 'good', 'forged', 'late')),
  leave: fc.tuple(pick, pick, fc.constantFrom('with_id', 'with_id', 'plain')),
  send: fc.record({
    who: pick,
    group: pick,
    set: pick,
    cents: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(12_000)),
    count: fc.integer({ min: 1, max: 5 }),
    kind: fc.constantFrom('lucky', 'lucky', 'equal', 'exclusive'),
    strategy: fc.constantFrom('double_mean', 'classic', 'uniform'),
    timing: fc.constantFrom('at_open', 'pre_split'),
    lifetimeMs: fc.constantFrom(1_000, 20_000, 86_400_000),
    grant: fc.constantFrom('good', 'good', 'good', 'good', 'none', 'forged', 'stale', 'no_right'),
    id: fc.constantFrom('leased', 'leased', 'leased', 'leased', 'not_leased'),
    soon: fc.constantFrom(true, true, false),
    paid: fc.constantFrom('wallet', 'wallet', 'outside'),
  }),
  again: fc.tuple(pick, fc.constantFrom('same', 'same', 'changed', 'new_id')),
  open: fc.record({
    who: pick,
    packet: pick,
    grant: fc.constantFrom('good', 'good', 'good', 'good', 'none', 'forged', 'stale', 'other'),
  }),
  expire: pick,
  message: fc.tuple(pick, pick, pick),
  read: fc.tuple(pick, pick, pick),
  carry: fc.record({ lane: pick, skip: fc.nat({ max: 3 }), count: fc.integer({ min: 1, max: 4 }) }),
  ack: fc.record({ lane: pick, less: fc.nat({ max: 2 }), tooFar: fc.nat({ max: 15 }) }),
  flush: fc.nat(),
  cut: fc.constant(0),
  restart: pick,
  upgrade: pick,
  payment: fc.tuple(pick, fc.constantFrom('topup', 'withdraw'), fc.integer({ min: 1, max: 400 })),
  settle: fc.record({
    payment: pick,
    result: fc.constantFrom('paid', 'paid', 'denied'),
    amount: fc.constantFrom('right', 'right', 'right', 'right', 'right', 'wrong'),
  }),
  expirePayment: pick,
  freeze: fc.tuple(pick, fc.constantFrom(true, false, false)),
  adjust: fc.tuple(pick, fc.integer({ min: -300, max: 300 })),
} as const;

type Values = { [Name in keyof typeof STEPS]: ValueOf<(typeof STEPS)[Name]> };
type ValueOf<A> = A extends fc.Arbitrary<infer Value> ? Value : never;
export type Step = {
  [Name in keyof Values]: { readonly do: Name; readonly with: Values[Name] };
}[keyof Values];

const WEIGHTS: Record<keyof typeof STEPS, number> = {
  time: 3,
  welcome: 2,
  createGroup: 1,
  join: 4,
  leave: 2,
  send: 8,
  again: 4,
  open: 30,
  expire: 4,
  message: 3,
  read: 2,
  carry: 8,
  ack: 4,
  flush: 5,
  cut: 3,
  restart: 1,
  upgrade: 3,
  payment: 8,
  settle: 8,
  expirePayment: 3,
  freeze: 2,
  adjust: 1,
};

const step: fc.Arbitrary<Step> = fc.oneof(
  ...(Object.keys(STEPS) as (keyof typeof STEPS)[]).map((name) => ({
    weight: WEIGHTS[name],
    arbitrary: (STEPS[name] as fc.Arbitrary<unknown>).map(
      (value) => ({ do: name, with: value }) as Step,
    ),
  })),
);

export type Script = {
  readonly sets: 1 | 2;
  readonly seed: number;
  readonly steps: readonly Step[];
};

export function script(args: { sets: 1 | 2; steps: number }): fc.Arbitrary<Script> {
  return fc.record({
    sets: fc.constant(args.sets),
    seed: fc.integer(),
    // `size: max` because fast-check's own taste is for short lists, where little happens.
    steps: fc.array(step, { maxLength: args.steps, size: 'max' }),
  });
}
