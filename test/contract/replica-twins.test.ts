import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Change, ReplicaStore, Scan } from '../../lib/port/replica-store.ts';
import { openMemoryWorld } from '../../ops/sim/conformance/memory-world.ts';
import { FENCE_A, makeChain, startVoter, commitTo } from './replica-world.ts';
import { codeOf } from './replica-world.ts';
import { openSqliteWorld } from '../../ops/sim/conformance/sqlite-world.ts';
import { makeFolder } from './folder.ts';

const PEOPLE = ['ann', 'ann ', 'Ann', '红包', '\u{1f9e7}', ''];

function randomChange(random: SeededRandom): Change {
  const seq = random.below(6);
  const group = BigInt(random.below(3)) + (1n << 62n);
  const who = PEOPLE[random.below(PEOPLE.length)] ?? '';
  const token = random.below(2) === 0 ? null : random.bytes(3);
  switch (random.below(4)) {
    case 0:
      return { kind: 'put', table: 'items', row: [group, seq, who, null, token, random.below(2)] };
    case 1:
      return { kind: 'set', table: 'items', key: [group, seq], values: { author: who, token } };
    case 2:
      return { kind: 'put', table: 'totals', row: [who, random.below(9) - 4, 0, null] };
    default:
      return { kind: 'add', table: 'totals', key: [who], deltas: { amount: random.below(9) - 4 } };
  }
}

function randomScan(random: SeededRandom): Scan {
  const base = { limit: 1 + random.below(8), reverse: random.below(2) === 0 };
  const group = BigInt(random.below(3)) + (1n << 62n);
  const who = PEOPLE[random.below(PEOPLE.length)] ?? '';
  switch (random.below(5)) {
    case 0:
      return { table: 'items', prefix: [group], from: random.below(6), ...base };
    case 1:
      return { table: 'items', index: 'by_author', prefix: [who], to: group, ...base };
    case 2:
      return { table: 'items', index: 'by_token', prefix: [], from: random.bytes(1), ...base };
    case 3:
      return { table: 'totals', prefix: [], from: who, ...base };
    default:
      return { table: 'items', index: 'by_author', prefix: [], to: who, ...base };
  }
}

test('[RS13f] memory and SQLite show the same rows for any changes and scans', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = new SeededRandom(seed);
      const worlds = [openMemoryWorld(), await openSqliteWorld(makeFolder())];
      const lists = Array.from({ length: 30 }, () =>
        Array.from({ length: random.below(6) }, () => randomChange(random)),
      );
      const entries = makeChain({ prev: null, count: 30, changes: (at) => lists[at - 1] ?? [] });
      const scans = Array.from({ length: 40 }, () => randomScan(random));
      const [twin, real] = await Promise.all(
        worlds.map(({ store }) => show({ store, entries, scans })),
      );
      await Promise.all(worlds.map((world) => world.dispose()));
      expect(real).toEqual(twin);
    }),
    { numRuns: 15 },
  );
});

/** What a replica answers after some of the entries and after all of them. */
async function show(args: {
  store: ReplicaStore;
  entries: ReturnType<typeof makeChain>;
  scans: readonly Scan[];
}): Promise<unknown[]> {
  const { store, entries, scans } = args;
  await startVoter(store);
  await store.append({ fence: FENCE_A, entries });
  await commitTo(store, entries.length);
  const seen: unknown[] = [];
  for (const to of [11, entries.length]) {
    // Random tokens may collide in the unique index: both must refuse alike.
    seen.push(await store.project(lsn(to)).catch(codeOf));
    for (const scan of scans) seen.push(await store.scan(scan));
  }
  return seen;
}
