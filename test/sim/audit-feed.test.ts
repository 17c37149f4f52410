/** SPEC AU: the continuous audit finds every planted lie, and takes no delay for one. */
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { CheckpointWriter, decodeCheckpoint } from '../../reconciler/audit/checkpoint.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import type { OpOf } from '../../reconciler/audit/decode.ts';
import type { ClusterDump } from '../../reconciler/audit/dump.ts';
import type { Finding } from '../../reconciler/audit/feed.ts';
import { Feed } from '../../reconciler/audit/feed.ts';
import { Groups } from '../../reconciler/audit/groups.ts';
import { Place } from '../../reconciler/audit/place.ts';
import { readEntry } from '../../reconciler/audit/entry.ts';
import { encodeEntry } from '../../lib/core/journal-entry.ts';
import { Shown, horizonAfter, plain } from './audit-source.ts';
import { audit, live, reseal, scripts, tamper } from './check-journals.ts';
import { MONEY_TAMPERS } from './check-money-tampers.ts';
import { PAYMENT_TAMPERS } from './check-payment-tampers.ts';
import { OTHER_TAMPERS } from './check-tampers.ts';

const SETS = [1, 2];
const DAYS = scripts(2, { seed: 7, days: 30, steps: 300 }).map((day) => live(day).journal);
/** A lie is told in so many journals. */
const TOLD = 2;

function feedOf(from: ClusterDump | null = null): { feed: Feed; findings: Finding[] } {
  const findings: Finding[] = [];
  const onFinding = (finding: Finding): void => void findings.push(finding);
  return { feed: new Feed({ sets: SETS, nowMs: 0, onFinding, from }), findings };
}

/** A walk of a feed along a journal, in pages of any size, each Set as late as chance wants. */
function walk(journal: readonly Entry[], seed: number): { feed: Feed; findings: Finding[] } {
  const { feed, findings } = feedOf();
  const shown = new Shown(journal);
  const random = new SeededRandom(seed);
  while (!shown.isOver) {
    const set = SETS[random.below(2)] ?? 1;
    const what = random.below(6);
    if (what === 0) shown.tell(feed, set);
    else if (what < 3) shown.offer(feed, set, { count: 1 + random.below(12) });
    else shown.happen(1 + random.below(5));
  }
  shown.finish(feed, findings);
  return { feed, findings };
}

describe('[AU2] delay between Sets', () => {
  test.each([1, 2, 3, 4])('is no violation, in any order of pages (walk %s)', (seed) => {
    for (const [day, journal] of DAYS.entries()) {
      const { feed, findings } = walk(journal, seed * 1_000 + day);
      expect(findings).toEqual([]);
      for (const set of SETS) {
        expect(feed.books.set(set).lsn).toBe(journal.filter(({ setId }) => setId === set).length);
      }
    }
  });

  test('a Set that says nothing is waited for, and its word lets all go on', () => {
    let waited = 0;
    for (const journal of DAYS) {
      const { feed, findings } = feedOf();
      const shown = new Shown(journal);
      shown.happen(journal.length);
      for (let round = 0; round < 5; round++) shown.offer(feed, 1, { count: 1_000 });
      shown.tell(feed, 1);
      const waits = feed.waitOf(1) !== null;
      waited += waits ? 1 : 0;
      expect(feed.wantsHorizon(2)).toBe(waits);
      shown.tell(feed, 2);
      expect(feed.wantsHorizon(2)).toBe(false);
      expect(findings).toEqual([]);
      shown.finish(feed, findings);
      expect(findings).toEqual([]);
      expect(feed.waitOf(1)).toBeNull();
    }
    expect(waited).toBeGreaterThan(10);
  });

  test('a word that is older than the question proves nothing', () => {
    const journal = DAYS.find((day) => {
      const { feed } = feedOf();
      const shown = new Shown(day);
      shown.happen(day.length);
      shown.offer(feed, 1, { count: 1_000 });
      return feed.waitOf(1) !== null;
    });
    if (journal === undefined) throw new Error('a day on which Set 1 waits');
    const { feed, findings } = feedOf();
    const shown = new Shown(journal);
    // Set 2 spoke when nothing had happened there.
    const asked = feed.ask();
    feed.horizon(2, { asked, atMs: 0, value: horizonAfter([]) });
    shown.happen(journal.length);
    shown.offer(feed, 1, { count: 1_000 });
    expect(feed.waitOf(1)).not.toBeNull();
    expect(findings).toEqual([]);
    shown.finish(feed, findings);
    expect(findings).toEqual([]);
  });
});

