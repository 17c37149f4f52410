import { describe, expect, test } from 'vitest';
import { Gate } from '../../access/grab.ts';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { SimProcess } from '../../ops/sim/process.ts';
import type { BusWeather } from '../../ops/sim/sim-bus.ts';
import { CALM_BUS, SharedBus } from '../../ops/sim/sim-bus.ts';
import type { CacheWeather } from '../../ops/sim/sim-cache.ts';
import { CALM_CACHE, SharedCache } from '../../ops/sim/sim-cache.ts';
import { Trace } from '../../ops/sim/trace.ts';
import { busContract } from '../contract/bus.contract.ts';

const NOTHING = new Uint8Array(0);
const A = Uint8Array.of(1);

function world(weather: { bus?: BusWeather; cache?: CacheWeather } = {}, seed = 1) {
  const clock = new ManualClock();
  const trace = new Trace(() => clock.monotonicMs());
  const ports = { clock, trace, chance: new SeededRandom(seed) };
  return {
    clock,
    trace,
    bus: new SharedBus({ ...ports, weather: () => weather.bus ?? CALM_BUS }),
    cache: new SharedCache({ ...ports, weather: () => weather.cache ?? CALM_CACHE }),
    process: (name: string) => new SimProcess({ name, clock }),
  };
}

busContract('simulated, calm', async () => {
  const { bus, clock, process } = world();
  const own = bus.of(process('a'));
  return { bus: own, settle: () => clock.advanceSettled(10), dispose: () => own.close() };
});

describe('the simulated bus', () => {
  /** What a process hears of `count` numbered messages. */
  async function heardOf(count: number, weather: BusWeather, seed = 1): Promise<number[]> {
    const { bus, clock, process } = world({ bus: weather }, seed);
    const heard: number[] = [];
    await bus.of(process('ear')).subscribe('a', (_, [number]) => heard.push(number ?? -1));
    const mouth = bus.of(process('mouth'));
    for (let number = 0; number < count; number++) {
      await mouth.publish('a', Uint8Array.of(number));
      await clock.advanceSettled(5);
    }
    await clock.advanceSettled(3_000);
    return heard;
  }

  const all = Array.from({ length: 200 }, (_, number) => number);

  test('brings everything once and in order when the weather is calm', async () => {
    expect(await heardOf(200, CALM_BUS)).toEqual(all);
  });

  test('loses', async () => {
    const heard = await heardOf(200, { ...CALM_BUS, lost: 300 });
    expect(heard.length).toBeLessThan(180);
    expect(heard).toEqual(all.filter((number) => heard.includes(number)));
  });

  test('repeats', async () => {
    const heard = await heardOf(200, { ...CALM_BUS, repeated: 300 });
    expect(heard.length).toBeGreaterThan(220);
    expect(new Set(heard).size).toBe(200);
  });

  test('delays and so reorders', async () => {
    const heard = await heardOf(200, { ...CALM_BUS, late: 300 });
    expect(heard).not.toEqual(all);
    expect(heard.toSorted((a, b) => a - b)).toEqual(all);
  });

  test('does the same again from the same seed, and something else from another', async () => {
    const weather = { lost: 200, repeated: 200, late: 200 };
    const once = await heardOf(200, weather, 7);
    expect(await heardOf(200, weather, 7)).toEqual(once);
    expect(await heardOf(200, weather, 8)).not.toEqual(once);
  });

  test('a paused process hears when it wakes, a dead one never', async () => {
    const { bus, clock, process } = world();
    const [sleeper, dead, mouth] = [process('sleeper'), process('dead'), process('mouth')];
    const heard: string[] = [];
    for (const each of [sleeper, dead]) {
      await bus.of(each).subscribe('a', () => heard.push(each.name));
    }
    sleeper.pause();
    await bus.of(mouth).publish('a', NOTHING);
    dead.kill();
    await clock.advanceSettled(100);
    expect(heard).toEqual([]);
    sleeper.resume();
    expect(heard).toEqual(['sleeper']);
    mouth.kill();
    await bus.of(mouth).publish('a', NOTHING);
    await clock.advanceSettled(100);
    expect(heard).toEqual(['sleeper']);
  });

  test('a handler that throws is seen by the walk', async () => {
    const { bus, clock, process, trace } = world();
    await bus.of(process('a')).subscribe('a', () => {
      throw new Error('planted');
    });
    await bus.of(process('b')).publish('a', NOTHING);
    await clock.advanceSettled(100);
    expect(trace.broken?.message).toMatch(/^BU2 .*planted/);
  });
});

