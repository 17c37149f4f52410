import { CHOOSE_MUTANTS } from './choose-mutants.ts';
import { FENCE_MUTANTS } from './fence-mutants.ts';
import type { Mutant } from './mutant.ts';
import { READMIT_MUTANTS } from './readmit-mutants.ts';

/** The obvious simpler rules of replication.md: each loses acknowledged money. */
export const LOG_MUTANTS: readonly Mutant[] = [
  ...CHOOSE_MUTANTS,
  ...FENCE_MUTANTS,
  ...READMIT_MUTANTS,
];