describe('[AU1] a journal with a lie in it, fed in pages', () => {
  test.each(Object.entries({ ...MONEY_TAMPERS, ...OTHER_TAMPERS, ...PAYMENT_TAMPERS }))(
    '%s',
    (_, { rule, change, alone }) => {
      let found = 0;
      for (const [day, journal] of DAYS.entries()) {
        const tampered = tamper(journal, change());
        // Some days end before the lie can be told from the truth.
        if (tampered === null || audit(tampered) === null) continue;
        const { findings } = walk(tampered, day);
        const first = findings.find(({ stops }) => stops);
        expect(first, 'it is found').toBeDefined();
        // Books of all Sets see it elsewhere first, or as the circle that it makes.
        const isElsewhere = alone === true || first?.message.startsWith('AU2') === true;
        expect(first?.message).toMatch(isElsewhere ? /./ : rule);
        found += 1;
        if (found === TOLD) break;
      }
      expect(found).toBeGreaterThan(0);
    },
  );

  test('one violation stops the books of one Set, and is named once', () => {
    const journal = DAYS[0] ?? [];
    const target = journal.find(({ setId, lsn }) => setId === 2 && lsn === 3);
    const broken = journal.map((entry) =>
      entry === target ? { ...entry, payload: flipped(entry.payload) } : entry,
    );
    const { feed, findings } = walk(broken, 5);
    expect(findings.filter(({ stops }) => stops)).toMatchObject([{ set: 2, rule: 'I2' }]);
    expect(feed.isStopped(1)).toBe(false);
    expect(feed.isStopped(2)).toBe(true);
    expect(feed.books.set(2).lsn).toBe(2);
  });

  test('a row that is missing, one that stands twice, and bytes that are no entry', () => {
    const [journal = []] = DAYS;
    const of = (set: number): Entry[] => journal.filter(({ setId }) => setId === set);
    const hole = [...of(1).slice(0, 4), ...of(1).slice(5), ...of(2)];
    expect(walk(hole, 1).findings[0]?.message).toMatch(/^I3 Set 1, LSN 6: after LSN 4/);
    const twice = [...of(1).slice(0, 4), ...of(1).slice(3), ...of(2)];
    expect(walk(twice, 1).findings[0]?.message).toMatch(/^I3 Set 1, LSN 4: after LSN 4/);
    const { feed, findings } = feedOf();
    const [first] = of(1);
    if (first === undefined) throw new Error('a first entry');
    const cut = encodeEntry(first).slice(0, -1);
    feed.offer(1, { entries: [cut], commitLsn: 1, atMs: 0 });
    expect(findings).toMatchObject([{ set: 1, rule: 'F2', stops: true }]);
  });
});

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[copy.length >> 1]! ^= 1;
  return copy;
}

describe('[AU6] the lanes in a leader’s memory', () => {
  const journal = DAYS.find((day) => horizonAfter(day.slice(0, 60)).sent.length > 0) ?? [];
  const of = (set: number): Entry[] => journal.filter(({ setId }) => setId === set);
  const truth = horizonAfter(of(1));
  const lane = truth.sent[0]!;
  const inbox = truth.received[0]!;

  test.each([
    [
      'an outbox row too many',
      { sent: [{ ...lane, next: lane.next + 1 }, ...truth.sent.slice(1)] },
    ],
    [
      'a receipt that was not',
      { sent: [{ ...lane, first: lane.first + 1 }, ...truth.sent.slice(1)] },
    ],
    [
      'a cent in the outbox',
      { sent: [{ ...lane, pendingCents: lane.pendingCents + 1 }, ...truth.sent.slice(1)] },
    ],
    ['an outbox lane that is gone', { sent: truth.sent.slice(1) }],
    ['an outbox lane from nowhere', { sent: [...truth.sent, { ...lane, to: 9 }] }],
    [
      'an inbox that went back',
      { received: [{ ...inbox, upTo: inbox.upTo - 1 }, ...truth.received.slice(1)] },
    ],
    ['a number ahead', { received: [{ ...inbox, above: 1 }, ...truth.received.slice(1)] }],
    [
      'a tombstone more',
      { received: [{ ...inbox, tombstones: inbox.tombstones + 1 }, ...truth.received.slice(1)] },
    ],
    ['an inbox that is gone', { received: truth.received.slice(1) }],
    ['an inbox from nowhere', { received: [...truth.received, { ...inbox, from: 9 }] }],
  ])('%s is seen at its LSN, and stops nothing', (_, lie) => {
    const { feed, findings } = feedOf();
    const shown = new Shown(journal);
    shown.happen(journal.length);
    const asked = feed.ask();
    feed.horizon(1, { asked, atMs: 0, value: { ...truth, ...lie } });
    expect(findings).toEqual([]);
    for (let round = 0; round < 20; round++) {
      for (const set of SETS) shown.offer(feed, set, { count: 50 });
      shown.tell(feed, 2);
    }
    expect(findings).toMatchObject([{ set: 1, rule: 'AU6', stops: false }]);
    expect(feed.books.set(1).lsn).toBe(of(1).length);
  });
});

