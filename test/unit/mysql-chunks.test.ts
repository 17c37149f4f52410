import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import type { Chunk } from '../../lib/adapter/mysql-chunks.ts';
import { MysqlChunks } from '../../lib/adapter/mysql-chunks.ts';

const PREV = Uint8Array.of(1);

function chunk(from: number, until: number, chars = 10): Chunk {
  const steps = [{ kind: 'statement', sql: '', chars }] as const;
  return { from, until, prev: PREV, sums: [], bytes: 1, steps };
}

test('[RS12m] a sibling waits a moment for a chunk that is being made, and no longer', async () => {
  const clock = new ManualClock();
  const chunks = new MysqlChunks(clock);
  let finish: (made: Chunk) => void = () => undefined;
  const slow = new Promise<Chunk>((resolve) => {
    finish = resolve;
  });
  void chunks.make(0, () => slow);
  const seen: (Chunk | null)[] = [];
  const want = { from: 0, end: 9, prev: PREV };
  void chunks.find(want).then((found) => seen.push(found));
  await clock.advanceSettled(100);
  expect(seen).toEqual([]);
  await clock.advanceSettled(200);
  expect(seen).toEqual([null]);
  void chunks.find(want).then((found) => seen.push(found));
  finish(chunk(0, 9));
  await clock.advanceSettled(1);
  expect(seen[1]?.until).toBe(9);
});

test('[RS12m] what went wrong for one replica is no news for its sibling', async () => {
  const chunks = new MysqlChunks(new ManualClock());
  const failing = chunks.make(0, () => Promise.reject(new Error('corrupt')));
  const found = chunks.find({ from: 0, end: 9, prev: PREV });
  await expect(failing).rejects.toThrow('corrupt');
  expect(await found).toBeNull();
});

test('[RS12k] a chunk fits by where it begins, what it chains to, and where it ends', async () => {
  const chunks = new MysqlChunks(new ManualClock());
  await chunks.make(3, () => Promise.resolve(chunk(3, 8)));
  const find = async (from: number, end: number, prev = PREV): Promise<number | null> =>
    (await chunks.find({ from, end, prev }))?.until ?? null;
  expect(await find(3, 8)).toBe(8);
  expect(await find(3, 7)).toBeNull();
  expect(await find(4, 8)).toBeNull();
  expect(await find(3, 8, Uint8Array.of(2))).toBeNull();
  // One that begins within it ends with it, and shares again from there.
  expect(chunks.endOf({ from: 5, end: 20 })).toBe(8);
  expect(chunks.endOf({ from: 5, end: 6 })).toBe(6);
  expect(chunks.endOf({ from: 8, end: 20 })).toBe(20);
});

test('[RS12k] only the last few chunks are kept, and fewer when they are large', async () => {
  const chunks = new MysqlChunks(new ManualClock());
  const kept = async (): Promise<number[]> => {
    const found = await Promise.all(
      Array.from({ length: 20 }, (_, from) => chunks.find({ from, end: 99, prev: PREV })),
    );
    return found.flatMap((each) => (each === null ? [] : [each.from]));
  };
  for (let at = 0; at < 10; at++) await chunks.make(at, () => Promise.resolve(chunk(at, at + 1)));
  expect(await kept()).toEqual([4, 5, 6, 7, 8, 9]);
  const large = 20 * 1_048_576;
  await chunks.make(10, () => Promise.resolve(chunk(10, 11, large)));
  expect(await kept()).toEqual([5, 6, 7, 8, 9, 10]);
  await chunks.make(11, () => Promise.resolve(chunk(11, 12, large)));
  expect(await kept()).toEqual([11]);
});
