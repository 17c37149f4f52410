import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { setId } from '../../lib/core/units.ts';
import { SLOT_COUNT } from '../../lib/core/user.ts';
import { loadTopology, saveTopology } from '../../router/topology-file.ts';
import type { Topology, TopologySet } from '../../router/topology.ts';
import {
  TopologyError,
  encodeTopology,
  extend,
  firstTopology,
  ownerOfSlot,
  parseTopology,
  slotBitmap,
  whyNotExtends,
  whyNotSuccessor,
} from '../../router/topology.ts';

function set(id: number, change: Partial<TopologySet> = {}): TopologySet {
  return {
    id: setId(id),
    state: 'active',
    weight: 1,
    region: 'a',
    nodes: [{ primary: `set-${id}`, backup: '' }],
    replicas: [],
    ...change,
  };
}

function first(count: number): Topology {
  const sets = Array.from({ length: count }, (_, id) => set(id));
  return firstTopology({ clusterId: '0123456789abcdef'.repeat(2), sets });
}

/** Of `first(2)`, computed by another program: keys in the order of the alphabet, no spaces. */
const GOLDEN_HASH = '730c6abd9cbd2949abe834bd10b048d55af37fb8516f065b2b3a5739de4eda76';

describe('the topology', () => {
  test('deals the slots once, in equal contiguous ranges', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (count) => {
        const topology = first(count);
        const sizes = Array.from(
          { length: count },
          (_, id) => topology.slots.filter((owner) => owner === id).length,
        );
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(topology.slots).toEqual(topology.slots.toSorted((a, b) => a - b));
        let bits = 0;
        for (let id = 0; id < count; id++) {
          for (const [at, byte] of slotBitmap(topology, setId(id)).entries()) {
            for (let bit = 0; bit < 8; bit++) {
              if ((byte & (1 << bit)) === 0) continue;
              bits += 1;
              expect(ownerOfSlot(topology, at * 8 + bit)).toBe(id);
            }
          }
        }
        expect(bits).toBe(SLOT_COUNT);
      }),
      { numRuns: 20 },
    );
  });

  test('is the same document after a way over text, byte for byte', () => {
    const topology = extend(first(3), { kind: 'set.state', id: setId(1), state: 'masked' });
    expect(parseTopology(encodeTopology(topology))).toEqual(topology);
    expect(encodeTopology(topology)).toContain('"slots"');
    expect(encodeTopology(topology).length).toBeLessThan(2_000);
  });

  test('has a hash that is fixed for ever', () => {
    expect(first(2).hash).toBe(GOLDEN_HASH);
  });

  test('grows by one version at a time, each with the hash of the one before', () => {
    const one = first(2);
    const two = extend(one, { kind: 'set.add', set: set(5) });
    const three = extend(two, { kind: 'set.weight', id: setId(5), weight: 4 });
    expect([two.version, two.prevHash]).toEqual([2, one.hash]);
    expect(whyNotExtends(one, two)).toBeNull();
    expect(whyNotExtends(one, three)).toContain('does not follow');
    expect(whyNotSuccessor(one, three)).toBeNull();
    expect(whyNotSuccessor(three, one)).toContain('not newer');
    const other = extend(one, { kind: 'set.weight', id: setId(0), weight: 9 });
    expect(whyNotExtends(other, three)).toContain('another document');
    const foreign = firstTopology({ clusterId: 'f'.repeat(32), sets: [set(0), set(1)] });
    expect(whyNotSuccessor(foreign, two)).toContain('another cluster');
  });

  test('a Set number is never used again, and one with slots cannot retire', () => {
    const added = extend(first(2), { kind: 'set.add', set: set(7) });
    const retired = extend(added, { kind: 'set.state', id: setId(7), state: 'retired' });
    const refused = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        if (error instanceof TopologyError) return error.message;
        throw error;
      }
      return 'allowed';
    };
    expect(refused(() => extend(retired, { kind: 'set.add', set: set(7) }))).toContain(
      'used before',
    );
    const again = { kind: 'set.state', id: setId(7), state: 'active' } as const;
    expect(refused(() => extend(retired, again))).toContain('retired for ever');
    const owner = { kind: 'set.state', id: setId(0), state: 'retired' } as const;
    expect(refused(() => extend(retired, owner))).toContain('owns slots');
    const nobody = { kind: 'set.weight', id: setId(9), weight: 1 } as const;
    expect(refused(() => extend(retired, nobody))).toContain('no Set 9');
    expect(refused(() => extend(retired, { ...nobody, id: setId(0), weight: 101 }))).toContain(
      '0..100',
    );
  });

  const document = JSON.parse(encodeTopology(first(2)));
  test.each([
    ['nonsense', '{', 'not JSON'],
    ['a list', '[]', 'is an object'],
    ['a touched weight', { sets: [{ ...document.sets[0], weight: 2 }, document.sets[1]] }, 'hash'],
    ['a fraction', { version: 1.5 }, 'version is a whole number'],
    ['a short cluster id', { clusterId: 'ab' }, 'clusterId is 32 hex digits'],
    ['an unknown state', { sets: [{ ...document.sets[0], state: 'away' }] }, 'sets[0].state'],
    ['too few slots', { slots: [[0, 1_023]] }, '1,024'],
    [
      'too many slots',
      {
        slots: [
          [0, 1_000],
          [1, 1_000],
        ],
      },
      '1,024',
    ],
    ['slots of nobody', { slots: [[3, 1_024]] }, 'Set 3, which is missing'],
    ['a number twice', { sets: [document.sets[0], document.sets[0]] }, 'one number'],
  ])('%s is refused with a reason', (_, change, message) => {
    const text = typeof change === 'string' ? change : JSON.stringify({ ...document, ...change });
    expect(() => parseTopology(text)).toThrow(TopologyError);
    expect(() => parseTopology(text)).toThrow(message);
  });
});

describe('the topology file', () => {
  test('is written whole, and only by a version that extends it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hb-topology-'));
    try {
      const path = join(folder, 'topology.json');
      expect(await loadTopology(path)).toBeNull();
      const one = first(2);
      await saveTopology(path, one);
      await saveTopology(path, one);
      const two = extend(one, { kind: 'set.state', id: setId(1), state: 'draining' });
      const three = extend(two, { kind: 'set.state', id: setId(1), state: 'active' });
      await expect(saveTopology(path, three)).rejects.toThrow('does not follow');
      expect(await loadTopology(path)).toEqual(one);
      await saveTopology(path, two);
      await saveTopology(path, three);
      expect(await loadTopology(path)).toEqual(three);
      writeFileSync(path, readFileSync(path, 'utf8').replace('"weight": 1', '"weight": 3'));
      await expect(loadTopology(path)).rejects.toThrow(/topology\.json: .*hash/);
      await expect(saveTopology(path, three)).rejects.toThrow(TopologyError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
