import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { AMNESIA_SCENES } from '../../ops/sim/log/amnesia.ts';
import { walk } from '../../ops/sim/log/walk.ts';
import { AMNESIA_MUTANTS } from '../../ops/sim/mutant/amnesia-mutants.ts';
import { huntMutant, seedsFrom } from '../../ops/sim/mutant/hunt.ts';
import { checkPatches } from '../../ops/sim/mutant/plant.ts';
import { Quarantine } from '../../set-node/log/quarantine.ts';
import { takeOver } from '../../set-node/log/takeover.ts';
import { Evidence } from '../../set-node/log/tripwire.ts';
import { schema } from '../../set-node/read/projection.ts';

const SET = setId(1);
/** How often each scene is played; more by hand. */
const ROUNDS = Number(process.env.ROUNDS ?? 4);
const FROM = Number(process.env.FROM ?? 0);
const HOURS_MS = 4 * 3_600_000;
const HUNT_MS = 60_000;

/** The walk that plays this scene for the `round`-th time: one seed in four plays one of them. */
function seedOf(scene: number, round: number): number {
  return (scene + round * AMNESIA_SCENES.length) * 4 + 3;
}

describe('scenes of rulings 6 break no rule', () => {
  for (const [scene, name] of AMNESIA_SCENES.entries()) {
    test(
      `scene: ${name}`,
      async () => {
        for (let round = FROM; round < FROM + ROUNDS; round++) {
          const seed = seedOf(scene, round);
          const { violation, lines } = await walk(seed);
          expect(lines.some((line) => line.endsWith(`scene: ${name}`))).toBe(true);
          if (violation === null) continue;
          throw new Error(`seed ${seed}: ${violation}\n${lines.slice(-60).join('\n')}`);
        }
      },
      HOURS_MS,
    );
  }

  test('a scene is one history, too', async () => {
    const seed = seedOf(AMNESIA_SCENES.length - 1, 1);
    expect((await walk(seed)).hash).toBe((await walk(seed)).hash);
  });
});

describe('simpler rules about a replica that restarted', () => {
  test('are planted where they belong', () => {
    expect(() => checkPatches(AMNESIA_MUTANTS)).not.toThrow();
  });

  // All of them are hunted by `./hongbao sim --mutants`; here those that only reads, only a line that
  // breaks and only a promise that is forgotten can show.
  for (const name of ['old-copy-confirms-reads', 'alive-row-resent', 'full-house-not-fenced']) {
    test(
      `${name} is seen`,
      async () => {
        const mutant = AMNESIA_MUTANTS.find((one) => one.name === name);
        if (mutant === undefined) throw new Error(`there is no ${name}`);
        const { seed, strays } = await huntMutant({
          mutant,
          seeds: triesFrom(mutant.seed),
          withinMs: HUNT_MS,
        });
        expect({ seed, strays }).toMatchObject({ seed: expect.any(Number) as number });
      },
      2 * HUNT_MS,
    );
  }
});

/** The seed that is known to see it; code that moves in time moves the seed as well. */
function* triesFrom(known: number): Generator<number> {
  yield known;
  yield* seedsFrom(1);
}

/** Three servers that were away; something happens to the first one when its journal is read. */
async function housed(whenRead: (disk: MemoryReplica) => void): Promise<readonly ReplicaStore[]> {
  const disks = [0, 1, 2].map(() => new MemoryReplica(SET, schema));
  for (const [replicaId, disk] of disks.entries()) {
    await disk.bootstrap({ clusterId: new Uint8Array(16), replicaId, replicas: 3 });
    disk.restart();
  }
  const [first, ...others] = disks;
  if (first === undefined) throw new Error('there are three');
  const met = new Proxy<ReplicaStore>(first, {
    get: (_, name) => {
      if (name === 'read') whenRead(first);
      const method: unknown = Reflect.get(first, name);
      return typeof method === 'function' ? (method.bind(first) as unknown) : method;
    },
  });
  return [met, ...others];
}

async function takesOver(replicas: readonly ReplicaStore[]): Promise<readonly string[]> {
  const clock = new ManualClock();
  const random = new SeededRandom(1);
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const taken = takeOver({
    setId: SET,
    replicas,
    quorum: 2,
    nodeSlot: 0,
    random,
    hash: sha256,
    log: silent,
    applied: { lsn: lsn(0), sum: ZERO_SUM, evidence: new Evidence() },
    clock,
    quarantine: new Quarantine(sha256),
  });
  taken.catch(() => undefined);
  await clock.advanceSettled(1_000);
  return (await taken).candidates.map(({ kind }) => kind);
}

describe('[L5] a full house', () => {
  test('goes on when all still hold its fence after their journals were read', async () => {
    const kinds = await takesOver(await housed(() => undefined));
    expect(kinds).toEqual(['doubtful', 'doubtful', 'doubtful']);
  });

  test('does not when one was set back to before its promise', async () => {
    const fresh = new MemoryReplica(SET, schema);
    await fresh.bootstrap({ clusterId: new Uint8Array(16), replicaId: 0, replicas: 3 });
    const copy = fresh.diskCopy();
    const set = await housed((disk) => disk.restoreDisk(copy));
    await expect(takesOver(set)).rejects.toThrow('not all replicas still hold its fence');
  });
});
