import { AMNESIA_MUTANTS } from './amnesia-mutants.ts';
import { LOG_MUTANTS } from './log-mutants.ts';
import { MONEY_MUTANTS } from './money-mutants.ts';
import type { Mutant } from './mutant.ts';
import { PAYMENT_MUTANTS } from './payment-mutants.ts';
import { SEEDS } from './seeds.ts';

/** Every known mistake: each must be seen (`./hongbao sim --mutants`). */
export const MUTANTS: readonly Mutant[] = [
  ...LOG_MUTANTS,
  ...AMNESIA_MUTANTS,
  ...MONEY_MUTANTS,
  ...PAYMENT_MUTANTS,
].map((mutant) => ({ ...mutant, seed: SEEDS[mutant.name] ?? mutant.seed }));
