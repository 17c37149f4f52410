/** The verdict on the journals of a Set, and that it finds every lie that it is there for. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { cents, lsn } from '../../lib/core/units.ts';
import { sumOf } from '../../reconciler/audit/sum.ts';
import { Findings } from '../../ops/prove/findings.ts';
import type { Disk } from '../../ops/prove/set/disk.ts';
import { tableSum } from '../../ops/prove/set/disk.ts';
import { History } from '../../ops/prove/set/history.ts';
import type { Open } from '../../ops/prove/set/history.ts';
import { judge } from '../../ops/prove/set/verdict.ts';
import { SET, World, user } from './set-log-world.ts';

const WELCOME = 1_000;
const PEOPLE = ['ann', 'bob', 'cat', 'dan'];
const SHARES = 3;

type Case = { disks: Disk[]; history: History };
let entries: Entry[] = [];
const opens: Open[] = [];
let packetId = '';

/** One packet of three shares, four who open it, a change of epoch between them. */
beforeAll(async () => {
  const world = await World.start(3);
  for (const name of PEOPLE) await world.fund(name, WELCOME);
  const groupId = await world.foundGroup('ann');
  const id = await world.takeId();
  packetId = String(id);
  await world.send(world.definition({ packetId: id, groupId, sender: 'ann', count: SHARES }));
  await world.carryAll();
  for (const [index, name] of PEOPLE.entries()) {
    if (index === 2) await world.restart(2_000);
    const dueMs = index * 10;
    const grant = world.grant(name, groupId);
    const open = { type: 'packet.open', packetId: id, user: user(name), grant } as const;
    const outcome = await world.ask<'packet.open'>(open);
    const { epoch, commit } = world.driver;
    const told =
      outcome.status === 'ok'
        ? ({ kind: 'claim', ...outcome, fresh: true, epoch, lsn: commit } as const)
        : ({ kind: 'refused', code: outcome.status } as const);
    const endedMs = dueMs + 5;
    opens.push({ packetId, user: name, dueMs, endedMs, doubts: [], told, again: null });
  }
  await world.carryAll();
  await world.run(1_000);
  const disk = world.replicas[0]?.disk;
  if (disk === undefined) throw new Error('no replica');
  entries = await disk.read({ after: lsn(0), limitBytes: 1e9 });
  await world.kill();
}, 30_000);

/** What was found on the disks and told to people, ready to be falsified. */
function truth(): Case {
  const commitLsn = entries.length;
  const disks = ['db0', 'db1', 'db2'].map((name) => ({
    name,
    entries: [...entries],
    discarded: [],
    commitLsn,
    projectedLsn: commitLsn,
    tables: new Map([['message', tableSum([{ seq: 1, body: 'x' }])]]),
  }));
  const history = new History({ welcomeCents: WELCOME });
  history.people.push(...PEOPLE);
  const sent = { packetId, sender: 'ann', totalCents: 100, count: SHARES, acknowledged: true };
  history.sent.push(sent);
  history.opens.push(...opens.map((open) => ({ ...open })));
  return { disks, history };
}

function findingsOf({ disks, history }: Case): Findings {
  const findings = new Findings();
  judge({ disks, history, quorum: 2, isHealed: true }, findings);
  return findings;
}

/** The case with some disks replaced. */
function withDisks(change: (disk: Disk, index: number) => Disk): Case {
  const { disks, history } = truth();
  return { disks: disks.map(change), history };
}

/** The journal from one changed entry on, with checksums and chain made right again. */
function rechained(at: number, change: (entry: Entry) => Entry): Entry[] {
  let prev: Uint8Array | null = null;
  return entries.map((entry, index) => {
    if (index < at) return entry;
    const changed: Entry = index === at ? change(entry) : { ...entry, prev: prev ?? entry.prev };
    const sealed = { ...changed, sum: new Uint8Array(sumOf(changed)) };
    prev = sealed.sum;
    return sealed;
  });
}

/** Where the entry with the first open stands. */
function firstOpenAt(): number {
  const [open] = opens;
  if (open?.told?.kind !== 'claim') throw new Error('the first one gets a share');
  return open.told.lsn - 1;
}

