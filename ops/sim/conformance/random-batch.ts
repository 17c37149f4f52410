import type { Entry } from '../../../lib/core/journal-entry.ts';
import { SUM_BYTES } from '../../../lib/core/journal-entry.ts';
import { setId } from '../../../lib/core/units.ts';
import type { Fence } from '../../../lib/port/replica-store.ts';
import { once, pick, randomChain, randomEntry } from './random-entry.ts';
import type { ScriptGuide } from './script-guide.ts';

/** More than one statement of MySQL takes. */
const LONG_BATCH = 66;

/** The next entries of a leader, or such as a late, lost or mistaken one would send. */
export function randomBatch(guide: ScriptGuide, fence: Fence): Entry[] {
  const { random, journal } = guide;
  const head = journal.at(-1) ?? null;
  const by = { epoch: guide.entryEpoch(fence), owner: fence.owner };
  const right = (count: number): Entry[] => randomChain(random, { ...by, prev: head, count });
  switch (random.below(20)) {
    // Again what is there, alone or with more after it.
    case 0:
    case 1: {
      const again = journal.slice(-1 - random.below(4));
      return again.length === 0 || once(random, 2) ? [...again, ...right(1)] : again;
    }
    // A gap.
    case 2:
      return right(2 + random.below(3)).slice(1);
    // Another predecessor.
    case 3: {
      const prev = head ?? randomEntry(random, { ...by, prev: null });
      const other = { ...prev, sum: random.bytes(SUM_BYTES) };
      return randomChain(random, { ...by, prev: other, count: 1 + random.below(2) });
    }
    // Another entry in the place of one that is there, and what follows it.
    case 4:
    case 5: {
      const place = random.below(journal.length + 1);
      const prev = journal[place - 1] ?? null;
      return randomChain(random, { ...by, prev, count: 1 + random.below(4) });
    }
    // What somebody sent before.
    case 6:
      return guide.sent.length === 0 ? right(1) : pick(random, guide.sent);
    // Against the rules of the port.
    case 7:
      return wrongEntries(guide, right(2));
    case 8:
      return [randomEntry(random, { ...by, prev: head, size: 'large' })];
    case 9: {
      const large = randomEntry(random, { ...by, prev: head, size: 'large' });
      const after = randomChain(random, { ...by, prev: large, count: 2 });
      return [large, ...after];
    }
    case 10:
      return once(random, 3)
        ? randomChain(random, {
            ...by,
            prev: head,
            count: LONG_BATCH + random.below(70),
            ...(once(random, 2) ? { size: 'empty' } : {}),
          })
        : right(9);
    default:
      return right(1 + random.below(4));
  }
}

/** Against the rules of the port: an assertion of every adapter. */
function wrongEntries(guide: ScriptGuide, right: readonly Entry[]): Entry[] {
  const [first, second] = right;
  if (first === undefined || second === undefined) return [];
  switch (guide.random.below(5)) {
    case 0:
      return [];
    case 1:
      return [second, first];
    case 2:
      return [{ ...first, setId: setId(8) }];
    case 3:
      return [first, { ...second, prev: guide.random.bytes(SUM_BYTES) }];
    default:
      return [{ ...first, epoch: guide.epochAbove(first.epoch + 1_024) }];
  }
}
