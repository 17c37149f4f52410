import { expect, test } from 'vitest';
import type { Command } from '../../lib/core/command.ts';
import { decodeOps } from '../../lib/core/journal-entry.ts';
import type { Id } from '../../lib/core/ids.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { Engine } from '../../set-node/lead/engine.ts';
import type { Grown } from '../../set-node/log/grow.ts';
import { growSet } from '../../set-node/log/grow.ts';
import { CLUSTER, Faulty, SET, World } from './set-log-world.ts';

const NEVER = new Promise<never>(() => undefined);

/** A Set of one replica, two servers more, and what its people were promised. */
class Farm {
  readonly w: World;
  readonly groupId: Id;
  readonly servers: Faulty[];
  readonly promised: string[] = [];

  private constructor(w: World, groupId: Id) {
    this.w = w;
    this.groupId = groupId;
    this.servers = [...w.replicas, new Faulty(w.clock), new Faulty(w.clock)];
  }

  static async make(): Promise<Farm> {
    const w = await World.start(1);
    await w.fund('ann', 10_000);
    const farm = new Farm(w, await w.foundGroup('ann'));
    await farm.promise(w.engine, 'before');
    return farm;
  }

  get configuration(): Extract<Command, { type: 'set.configure' }> {
    const { slots } = this.w;
    return {
      type: 'set.configure',
      clusterId: CLUSTER,
      replicas: 3,
      quorum: 2,
      rules: 1,
      slots,
    };
  }

  /** True when the command was answered with a yes. */
  async promise(engine: Engine, body: string): Promise<boolean> {
    const answers = this.w.submit({ ...this.w.message('ann', this.groupId), body }, engine);
    await this.w.run(100);
    if (answers[0]?.status !== 'ok') return false;
    this.promised.push(body);
    return true;
  }

  grow(stores: readonly ReplicaStore[] = this.servers.map(({ store }) => store)): Promise<Grown> {
    const { clock, random, crypto } = this.w;
    const { configuration } = this;
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    const args = { setId: SET, configuration, nodeSlot: 7, clock, random, crypto, log };
    return growSet({ ...args, replicas: stores });
  }

  /** Runs a grow to its end, under virtual time. */
  async grown(): Promise<Grown> {
    let result: Grown | Error | null = null;
    void this.grow().then(
      (grown) => (result = grown),
      (error: unknown) => (result = error instanceof Error ? error : new Error(String(error))),
    );
    for (let turn = 0; turn < 200 && result === null; turn++) await this.w.run(50);
    if (result === null || (result as Grown | Error) instanceof Error)
      throw result ?? new Error('late');
    return result;
  }

  /** Runs a grow whose process dies at its nth call, before or after the call is done. */
  async crash(at: number, done: boolean): Promise<boolean> {
    let calls = 0;
    const dying = this.servers.map(
      ({ store }) =>
        new Proxy(store, {
          get: (target, name) => {
            const method: unknown = Reflect.get(target, name);
            if (typeof method !== 'function') return method;
            return async (...args: unknown[]) => {
              calls += 1;
              if (calls > at) return NEVER;
              if (calls === at && !done) return NEVER;
              const reply = (await method.apply(target, args)) as unknown;
              return calls >= at ? NEVER : reply;
            };
          },
        }),
    );
    let ended = false;
    void this.grow(dying).then(
      () => (ended = true),
      () => (ended = true),
    );
    for (let turn = 0; turn < 10 && !ended; turn++) await this.w.run(50);
    return calls >= at;
  }

  async tryToLead(engine: Engine, ms = 1_500): Promise<boolean> {
    engine.start();
    await this.w.run(ms);
    return engine.status.kind === 'leading';
  }

  old(): Engine {
    return this.w.newEngine(0);
  }

  new(): Engine {
    const replicas = this.servers.map(({ store }) => store);
    return this.w.newEngine(1, { replicas, quorum: 2, configuration: this.configuration });
  }

  async bodies(server: number): Promise<string[]> {
    const disk = this.servers[server]?.disk;
    const journal = (await disk?.read({ after: lsn(0), limitBytes: 2 ** 30 })) ?? [];
    return journal.flatMap((entry) =>
      decodeOps(entry).flatMap(({ command }) =>
        command.type === 'message.send' ? [command.body] : [],
      ),
    );
  }
}

