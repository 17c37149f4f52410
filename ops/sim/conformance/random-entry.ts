import { sha256 } from '../../../lib/adapter/node-crypto.ts';
import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { ENTRY_KINDS, ZERO_SUM, seal } from '../../../lib/core/journal-entry.ts';
import { RULES_MIN } from '../../../lib/core/rules.ts';
import type { Epoch } from '../../../lib/core/units.ts';
import { cents, lsn, timeMs } from '../../../lib/core/units.ts';
import type { Change, Scan, Value } from '../../../lib/port/replica-store.ts';
import { SET } from './replica-world.ts';
import { encodeChanges } from './schema.ts';

/** Equal, or in another order, to whoever compares text otherwise than by its UTF-8 bytes. */
const PEOPLE = ['ann', 'ann ', 'Ann', 'änn', '红包', '\u{1f9e7}', '', 'a\0', "o'neil\\"];
const TOKENS = [[], [0], [0, 0], [32], [97], [65]].map((bytes) => Uint8Array.from(bytes));
const GROUPS = [0n, 2n ** 53n + 1n, 2n ** 63n - 1n];
const SEQS_MAX = 3;
/** Rows above 32 KiB go alone to MySQL; a text column holds 64 KiB. */
const LARGE_TEXT = { atLeast: 20_000, upTo: 60_000 };
/** Half of what would make a sum of three unsafe. */
const MONEY_MAX = 2 ** 50;
const TIME_MAX = 2 ** 31;

/** One of them, each as likely. */
export function pick<T>(random: SeededRandom, from: readonly T[]): T {
  const one = from[random.below(from.length)];
  if (one === undefined) throw new Error('there is nothing to choose from');
  return one;
}

/** True once in `of` times. */
export function once(random: SeededRandom, of: number): boolean {
  return random.below(of) === 0;
}

/** A sealed entry after `prev` (null: the first one), with every field drawn. */
export function randomEntry(
  random: SeededRandom,
  by: { prev: Entry | null; epoch: Epoch; owner: Uint8Array; size?: 'empty' | 'large' },
): Entry {
  const at = (by.prev?.lsn ?? 0) + 1;
  const wallets = random.below(MONEY_MAX / 2 ** 20) * 2 ** 20 + random.below(2 ** 20);
  const packets = random.below(1_000);
  const clearing = random.below(1_000) - 500;
  const changes = Array.from({ length: random.below(4) }, () => randomChange(random));
  if (by.size === 'large') changes.push(largeChange(random));
  return seal({
    head: {
      setId: SET,
      lsn: lsn(at),
      epoch: by.epoch,
      leaderId: by.owner,
      // A CONFIG entry has a payload that is looked into.
      kind: once(random, 8)
        ? pick(
            random,
            ENTRY_KINDS.filter((k) => k !== 'CONFIG'),
          )
        : 'OPS',
      prev: by.prev?.sum ?? ZERO_SUM,
      ts: timeMs(random.below(TIME_MAX) * 800),
      commitLsn: lsn(random.below(at)),
      acked: [lsn(random.below(at)), lsn(random.below(at)), lsn(random.below(at))],
      format: RULES_MIN,
      opCount: changes.length,
      money: {
        walletsCents: cents(wallets),
        packetsCents: cents(packets),
        clearingCents: cents(clearing),
        issuerCents: cents(-wallets - packets - clearing),
      },
    },
    payload: by.size === 'empty' ? new Uint8Array() : randomPayload(random, changes),
    hash: sha256,
  });
}

function randomPayload(random: SeededRandom, changes: readonly Change[]): Uint8Array {
  if (once(random, 10)) return new Uint8Array();
  // Sealed and still no list of changes: a projection says `corrupt`.
  if (once(random, 150)) return random.bytes(1 + random.below(20));
  return encodeChanges(changes);
}