/** In slices of a few values each. */
function encodeCheckpoint(dump: ClusterDump): Uint8Array {
  const writer = new CheckpointWriter(dump);
  while (writer.advance(() => false));
  let bytes = writer.assemble(() => false);
  while (bytes === null) bytes = writer.assemble(() => false);
  return bytes;
}

describe('[AU5] a checkpoint', () => {
  test('in the middle of anything, and the rest comes out the same', () => {
    for (const [day, journal] of DAYS.entries()) {
      const { feed, findings } = feedOf();
      const shown = new Shown(journal);
      shown.happen(Math.floor(journal.length / 2));
      shown.offer(feed, 1 + (day % 2), { count: 1_000 });
      for (const set of SETS) shown.offer(feed, set, { count: 1_000 });
      const bytes = encodeCheckpoint(feed.books.dump());
      const dump = decodeCheckpoint(bytes);
      expect(dump).not.toBeNull();
      const again = feedOf(dump);
      shown.finish(again.feed, again.findings);
      shown.finish(feed, findings);
      expect([...findings, ...again.findings]).toEqual([]);
      expect(again.feed.books.whereabouts()).toEqual(feed.books.whereabouts());
      expect(plain(again.feed.books.dump())).toEqual(plain(feed.books.dump()));
    }
  });

  test('a lie behind it is found by who goes on from it', () => {
    let found = 0;
    for (const { change } of Object.values(MONEY_TAMPERS)) {
      for (const journal of DAYS.slice(0, 10)) {
        const tampered = tamper(journal, change());
        if (tampered === null || audit(tampered) === null) continue;
        const at = tampered.findIndex((entry, index) => {
          return Buffer.compare(entry.sum, journal[index]!.sum) !== 0;
        });
        const books = new ClusterBooks(SETS, { history: false });
        for (const entry of tampered.slice(0, at)) books.addCommitted(entry.setId, entry);
        const dump = decodeCheckpoint(encodeCheckpoint(books.dump()));
        const { feed, findings } = feedOf(dump);
        new Shown(tampered).finish(feed, findings);
        expect(findings.some(({ stops }) => stops)).toBe(true);
        found += 1;
        break;
      }
    }
    expect(found).toBeGreaterThan(15);
  });

  test('is not believed with any byte of it changed, nor cut short', () => {
    const { feed } = walk(DAYS[0] ?? [], 1);
    const bytes = encodeCheckpoint(feed.books.dump());
    expect(decodeCheckpoint(bytes)).not.toBeNull();
    const step = Math.max(1, Math.floor(bytes.length / 500));
    for (let at = 0; at < bytes.length; at += step) {
      const other = new Uint8Array(bytes);
      other[at]! ^= 1;
      expect(decodeCheckpoint(other)).toBeNull();
    }
    expect(decodeCheckpoint(bytes.subarray(0, -1))).toBeNull();
    expect(decodeCheckpoint(bytes.subarray(0, 10))).toBeNull();
  });
});

/** A group with nothing said in it. */
function groupOf(people: readonly string[]) {
  return {
    name: 'talk',
    members: new Map(people.map((user) => [user, { joinedSeq: 0, readSeq: 0 }])),
    stays: new Map(),
    version: 1,
    seq: 0,
    counted: 0,
    counting: [],
    own: new Map<string, number[]>(),
  };
}

