import { writeFileSync } from 'node:fs';
import type { Hunt } from './hunt.ts';

const SEEDS_FILE = new URL('./seeds.ts', import.meta.url);

/** The text of the data file: a TypeScript record, its names in order. */
export function seedsText(seeds: Readonly<Record<string, number>>): string {
  const rows = Object.entries(seeds)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, seed]) => `  ${/^[a-z]+$/.test(name) ? name : `'${name}'`}: ${seed},\n`);
  const record = rows.length === 0 ? '{}' : `{\n${rows.join('')}}`;
  return [
    '/** The seed that sees each planted mistake first. Written by `./hongbao sim --record`. */',
    `export const SEEDS: Readonly<Record<string, number>> = ${record};`,
    '',
  ].join('\n');
}

/**
 * The recorded seeds with those of new hunts: what was not caught keeps its old seed, and a name
 * that is no mutant any more goes.
 */
export function mergedSeeds(options: {
  readonly recorded: Readonly<Record<string, number>>;
  readonly hunts: readonly Hunt[];
  readonly names: readonly string[];
}): Readonly<Record<string, number>> {
  const { recorded, hunts, names } = options;
  const seeds = new Map(Object.entries(recorded).filter(([name]) => names.includes(name)));
  for (const { mutant, seed } of hunts) if (seed !== null) seeds.set(mutant.name, seed);
  return Object.fromEntries(seeds);
}

/** Rewrites `seeds.ts`. */
export function writeSeeds(seeds: Readonly<Record<string, number>>): void {
  writeFileSync(SEEDS_FILE, seedsText(seeds));
}
