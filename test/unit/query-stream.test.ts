import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { setId } from '../../lib/core/units.ts';
import type { BatchStream } from '../../lib/runtime/stream.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { QueryReplyBatch } from '../../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Engine } from '../../set-node/lead/engine.ts';
import type { QueryRoom } from '../../set-node/read/query-stream.ts';
import { ReadCounts, REPLIES_HELD_MAX, serveQueries } from '../../set-node/read/query-stream.ts';

/** A stream of gRPC as far as senders see it: a few batches fit, then it is congested. */
class SlowStream implements BatchStream<QueryReplyBatch> {
  static readonly fits = 64;
  readonly sent: QueryReplyBatch[] = [];
  readonly open = true;
  congested = false;
  aborted: string | null = null;
  #waiting = 0;

  send(batch: QueryReplyBatch): boolean {
    if (this.congested && this.#waiting++ >= SlowStream.fits) return false;
    this.sent.push(batch);
    this.congested = true;
    return true;
  }

  drain(): void {
    this.congested = false;
    this.#waiting = 0;
  }

  end(): void {}

  abort(reason: string): void {
    this.aborted = reason;
  }
}

function standby(stream: SlowStream) {
  const clock = new ManualClock();
  const metrics = createMetrics();
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const args = { setId: setId(1), clock, log, metrics, topologyVersion: () => 1 };
  const room: QueryRoom = {
    args,
    engine: { driver: null, leaderEpoch: 0 } as Engine,
    reads: {
      answer: async () => ({ status: 'ok' }),
      shownLsn: 0,
      watchers: new Set(),
    } as never,
    counts: new ReadCounts(args),
    leaders: new Set(),
  };
  return serveQueries(room, stream);
}

const queries = (count: number): Query__Output[] =>
  Array.from({ length: count }, (_, tag) => ({ tag }) as Query__Output);

const tagsOf = (stream: SlowStream): (number | undefined)[] =>
  stream.sent.flatMap(({ replies }) => (replies ?? []).map(({ tag }) => tag));

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe('answers to a burst of questions', () => {
  test('wait for a caller who reads as fast as he can, in order', async () => {
    const stream = new SlowStream();
    const listener = standby(stream);
    listener.message({ queries: queries(1_000) } as never);
    await settled();
    expect(stream.aborted).toBeNull();
    for (let round = 0; round < 1_000; round++) {
      stream.drain();
      listener.drained?.();
    }
    expect(tagsOf(stream)).toEqual(Array.from({ length: 1_000 }, (_, tag) => tag));
    expect(stream.aborted).toBeNull();
  });

  test('are bounded: who does not read is cut off', async () => {
    const stream = new SlowStream();
    const listener = standby(stream);
    listener.message({ queries: queries(REPLIES_HELD_MAX + 2) } as never);
    await settled();
    expect(stream.aborted).toBe('replies are not being read');
  });
});
