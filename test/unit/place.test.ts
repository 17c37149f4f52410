import { describe, expect, test } from 'vitest';
import type { SetId } from '../../lib/core/units.ts';
import { setId } from '../../lib/core/units.ts';
import { Placement } from '../../router/place.ts';
import type { Topology, TopologySet } from '../../router/topology.ts';
import { extend, firstTopology } from '../../router/topology.ts';

function topologyOf(sets: readonly Partial<TopologySet>[]): Topology {
  return firstTopology({
    clusterId: '00'.repeat(16),
    sets: sets.map((each, id) => ({
      id: setId(id),
      state: 'active',
      weight: 1,
      region: '',
      nodes: [{ primary: `10.0.0.1:${id}`, backup: '' }],
      replicas: [],
      ...each,
    })),
  });
}

const KEYS = Array.from({ length: 20_000 }, (_, index) => `user-${index}:0190-${index * 7}`);

function shares(placement: Placement, options?: Parameters<Placement['place']>[1]): number[] {
  const counts: number[] = [];
  for (const key of KEYS) {
    const set = placement.place(key, options) ?? -1;
    counts[set] = (counts[set] ?? 0) + 1;
  }
  return Array.from({ length: 4 }, (_, id) => (counts[id] ?? 0) / KEYS.length);
}

describe('placement', () => {
  test('gives every Set its share, by weight', () => {
    const equal = shares(new Placement(topologyOf([{}, {}, {}, {}])));
    for (const share of equal) expect(Math.abs(share - 0.25)).toBeLessThan(0.06);
    const weighted = shares(new Placement(topologyOf([{ weight: 4 }, {}, {}, { weight: 0 }])));
    expect(Math.abs((weighted[0] ?? 0) - 4 / 6)).toBeLessThan(0.08);
    expect(weighted[3]).toBe(0);
  });

  test.each(['masked', 'draining'] as const)(
    'skips a %s Set and moves nothing of the others',
    (state) => {
      const before = topologyOf([{}, {}, {}, {}]);
      const after = extend(before, { kind: 'set.state', id: setId(2), state });
      const [old, masked] = [new Placement(before), new Placement(after)];
      let moved = 0;
      const others: string[] = [];
      for (const key of KEYS) {
        const [was, is] = [old.place(key), masked.place(key)];
        expect(is).not.toBe(2);
        if (was === 2) moved += 1;
        else if (is !== was) others.push(key);
      }
      expect(moved).toBeGreaterThan(0);
      expect(others).toEqual([]);
    },
  );

  test('a fourth Set takes its share and no more', () => {
    const three = topologyOf([{}, {}, {}]);
    const added = {
      id: setId(3),
      state: 'active',
      weight: 1,
      region: '',
      nodes: [{ primary: 'x', backup: '' }],
      replicas: [],
    } as const;
    const four = extend(three, { kind: 'set.add', set: added });
    const [old, grown] = [new Placement(three), new Placement(four)];
    const moved = KEYS.filter((key) => old.place(key) !== grown.place(key));
    expect(moved.length / KEYS.length).toBeLessThan(0.33);
    for (const key of moved) expect(grown.place(key)).toBe(3);
  });

  test('prefers what is up, then the same region, and takes any before none', () => {
    const placement = new Placement(
      topologyOf([{ region: 'a' }, { region: 'a' }, { region: 'b' }, { region: 'b' }]),
    );
    const near = shares(placement, { region: 'a' });
    expect([near[2], near[3]]).toEqual([0, 0]);
    const up = (set: SetId): boolean => set === 3;
    expect(shares(placement, { region: 'a', prefer: up })[3]).toBe(1);
    expect(
      shares(placement, { region: 'a', prefer: () => false }).every((share) => share > 0),
    ).toBe(true);
  });

  test('is null when nobody takes new things', () => {
    expect(new Placement(topologyOf([{ state: 'masked' }])).place('x')).toBeNull();
    expect(new Placement(topologyOf([{ weight: 0 }])).place('x')).toBeNull();
  });

  test.each(['', '__proto__', 'constructor', 'a:b:c', '红包', '\u0000'])(
    'takes the key %j',
    (key) => {
      const placement = new Placement(topologyOf([{}, {}]));
      expect(placement.place(key)).toBe(placement.place(key));
      expect([0, 1]).toContain(placement.place(key));
    },
  );
});
