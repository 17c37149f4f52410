import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { epochOf } from '../../lib/core/units.ts';
import { SetNodes } from '../../router/nodes.ts';

function world(): { nodes: SetNodes; clock: ManualClock } {
  const clock = new ManualClock();
  const addresses = [0, 1].map((slot) => ({ primary: `n${slot}`, backup: '' }));
  const nodes = new SetNodes({
    clock,
    random: new SeededRandom(1),
    connect: () => {
      throw new Error('nobody connects');
    },
    addresses: () => addresses,
  });
  return { nodes, clock };
}

/** How long the leader in slot 0 is left alone. */
function shunnedMs({ nodes, clock }: ReturnType<typeof world>): number {
  const since = clock.monotonicMs();
  while (nodes.pick() !== 0) clock.advance(10);
  return clock.monotonicMs() - since;
}

test('all streams of a leader that break at once are one loss', () => {
  const one = world();
  const three = world();
  for (const [{ nodes }, streams] of [
    [one, 1],
    [three, 3],
  ] as const) {
    const epoch = epochOf(1, 0);
    nodes.heard(0, { epoch, leaderEpoch: epoch });
    for (let stream = 0; stream < streams; stream++) nodes.lost(0);
  }
  const [alone, together] = [shunnedMs(one), shunnedMs(three)];
  expect(alone).toBeGreaterThan(0);
  expect(together).toBe(alone);
});

test('a node that is lost again and again is left alone for longer and longer', () => {
  const { nodes, clock } = world();
  const epoch = epochOf(1, 0);
  nodes.heard(0, { epoch, leaderEpoch: epoch });
  const waits = [1, 2, 3].map(() => {
    nodes.lost(0);
    return shunnedMs({ nodes, clock });
  });
  expect(waits[2]).toBeGreaterThan(2 * (waits[0] ?? 0));
});
