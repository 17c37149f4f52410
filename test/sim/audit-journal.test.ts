/** [AU3] What a node shows of its journal is what it can prove to be committed, and no more. */
import { expect, test } from 'vitest';
import { decodeEntry } from '../../lib/core/journal-entry.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { lanesOf, readJournal } from '../../set-node/read/journal.ts';
import { horizonAfter } from './audit-source.ts';
import { live, reseal, scripts } from './check-journals.ts';

const WORLD = live(scripts(2, { seed: 7, days: 1, steps: 300 })[0]!);
const ENTRIES = WORLD.journal.filter(({ setId }) => setId === 1).slice(0, 10);

/** A replica with these rows, whose commit row says this. */
function storeOf(entries: readonly Entry[], commitRow: number): ReplicaStore {
  const store: Pick<ReplicaStore, 'read' | 'commitLsn'> = {
    commitLsn: () => Promise.resolve(lsn(commitRow)),
    read: ({ after, limitBytes }) => {
      const found: Entry[] = [];
      let bytes = 0;
      for (const entry of entries) {
        if (entry.lsn <= after || (found.length > 0 && bytes >= limitBytes)) continue;
        bytes += entry.payload.length;
        found.push(entry);
      }
      return Promise.resolve(found);
    },
  };
  return store as ReplicaStore;
}

async function lsnsOf(store: ReplicaStore, ask: { after: number; maxBytes?: number }) {
  const { after, maxBytes = 1_000_000 } = ask;
  const { answer, asOfLsn } = await readJournal(store, { afterLsn: String(after), maxBytes });
  const { entries = [], commitLsn = '' } = answer.journal ?? {};
  expect(asOfLsn).toBe(Number(commitLsn));
  return {
    lsns: entries.map((bytes) => decodeEntry(new Uint8Array(bytes as Buffer)).lsn),
    commitLsn: Number(commitLsn),
  };
}

/** All of them say that nothing is committed, but for one that says something. */
function saying(at: number, commitLsn: number): Entry[] {
  return ENTRIES.map((entry) =>
    reseal({ ...entry, commitLsn: lsn(entry.lsn === at ? commitLsn : 0) }),
  );
}

test('nothing above the commit row', async () => {
  const store = storeOf(saying(0, 0), 4);
  expect(await lsnsOf(store, { after: 0 })).toEqual({ lsns: [1, 2, 3, 4], commitLsn: 4 });
  expect(await lsnsOf(store, { after: 4 })).toEqual({ lsns: [], commitLsn: 4 });
});

test('the commit row is late: a later entry says what was committed', async () => {
  const store = storeOf(saying(7, 6), 2);
  expect(await lsnsOf(store, { after: 1 })).toEqual({ lsns: [2, 3, 4, 5, 6], commitLsn: 6 });
});

test('nothing is known to be committed: nothing is shown', async () => {
  expect(await lsnsOf(storeOf(saying(0, 0), 0), { after: 0 })).toEqual({ lsns: [], commitLsn: 0 });
});

test('a page is bounded, and has an entry at least', async () => {
  const store = storeOf(saying(0, 0), 10);
  const { lsns } = await lsnsOf(store, { after: 3, maxBytes: 1 });
  expect(lsns).toEqual([4]);
  const all = await lsnsOf(store, { after: 0, maxBytes: 4_000_000_000 });
  expect(all.lsns).toHaveLength(10);
});

test('[AU6] the lanes of memory are those that the journal gives', () => {
  let lanes = 0;
  for (const day of scripts(2, { seed: 9, days: 10, steps: 200 })) {
    const world = live(day);
    for (const { state } of world.cells) {
      const said = lanesOf(state).lanes;
      const { sent, received } = horizonAfter(
        world.journal.filter(({ setId }) => setId === state.setId),
      );
      const touched = (said?.sent ?? []).filter(({ next }) => Number(next) > 1);
      expect(new Set(touched.map((lane) => JSON.stringify(lane)))).toEqual(
        new Set(
          sent.map(({ to, lane, first, next, pendingCents }) =>
            JSON.stringify({
              to,
              lane,
              first: String(first),
              next: String(next),
              pendingCents: String(pendingCents),
            }),
          ),
        ),
      );
      const known = (said?.received ?? []).filter(
        ({ upTo, above }) => Number(upTo) + (above ?? 0) > 0,
      );
      expect(known).toHaveLength(received.length);
      lanes += touched.length + known.length;
    }
  }
  expect(lanes).toBeGreaterThan(20);
});
