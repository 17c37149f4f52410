import { afterAll, beforeAll, expect, test } from 'vitest';
import { epoch, lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { Rig } from '../../ops/rig/rig.ts';
import { compareScript, describe, shorten } from '../../ops/sim/conformance/compare.ts';
import { makeScript } from '../../ops/sim/conformance/make-script.ts';
import { MEMORY, openMemoryWorld } from '../../ops/sim/conformance/memory-world.ts';
import { MysqlWorlds } from '../../ops/sim/conformance/mysql-world.ts';
import type { ReplicaWorld, WorldSource } from '../../ops/sim/conformance/replica-world.ts';
import { show } from '../../ops/sim/conformance/script.ts';
import { SqliteWorlds } from '../../ops/sim/conformance/sqlite-world.ts';
import { ANSWERS, Tally } from '../../ops/sim/conformance/tally.ts';

/** A short form of the proof `conformance`, which runs 1,000 on all three. */
/** Each restart starts a worker thread: a script takes five times as long as on MariaDB. */
const SQLITE_SCRIPTS = 8;
const MYSQL_SCRIPTS = 30;
const WITHIN_MS = 60_000;

let rig: Rig;
let mysql: MysqlWorlds;
const sqlite = new SqliteWorlds();

beforeAll(async () => {
  rig = await Rig.open();
  mysql = await MysqlWorlds.start(rig);
});

afterAll(async () => {
  await sqlite.close();
  await mysql.close();
  await rig.close();
});

async function differences(source: WorldSource, scripts: number, from: number): Promise<string[]> {
  for (let seed = from; seed < from + scripts; seed++) {
    const sources = [MEMORY, source];
    const { difference } = await compareScript(sources, await makeScript(seed));
    if (difference !== null) return describe(await shorten(sources, difference));
  }
  return [];
}

test(
  'random scripts come to the same in memory and on SQLite',
  { timeout: WITHIN_MS },
  async () => {
    expect(await differences(sqlite, SQLITE_SCRIPTS, 10_000)).toEqual([]);
  },
);

test('and on MariaDB', { timeout: WITHIN_MS }, async () => {
  expect(await differences(mysql, MYSQL_SCRIPTS, 20_000)).toEqual([]);
});

test('and on a MariaDB that is killed at every restart', { timeout: WITHIN_MS }, async () => {
  mysql.restarts = 'killed';
  expect(await differences(mysql, 2, 30_000)).toEqual([]);
  expect(mysql.killed).toBeGreaterThan(0);
});

test('scripts come to every answer that the port has', async () => {
  const tally = new Tally();
  for (let seed = 1; seed <= 300; seed++) {
    const script = await makeScript(seed);
    const { runs } = await compareScript([MEMORY], script);
    for (const run of runs) tally.add(script, run);
  }
  expect(tally.missing(ANSWERS, 1)).toEqual([]);
});

test('a seed makes the same script, and a script comes to the same, every time', async () => {
  const script = await makeScript(5);
  expect(show((await makeScript(5)).steps)).toBe(show(script.steps));
  const [first, second] = (await compareScript([MEMORY, MEMORY], script)).runs;
  expect(first?.outcomes).toHaveLength(script.steps.length);
  expect(second).toEqual(first);
});

/** A store that is another one in a single call. */
type Lie = (store: ReplicaStore) => Partial<ReplicaStore>;

const LIES: Readonly<Record<string, Lie>> = {
  'a late admission is taken': (store) => ({
    admit: async (args) => {
      const done = await store.admit(args);
      return done === 'fenced' ? 'done' : done;
    },
  }),
  'a gap is a lack of a vote': (store) => ({
    append: async (args) => {
      const reply = await store.append(args);
      return reply.kind === 'mismatch' ? { kind: 'no_vote' } : reply;
    },
  }),
  'another code for a committed row': (store) => ({
    truncate: (args) =>
      store.truncate(args).catch((error: unknown) => {
        throw error instanceof StoreError ? new StoreError('unavailable', error.message) : error;
      }),
  }),
  'a read gives one entry too many': (store) => ({
    read: (args) => store.read({ ...args, after: lsn(Math.max(0, args.after - 1)) }),
  }),
  'a beat of an old epoch counts': (store) => ({
    beat: async () => store.beat(epoch((await store.readBeat()).epoch)),
  }),
  'a proof is not taken away': () => ({ unprove: async () => 'done' }),
};

function lying(lie: Lie): WorldSource {
  return {
    name: 'lying',
    open: async (): Promise<ReplicaWorld> => {
      const world = openMemoryWorld();
      const { store } = world;
      const changed: Partial<Record<PropertyKey, unknown>> = lie(store);
      const other = new Proxy(store, {
        get: (target, name) => {
          if (name in changed) return changed[name];
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return { ...world, store: other };
    },
    close: async () => undefined,
  };
}

test.each(Object.keys(LIES))('a planted difference is seen: %s', async (name) => {
  const lie = LIES[name];
  if (lie === undefined) throw new Error('there is such a lie');
  const sources = [MEMORY, lying(lie)];
  for (let seed = 1; seed <= 60; seed++) {
    const { difference } = await compareScript(sources, await makeScript(seed));
    if (difference === null) continue;
    const short = await shorten(sources, difference);
    expect(short.script.steps.length).toBeLessThan(12);
    expect(describe(short)[0]).toMatch(new RegExp(`^seed ${seed}[,:]`));
    return;
  }
  expect.unreachable('60 scripts saw nothing');
});

test('a planted difference of the disk alone is seen in the state at the end', async () => {
  const forgetful: WorldSource = {
    ...MEMORY,
    open: async () => ({ ...openMemoryWorld(), discarded: async () => [] }),
  };
  for (let seed = 1; seed <= 60; seed++) {
    const { difference } = await compareScript([MEMORY, forgetful], await makeScript(seed));
    if (difference === null) continue;
    expect(difference.at).toBeNull();
    expect(difference.said[1]?.outcome).toBe('discarded []');
    return;
  }
  expect.unreachable('60 scripts discarded nothing');
});
