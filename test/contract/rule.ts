import { describe, test } from 'vitest';

/** One numbered rule of docs/spec/ports.md as a check: it throws where the rule is broken. */
export type Rule<World> = {
  readonly id: string;
  readonly says: string;
  readonly check: (world: World) => Promise<void>;
};

type Disposable = { dispose(): Promise<void> };

/** Runs each rule in a world of its own, so that none leans on another. */
export function runRules<World extends Disposable>(
  name: string,
  rules: readonly Rule<World>[],
  make: () => Promise<World>,
): void {
  // oxlint-disable-next-line vitest/valid-title -- the adapter's name, from the caller
  describe(name, () => {
    for (const rule of rules) {
      // oxlint-disable-next-line vitest/expect-expect -- the rule's check asserts
      test(`[${rule.id}] ${rule.says}`, async () => {
        await checkRule(rule, make);
      });
    }
  });
}

export async function checkRule<World extends Disposable>(
  rule: Rule<World>,
  make: () => Promise<World>,
): Promise<void> {
  const world = await make();
  try {
    await rule.check(world);
  } finally {
    await world.dispose();
  }
}