describe('the verdict', () => {
  test('finds nothing in what is true', () => {
    expect(findingsOf(truth()).lines).toEqual([]);
    expect(opens.map(({ told }) => told?.kind)).toEqual(['claim', 'claim', 'claim', 'refused']);
    expect(new Set(entries.map(({ epoch }) => epoch)).size).toBe(2);
  });

  test('a lagging replica is no finding before the healing, and one after it', () => {
    const { disks, history } = withDisks((disk, index) =>
      index === 2 ? { ...disk, entries: entries.slice(0, -3) } : disk,
    );
    const findings = new Findings();
    judge({ disks, history, quorum: 2, isHealed: false }, findings);
    expect(findings.lines).toEqual([]);
    expect(findingsOf({ disks, history }).broken).toBeGreaterThan(0);
  });

  test('an acknowledged tail that two replicas have lost', () => {
    const lost = withDisks((disk, index) =>
      index < 2 ? { ...disk, entries: disk.entries.slice(0, firstOpenAt()) } : disk,
    );
    expect(findingsOf(lost).lost).toBeGreaterThan(0);
  });

  test('an acknowledged tail that all replicas have lost, also the mark of its commit', () => {
    const kept = entries.slice(0, firstOpenAt());
    const lost = withDisks((disk) => ({ ...disk, entries: kept, commitLsn: 0 }));
    expect(findingsOf(lost).lines.join('\n')).toMatch(/acknowledged and is not in the journal/);
  });

  test('a cent more in a payload with a new checksum', () => {
    const at = firstOpenAt();
    const changed = rechained(at, (entry) => {
      const told = opens[0]?.told;
      if (told?.kind !== 'claim') throw new Error('a share');
      const payload = Buffer.from(entry.payload);
      const amount = Buffer.alloc(8);
      amount.writeBigInt64LE(BigInt(told.amountCents));
      const place = payload.indexOf(amount);
      expect(place).toBeGreaterThan(0);
      payload.writeBigInt64LE(BigInt(told.amountCents + 1), place);
      return { ...entry, payload: new Uint8Array(payload) };
    });
    const found = findingsOf(withDisks((disk) => ({ ...disk, entries: changed })));
    expect(found.centsWrong + found.changed).toBeGreaterThan(0);
  });

  test('one replica with another content under the same epoch and LSN', () => {
    const other = rechained(firstOpenAt(), (entry) => ({ ...entry, ts: entry.ts }));
    const changed = rechained(entries.length - 1, (entry) => ({
      ...entry,
      leaderId: new Uint8Array(16),
    }));
    expect(other).toEqual(entries);
    const found = findingsOf(
      withDisks((disk, index) => (index === 1 ? { ...disk, entries: changed } : disk)),
    );
    expect(found.lines.join('\n')).toMatch(/second content/);
  });

  test('a flipped byte, a hole and a falling epoch', () => {
    const flip = (entry: Entry): Entry => {
      const payload = new Uint8Array(entry.payload);
      payload[0] = (payload[0] ?? 0) ^ 1;
      return { ...entry, payload };
    };
    const changes: ((all: Entry[]) => Entry[])[] = [
      (all) => all.map((entry, index) => (index === 2 ? flip(entry) : entry)),
      (all) => all.filter((_, index) => index !== 3),
    ];
    for (const change of changes) {
      const found = findingsOf(
        withDisks((disk, index) => (index === 2 ? { ...disk, entries: change(entries) } : disk)),
      );
      expect(found.broken).toBeGreaterThan(0);
    }
    const fallen = rechained(entries.length - 1, (entry) => ({
      ...entry,
      epoch: entries[0]!.epoch,
    }));
    const found = findingsOf(withDisks((disk) => ({ ...disk, entries: fallen })));
    expect(found.lines.join('\n')).toMatch(/epoch \d+ after \d+/);
  });

  test('an answer that changes, and one that comes a second time as the first', () => {
    const { disks, history } = truth();
    const [first, second] = history.opens;
    if (first?.told?.kind !== 'claim' || second?.told?.kind !== 'claim') throw new Error('shares');
    first.again = { ...first.told, amountCents: cents(first.told.amountCents + 1), fresh: false };
    second.again = { ...second.told };
    const found = findingsOf({ disks, history });
    expect(found.changed).toBe(1);
    expect(found.lost).toBe(1);
  });

  test('an open that was answered twice over, later ones in front of earlier ones', () => {
    const { disks, history } = truth();
    const [first] = history.opens;
    if (first === undefined) throw new Error('an open');
    history.opens[0] = { ...first, dueMs: 1_000, endedMs: 1_001 };
    expect(findingsOf({ disks, history }).lines.join('\n')).toMatch(/was answered before/);
  });

  test('a claim that nobody was told of, and money that nobody was given', () => {
    const { disks, history } = truth();
    history.opens.shift();
    const found = findingsOf({ disks, history });
    expect(found.broken).toBeGreaterThan(0);
    expect(found.centsWrong).toBeGreaterThan(0);
  });

  test('projections that differ at one LSN', () => {
    const other = new Map([['message', tableSum([{ seq: 1, body: 'y' }])]]);
    const found = findingsOf(
      withDisks((disk, index) => (index === 1 ? { ...disk, tables: other } : disk)),
    );
    expect(found.lines).toEqual([`broken: message of db1 and db0 differ at LSN ${entries.length}`]);
  });

  test('the entries are of the Set that the world made', () => {
    expect(new Set(entries.map(({ setId }) => setId))).toEqual(new Set([SET]));
  });
});