/** Two new replicas of a grow that did not come to its CONFIG: proved, and with an old journal. */
async function demandNoLeaderWithoutElder(farm: Farm): Promise<void> {
  const [elder] = farm.servers;
  if (elder === undefined) throw new Error('no server');
  elder.down = true;
  const engine = farm.new();
  expect(await farm.tryToLead(engine)).toBe(false);
  elder.down = false;
  await engine.stop();
  await farm.w.run(500);
}

async function end(farm: Farm, engine: Engine): Promise<void> {
  await farm.w.run(3_000);
  for (const server of [0, 1, 2]) expect(await farm.bodies(server)).toEqual(farm.promised);
  await engine.stop();
}

test('[L20] a Set of one replica becomes a Set of three, and never one again', async () => {
  const farm = await Farm.make();
  await farm.w.kill();
  expect(await farm.grown()).toMatchObject({ kind: 'grown' });
  expect(await farm.tryToLead(farm.old())).toBe(false);
  const engine = farm.new();
  expect(await farm.tryToLead(engine)).toBe(true);
  expect(await farm.promise(engine, 'after')).toBe(true);
  // Any one of them may go now.
  for (const server of farm.servers) {
    server.down = true;
    expect(await farm.promise(engine, `without ${farm.servers.indexOf(server)}`)).toBe(true);
    server.down = false;
    await farm.w.run(2_000);
  }
  expect(await farm.grown()).toEqual({ kind: 'already' });
  expect(await farm.promise(engine, 'still there')).toBe(true);
  await end(farm, engine);
});

test('[L20] a leader of the old configuration is fenced, and refuses what came meanwhile', async () => {
  const farm = await Farm.make();
  const sleeper = farm.w.engine;
  const first = farm.servers[0];
  if (first === undefined) throw new Error('no server');
  await farm.grown();
  expect(await farm.promise(sleeper, 'late')).toBe(false);
  await farm.w.run(3_000);
  expect(sleeper.status).toMatchObject({ kind: 'refused', error: { name: 'WrongConfiguration' } });
  const engine = farm.new();
  expect(await farm.tryToLead(engine)).toBe(true);
  await end(farm, engine);
});

test('[L21] a crash at any point of a grow loses nothing, and leaves one configuration', async () => {
  let points = 0;
  let before = 0;
  let after = 0;
  for (const done of [false, true]) {
    for (let at = 1; ; at++) {
      const farm = await Farm.make();
      await farm.w.kill();
      if (!(await farm.crash(at, done))) break;
      points += 1;
      // Whoever comes first: the old configuration or the new one serves, never both.
      const engines = at % 2 === 0 ? [farm.old(), farm.new()] : [farm.new(), farm.old()];
      const leads: boolean[] = [];
      for (const [index, engine] of engines.entries()) {
        const led = await farm.tryToLead(engine);
        leads.push(led);
        expect(await farm.promise(engine, `by ${index}`)).toBe(led);
      }
      expect(leads.filter((each) => each)).toHaveLength(1);
      const isNew = leads[at % 2 === 0 ? 1 : 0] === true;
      if (isNew) after += 1;
      else before += 1;
      for (const engine of engines) await engine.stop();
      await farm.w.run(500);
      if (!isNew) await demandNoLeaderWithoutElder(farm);
      // And it is run again to its end.
      expect(await farm.grown()).toMatchObject({ kind: isNew ? 'already' : 'grown' });
      expect(await farm.tryToLead(farm.old())).toBe(false);
      const engine = farm.new();
      expect(await farm.tryToLead(engine)).toBe(true);
      expect(await farm.promise(engine, 'at the end')).toBe(true);
      await end(farm, engine);
    }
  }
  expect({ before: before > 20, after: after > 2 }).toEqual({ before: true, after: true });
  expect(points).toBe(before + after);
});

test('[L22] a new replica that holds another journal is not touched', async () => {
  const farm = await Farm.make();
  const other = await Farm.make();
  await other.promise(other.w.engine, 'of another life');
  await farm.w.kill();
  const [first, second] = farm.servers;
  const [foreign] = other.servers;
  if (first === undefined || second === undefined || foreign === undefined)
    throw new Error('three');
  const before = await foreign.disk.read({ after: lsn(0), limitBytes: 2 ** 30 });
  const grow = farm.grow([first.store, second.store, foreign.store]);
  grow.catch(() => undefined);
  await farm.w.run(2_000);
  await expect(grow).rejects.toBeInstanceOf(StoreError);
  expect(await foreign.disk.read({ after: lsn(0), limitBytes: 2 ** 30 })).toEqual(before);
  // Nothing has changed for the Set itself.
  const engine = farm.old();
  expect(await farm.tryToLead(engine)).toBe(true);
});