describe('the simulated cache', () => {
  /** Lets virtual time go on until the answer is there. */
  async function answer<T>(clock: ManualClock, asked: Promise<T>): Promise<T | 'failed'> {
    const settled = asked.catch(() => 'failed' as const);
    await clock.advanceSettled(1_000);
    return settled;
  }

  test('is one for all processes, and forgets at a word', async () => {
    const { cache, clock, process } = world();
    const [one, two] = [cache.of(process('one')), cache.of(process('two'))];
    await answer(clock, one.set('k', A, 60_000));
    expect(await answer(clock, two.get('k'))).toEqual(A);
    expect(await answer(clock, one.addMember('s', 'x', 60_000))).toBe(1);
    expect(await answer(clock, two.addMember('s', 'y', 60_000))).toBe(2);
    await answer(clock, one.removeMember('s', 'x'));
    expect(await answer(clock, two.addMember('s', 'y', 60_000))).toBe(1);
    cache.forget();
    expect(await answer(clock, two.get('k'))).toBeNull();
    await answer(clock, one.set('k', A, 60_000));
    await answer(clock, one.delete('k'));
    expect(await answer(clock, two.get('k'))).toBeNull();
  });

  test('fails, and half of what failed was done', async () => {
    const weather = { ...CALM_CACHE, failed: 1_000 };
    const sky = { cache: weather };
    const { cache, clock, process } = world(sky);
    const one = cache.of(process('one'));
    for (let member = 0; member < 40; member++) {
      const added = await answer(clock, one.addMember('s', `m${member}`, 600_000));
      expect(added).toBe('failed');
    }
    sky.cache = CALM_CACHE;
    const count = await answer(clock, one.addMember('s', 'last', 600_000));
    expect(count).toBeGreaterThan(10);
    expect(count).toBeLessThan(32);
  });

  test('lies of counts and values, never with the value of another key', async () => {
    const { cache, clock, process } = world({ cache: { ...CALM_CACHE, lies: 500 } });
    const one = cache.of(process('one'));
    await answer(clock, one.set('k', A, 600_000));
    const values = [];
    const counts = [];
    for (let time = 0; time < 40; time++) {
      values.push(await answer(clock, one.get('k')));
      counts.push(await answer(clock, one.addMember('s', 'me', 600_000)));
    }
    expect(values).toContain(null);
    expect(values.filter((value) => value !== null)).toContainEqual(A);
    expect(counts).toContain(1);
    expect(Math.max(...counts.map(Number))).toBe(1_000_000);
  });

  test('forgets between two calls', async () => {
    const { cache, clock, process } = world({ cache: { ...CALM_CACHE, forgotten: 300 } });
    const one = cache.of(process('one'));
    const counts = [];
    for (let member = 0; member < 40; member++) {
      counts.push(Number(await answer(clock, one.addMember('s', `m${member}`, 600_000))));
    }
    expect(counts.slice(1)).toContain(1);
    expect(Math.max(...counts)).toBeGreaterThan(2);
  });

  test('answers a paused process when it wakes, and a dead one never', async () => {
    const { cache, clock, process } = world();
    const [sleeper, dead] = [process('sleeper'), process('dead')];
    const heard: string[] = [];
    for (const each of [sleeper, dead]) {
      void cache
        .of(each)
        .get('k')
        .then(() => heard.push(each.name));
    }
    sleeper.pause();
    dead.kill();
    await clock.advanceSettled(1_000);
    expect(heard).toEqual([]);
    sleeper.resume();
    await clock.advanceSettled(0);
    expect(heard).toEqual(['sleeper']);
  });

  test('whatever it does, the gate says go or wait and nothing else', async () => {
    const weather = { forgotten: 200, failed: 300, lies: 500 };
    const { cache, clock, process } = world({ cache: weather });
    let open = 0;
    const gate = new Gate({
      cache: cache.of(process('one')),
      random: new SeededRandom(1),
      failed: () => (open += 1),
    });
    const person = { hash: 'h', opened: new Map(), inLine: new Map() };
    const packet = { packetId: 1n, phase: 'live', shown: { count: 1 } };
    const said = new Set<string>();
    for (let time = 0; time < 100; time++) {
      const asked = gate.grab(person as never, packet as never);
      const got = await answer(clock, asked);
      said.add(got === 'failed' ? got : got.status);
      gate.leave(person as never, '1');
      await clock.advanceSettled(1_000);
    }
    expect([...said].toSorted()).toEqual(['go', 'wait']);
    expect(open).toBeGreaterThan(10);
  });
});