describe('[AU4] books that forget', () => {
  test('know of a long talk what counts of unread messages need, and no more', () => {
    const groups = new Groups();
    const place = new Place({ setId: 1, lsn: 1, ts: 0 });
    groups.restore({ all: new Map([[1n, groupOf(['ann', 'bob', 'cid'])]]), left: [] });
    let seq = 0;
    const say = (user: string): void => {
      seq += 1;
      const op = { command: { user, groupId: 1n, seenSeq: 0 } } as OpOf<'message.send'>;
      groups.message({ op, success: { seq, at: 0 }, place });
    };
    // One says little, and early.
    say('ann');
    for (let round = 0; round < 2_000; round++) say(round % 2 === 0 ? 'bob' : 'cid');
    const group = groups.dump().all.get(1n);
    expect(group?.counted).toBe(2_001);
    const kept = [...(group?.own.values() ?? [])].flat();
    expect(kept.toSorted((x, y) => x - y)).toEqual(group?.counting);
    expect(kept.length).toBeGreaterThanOrEqual(256);
    expect(kept.length).toBeLessThanOrEqual(1_024);
    expect([...(group?.own.keys() ?? [])]).toEqual(['bob', 'cid']);
    // As far back as counts are exact they still are, and a lie is seen.
    const read = (readCount: number, ownAfter: number): void => {
      const command = { user: 'bob', groupId: 1n, seq: seq - 256 };
      const unread = Math.min(100, 2_001 - readCount - ownAfter);
      const success = { seq: seq - 256, readCount, ownAfter, unread };
      groups.read({ op: { command } as OpOf<'message.read'>, success, place });
    };
    expect(() => read(seq - 256, 127)).toThrow(/^Q5/);
    group?.members.set('bob', { joinedSeq: 0, readSeq: 0 });
    read(seq - 256, 128);
  });

  test('hold less, and break no rule', () => {
    let whole = 0;
    let kept = 0;
    const sizeOf = (books: ClusterBooks): number =>
      [...books.sets()].reduce(
        (sum, { answers, packets, payments }) => sum + answers.size + packets.size + payments.size,
        0,
      );
    for (const journal of DAYS) {
      const books = new ClusterBooks(SETS, { history: false });
      const all = new ClusterBooks(SETS);
      for (const entry of journal) {
        all.addCommitted(entry.setId, entry);
        books.addCommitted(entry.setId, entry);
        // Far less than what is kept for real: but for grants all that may leave has left.
        books.forget(entry.ts - 60_000);
      }
      whole += sizeOf(all);
      kept += sizeOf(books);
      expect(books.whereabouts()).toEqual(all.whereabouts());
    }
    expect(kept).toBeLessThan(whole * 0.9);
  });

  test.each([
    'a share after the end',
    'a packet ends twice',
    'money for a payment is credited twice',
  ])('still see %s', (name) => {
    const { change } = { ...MONEY_TAMPERS, ...PAYMENT_TAMPERS }[name]!;
    const messages: string[] = [];
    for (const journal of DAYS) {
      const tampered = tamper(journal, change());
      if (tampered === null || messages.length === TOLD) continue;
      const books = new ClusterBooks(SETS, { history: false });
      try {
        for (const entry of tampered) {
          books.addCommitted(entry.setId, entry);
          books.forget(entry.ts - 60_000);
        }
      } catch (error) {
        messages.push(String(error));
      }
    }
    expect(messages.length).toBeGreaterThan(0);
    expect(messages.filter((message) => !/M(?:4|5|6|7|11) /.test(message))).toEqual([]);
  });
});

test('[F6] an entry is read as it was written', () => {
  for (const entry of (DAYS[0] ?? []).slice(0, 20)) {
    const { sum, ...head } = readEntry(encodeEntry(entry));
    expect({ ...head, sum: Buffer.from(sum) }).toMatchObject({
      lsn: entry.lsn,
      setId: entry.setId,
    });
    expect(encodeEntry(readEntry(encodeEntry(entry)))).toEqual(encodeEntry(entry));
  }
  const again = (DAYS[0] ?? []).slice(0, 20).map((entry) => readEntry(encodeEntry(entry)));
  expect(again.map((entry) => Buffer.from(reseal(entry).sum))).toEqual(
    again.map(({ sum }) => Buffer.from(sum)),
  );
});
