import { openSqliteReplica } from '../../lib/adapter/sqlite-replica.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import { SET } from '../../ops/sim/conformance/replica-world.ts';
import { FENCE_A, makeEntry, startVoter, commitTo } from './replica-world.ts';

// Appends and projects as fast as it can and prints each acknowledged LSN, until it is killed.
const [path = ''] = process.argv.slice(2);
const schemaModule = new URL('../../ops/sim/conformance/schema.ts', import.meta.url);
const store = await openSqliteReplica({ path, setId: SET, schemaModule });
await startVoter(store);
let prev: Entry | null = null;
let projecting: Promise<unknown> = Promise.resolve();
for (let at = 1; at <= 100_000; at++) {
  const row = ['sum', 'sum', 'sum'].map((owner) => ({
    kind: 'add' as const,
    table: 'totals',
    key: [owner],
    deltas: { amount: at, times: 1 },
  }));
  prev = makeEntry({ prev, changes: row });
  const reply = await store.append({ fence: FENCE_A, entries: [prev] });
  if (reply.kind !== 'acked') throw new Error(reply.kind);
  process.stdout.write(`${at}\n`);
  if (at % 7 !== 0) continue;
  await projecting;
  await commitTo(store, at);
  projecting = store.project(lsn(at));
}