/** `count` entries in a row. */
export function randomChain(
  random: SeededRandom,
  by: { count: number } & Parameters<typeof randomEntry>[1],
): Entry[] {
  const entries: Entry[] = [];
  for (let { prev } = by; entries.length < by.count;) {
    prev = randomEntry(random, { ...by, prev });
    entries.push(prev);
  }
  return entries;
}

function largeChange(random: SeededRandom): Change {
  const { atLeast, upTo } = LARGE_TEXT;
  const body = '包'.repeat((atLeast + random.below(upTo - atLeast)) / 3);
  const key = [pick(random, GROUPS), random.below(SEQS_MAX)];
  return { kind: 'put', table: 'items', row: [...key, 'ann', body, null, 0] };
}

function randomToken(random: SeededRandom): Uint8Array | null {
  if (random.below(3) > 0) return null;
  // From the short list two rows may clash in the unique index: all have to refuse alike.
  return once(random, 2) ? pick(random, TOKENS) : random.bytes(4);
}

function randomText(random: SeededRandom): string | null {
  return once(random, 3) ? null : pick(random, PEOPLE);
}

/** Amounts of both signs, sometimes as large as they may be added up. */
function randomAmount(random: SeededRandom): number {
  return once(random, 6) ? random.below(2 ** 32) * 1_000 : random.below(9) - 4;
}

function randomChange(random: SeededRandom): Change {
  const group = pick(random, GROUPS);
  const seq = random.below(SEQS_MAX);
  const who = pick(random, PEOPLE);
  const hidden = random.below(2);
  switch (random.below(7)) {
    case 0:
    case 1: {
      const author = randomText(random);
      const row = [group, seq, author, randomText(random), randomToken(random), hidden];
      return { kind: 'put', table: 'items', row };
    }
    case 2: {
      const values: Record<string, Value> = { author: randomText(random) };
      if (once(random, 2)) values['token'] = randomToken(random);
      return { kind: 'set', table: 'items', key: [group, seq], values };
    }
    case 3: {
      const times = once(random, 3) ? null : random.below(5);
      const row = [who, randomAmount(random), times, randomText(random)];
      return { kind: 'put', table: 'totals', row };
    }
    case 4: {
      const values = { note: randomText(random), times: random.below(3) };
      return { kind: 'set', table: 'totals', key: [who], values };
    }
    case 5:
      return { kind: 'add', table: 'items', key: [group, seq], deltas: { hidden } };
    default: {
      const deltas: Record<string, number> = { amount: randomAmount(random) };
      if (once(random, 2)) deltas['times'] = random.below(3) - 1;
      return { kind: 'add', table: 'totals', key: [who], deltas };
    }
  }
}

/** A query of either table by any order of its; once in a while one that is none. */
export function randomScan(random: SeededRandom): Scan {
  const limit = once(random, 20) ? 0 : 1 + random.below(8);
  const base = { limit, reverse: once(random, 2) };
  const group = pick(random, GROUPS);
  const who = pick(random, PEOPLE);
  switch (random.below(10)) {
    case 0:
      return { table: 'items', prefix: [group], from: random.below(SEQS_MAX), ...base };
    case 1:
      return { table: 'items', prefix: [group, random.below(SEQS_MAX)], ...base };
    case 2:
      return {
        table: 'items',
        index: 'by_author',
        prefix: [randomText(random)],
        to: group,
        ...base,
      };
    case 3:
      return { table: 'items', index: 'by_token', prefix: [], from: random.bytes(1), ...base };
    case 4:
      return { table: 'items', index: 'by_token', prefix: [null], ...base };
    case 5:
      return { table: 'items', index: 'by_author', prefix: [], from: who, to: 'x', ...base };
    case 6:
      return { table: 'totals', prefix: [who], ...base };
    case 7:
      return { table: 'items', index: 'by_author', prefix: [], ...base };
    case 8:
      return { table: 'totals', prefix: [], ...base };
    default:
      return { table: 'totals', prefix: [], from: who, ...base };
  }
}
