import { RULES_MAX } from '../../lib/core/rules.ts';
import type { Driver } from './driver.ts';

/** What an operator wants, and which nodes he has asked whether they can read it. */
export type RaiseAsk = { readonly rules: number; readonly askedSlots: readonly number[] };

/** `rules`: what the Set is at as far as this node knows. `reason`: why not, or empty. */
export type RaiseReply = {
  readonly raised: boolean;
  readonly rules: number;
  readonly reason: string;
};

/**
 * Raises the rules of a Set that this node leads (rulings 8, SPEC L23): a CONFIG entry, and from
 * the next one on entries of the new format. Resolves when the CONFIG is committed. A refusal is
 * final, but for `unknown`: look at the status, and ask again.
 */
export async function raiseRules(
  args: RaiseAsk & {
    /** null: this node does not lead. */
    readonly driver: Driver | null;
    /** How many nodes the Set has; every one must have been asked. */
    readonly nodes: number;
    readonly rulesMax?: number | undefined;
  },
): Promise<RaiseReply> {
  const { driver, rules, askedSlots, nodes, rulesMax = RULES_MAX } = args;
  if (driver === null) return { raised: false, rules: 0, reason: 'this node does not lead' };
  const { state } = driver;
  const no = (reason: string): RaiseReply => ({ raised: false, rules: state.rules, reason });
  if (state.config === null) return no('the Set has no configuration yet');
  if (rules > rulesMax) return no(`this node reads up to rules ${rulesMax}`);
  if (rules < state.rules) return no(`rules are never lowered: the Set is at ${state.rules}`);
  for (let slot = 0; slot < nodes; slot++) {
    if (!askedSlots.includes(slot)) return no(`node ${slot} was not asked what it reads`);
  }
  const committed = rules === state.rules ? await driver.settled() : await driver.raiseRules(rules);
  if (!committed) return no('unknown: this leader was replaced meanwhile');
  return { raised: true, rules, reason: '' };
}
