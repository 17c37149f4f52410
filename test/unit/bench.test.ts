import { describe, expect, test } from 'vitest';
import { decodeCommands, encodeReplies } from '../../lib/core/batch.ts';
import { decodeCommand } from '../../lib/core/command.ts';
import { RIGHT_SEND_PACKET } from '../../lib/core/grant.ts';
import { asId } from '../../lib/core/ids.ts';
import { encodeOutcome } from '../../lib/core/outcome.ts';
import { statusCode } from '../../lib/core/status.ts';
import { lsn, timeMs } from '../../lib/core/units.ts';
import { packetsFor } from '../../ops/bench/journal-hold.ts';
import { Histogram, closedLoop, medianRun } from '../../ops/bench/load.ts';
import { OpenMessage, eachReply } from '../../ops/bench/open-messages.ts';
import { placeOf } from '../../ops/bench/peer-mariadb.ts';
import { ticksIn } from '../../ops/bench/processes.ts';
import { AckedLsns, messageOf } from '../../ops/bench/set-load.ts';
import { user } from '../../ops/bench/set-maker.ts';

describe('the times of a bench', () => {
  test('a quantile is the time below which that share lies', () => {
    const times = new Histogram();
    for (let ms = 1; ms <= 100; ms++) times.add(ms);
    expect(times.quantile(0.5)).toBeCloseTo(50, 0);
    expect(times.quantile(0.99)).toBeCloseTo(99, 0);
    times.add(1_500, 100);
    expect(times.total).toBe(200);
    expect(times.quantile(0.75)).toBeCloseTo(1_500, 0);
  });

  test('none has no quantile, and one beyond the end counts as the end', () => {
    const times = new Histogram();
    expect(times.quantile(0.5)).toBeNaN();
    times.add(60_000);
    expect(times.quantile(0.5)).toBeCloseTo(2_000, 0);
  });

  test('each figure of a median run is a median of its own', () => {
    const run = (opensPerS: number, p99Ms: number) => ({
      opensPerS,
      p99Ms,
      p50Ms: 1,
      serverCpuUs: 2,
      clientCpuUs: 3,
    });
    const { opensPerS, p99Ms } = medianRun([run(10, 9), run(30, 7), run(20, 8)]);
    expect({ opensPerS, p99Ms }).toEqual({ opensPerS: 20, p99Ms: 8 });
  });

  test('a closed loop counts what was made and ends when nothing is left', async () => {
    let cpu = 0;
    const numbers: number[] = [];
    const run = await closedLoop({
      seconds: 5,
      width: 3,
      call: async (number) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (number >= 30) return 0;
        numbers.push(number);
        return 2;
      },
      serverCpuUs: () => (cpu += 60),
    });
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n));
    // 60 µs between the two looks, for 60 opens.
    expect(run.serverCpuUs).toBe(1);
    expect(run.opensPerS).toBeGreaterThan(0);
    expect(run.p50Ms).toBeGreaterThan(0.9);
  });

  test('a lag is the time since something newer was acknowledged', async () => {
    const acked = new AckedLsns();
    acked.note(5);
    acked.note(5);
    expect(acked.lagSeconds(5)).toBe(0);
    expect(acked.lagSeconds(9)).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    acked.note(8);
    expect(acked.lagSeconds(8)).toBe(0);
    expect(acked.lagSeconds(7)).toBeLessThan(0.02);
    expect(acked.lagSeconds(4)).toBeGreaterThan(0.02);
  });

  test('CPU is read behind a name that may hold anything', () => {
    const rest = 'S 1 2 3 4 5 6 7 8 9 10 250 50 13 14';
    expect(ticksIn(`77 (a) b) ${rest}`)).toBe(300);
  });
});

describe('which share of which packet', () => {
  test.each([1, 3, 50])('%i packets side by side: every share once', (spread) => {
    const packets = spread * 2;
    const seen = new Set<string>();
    let largest = 0;
    for (let number = 0; number < packets * 100; number++) {
      const { packet, person } = placeOf({ number, spread });
      seen.add(`${packet}/${person}`);
      largest = Math.max(largest, packet);
    }
    expect(seen.size).toBe(packets * 100);
    expect(largest).toBe(packets - 1);
  });

  test.each([1, 100, 300])(
    'messages of 100, %i packets side by side: every share once',
    (spread) => {
      const rounds = 2;
      const packets = spread * rounds;
      const seen = new Set<string>();
      let largest = 0;
      for (let number = 0; number < packets; number++) {
        const { packets: first, opener, isHot } = messageOf({ number, spread, size: 100 });
        for (let index = 0; index < 100; index++) {
          const packet = isHot ? first : first + index;
          largest = Math.max(largest, packet);
          seen.add(`${packet}/${isHot ? index : opener}`);
        }
      }
      expect(seen.size).toBe(packets * 100);
      expect(largest).toBe(packets - 1);
    },
  );

  test('a rate that has to hold has packets for the whole time', () => {
    expect(packetsFor({ opens: 100_000, spread: 1 })).toBeGreaterThanOrEqual(1_001);
    expect(packetsFor({ opens: 100_000, spread: 2_000 }) % 2_000).toBe(0);
    expect(packetsFor({ opens: 900_000, spread: 2_000 })).toBeGreaterThanOrEqual(9_000);
  });
});

describe('messages that are encoded once', () => {
  const grant = {
    groupId: asId(77n),
    role: 'member',
    rights: RIGHT_SEND_PACKET,
    groupLsn: lsn(3),
    issuedAt: timeMs(1_000),
    mac: new Uint8Array(16).fill(9),
  } as const;

  test('each use has its own tags and packets, and the real codec reads them', () => {
    const names = ['a', 'member-12', '小红'];
    const message = new OpenMessage(names.map((name) => ({ user: user(name), grant })));
    message.fill({ firstTag: 1, packetOf: () => asId(1n) });
    const filled = message.fill({
      firstTag: 256,
      packetOf: (index) => asId(2n ** 40n + BigInt(index)),
    });
    const items = decodeCommands(new Uint8Array(filled));
    expect(items.map(({ tag }) => tag)).toEqual([256, 257, 258]);
    expect(items.map(({ command }) => decodeCommand(command))).toEqual(
      names.map((name, index) => ({
        type: 'packet.open',
        packetId: 2n ** 40n + BigInt(index),
        user: name,
        grant,
      })),
    );
  });

  test('replies are read without decoding their outcomes', () => {
    const outcome = encodeOutcome({ type: 'packet.open', status: 'packet_drained' });
    const ok = encodeOutcome({ type: 'transfer.ack', status: 'ok', upTo: 4 });
    const body = encodeReplies([
      { tag: 7, lsn: 2 ** 40, outcome },
      { tag: 8, lsn: 3, outcome: ok },
    ]);
    const seen: unknown[] = [];
    eachReply(Buffer.from(body), (tag, at, code) => seen.push([tag, at, code]));
    expect(seen).toEqual([
      [7, 2 ** 40, statusCode('packet_drained')],
      [8, 3, statusCode('ok')],
    ]);
  });
});
