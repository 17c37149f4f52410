/** How much of an outbox one look brings, by the real reader and courier; how much one ack says. */
import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import { asId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import { LANES } from '../../lib/core/transfer.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { Lane } from '../../reconciler/lane.ts';
import { startReconciler } from '../../reconciler/server.ts';
import type { Router } from '../../router/api.ts';
import type { ReadArgs } from '../../set-node/read/reads.ts';
import { readMemory } from '../../set-node/read/reads.ts';
import { SetState } from '../../set-node/machine/state.ts';
import { commandOf, FakeWorld } from './reconciler-world.ts';

const SILENT = { info() {}, warn() {}, error() {} };
const HOT = 1;
const HOT_COUNT = 5_000;

/** Set 0 owes everybody: much to one who takes it, a little to all others, who are away. */
function owing({ sets, each }: { sets: number; each: number }): SetState {
  const state = new SetState(setId(0));
  const user = parseUserId('bob')!;
  for (let to = 1; to < sets; to++) {
    for (let number = 1; number <= (to === HOT ? HOT_COUNT : each); number++) {
      const transfer = {
        kind: 'claim.credit',
        packetId: asId(1n),
        groupId: asId(2n),
        user,
        amountCents: cents(1),
      } as const;
      state.outbox.add({ to: setId(to), lane: LANES.credit, number, transfer });
    }
  }
  return state;
}

function look(state: SetState, outbox: object): { to: number; lane: number; bytes: number }[] {
  const query = { outbox } as unknown as ReadArgs['query'];
  const args = { state, query, seals: null as never, now: timeMs(0) };
  const { runs = [] } = readMemory(args)?.outbox ?? {};
  return (runs ?? []).map(({ to = 0, lane = 0, transfers = '' }) => ({
    to,
    lane,
    bytes: transfers?.length ?? 0,
  }));
}

test('lanes whose reader has all that they hold take no part of a look', () => {
  const state = owing({ sets: 60, each: 3 });
  const all = look(state, { cursors: [], limit: 1_024, packed: true });
  expect(all.length).toBe(59);
  const hot = all.find(({ to }) => to === HOT)!;
  const read = all.filter(({ to }) => to !== HOT);
  const cursors = read.map(({ to, lane }) => ({ to, lane, after: String(3) }));
  const next = look(state, { cursors, limit: 1_024, packed: true });
  expect(next.map(({ to }) => to)).toEqual([HOT]);
  expect(next[0]!.bytes).toBeGreaterThan(30 * hot.bytes);
});

test.each([
  { sets: 60, each: 3, withinMs: 600, what: 'whose entries are held already' },
  // A look that cut its lane brings little when many others had something too.
  { sets: 46, each: 1, withinMs: 190, what: 'that take most of the first look' },
])('[S3] a busy lane is not slowed by others $what', async ({ sets, each, withinMs }) => {
  const state = owing({ sets, each });
  const { router: model } = new FakeWorld({ sets, seed: 1 });
  const clock = new ManualClock();
  const later = <T>(answer: () => T): Promise<T> =>
    new Promise((resolve) => clock.after(1, () => resolve(answer())));
  const router: Router = {
    ...model,
    query: (set, ask) =>
      later(() => {
        if (set !== 0 || !ask.outbox) return { status: 'set_unavailable', reply: null };
        const query = ask as ReadArgs['query'];
        const args = { state, query, seals: null as never, now: timeMs(0) };
        const { runs } = readMemory(args)?.outbox ?? {};
        // As it comes off the wire: what was not written is empty.
        return { status: 'ok', reply: { outbox: { runs: runs ?? [], entries: [] } } as never };
      }),
    command: (set, encoded) =>
      later(() => {
        const command = commandOf(encoded);
        const mark = { setId: set, epoch: 1, lsn: 1 };
        if (command.type === 'transfer.ack') {
          state.outbox.finish(command);
          return { outcome: { type: command.type, status: 'ok', upTo: command.upTo }, mark };
        }
        if (command.type !== 'transfer.deliver') throw new Error(command.type);
        if (set !== HOT)
          return { outcome: { type: command.type, status: 'set_unavailable' }, mark };
        const receipts = command.transfers.map((): Receipt => ({ kind: 'applied' }));
        return { outcome: { type: command.type, status: 'ok', receipts }, mark };
      }),
  };
  const bus = {
    publish: () => Promise.resolve(),
    subscribe: () => Promise.resolve({ unsubscribe: () => Promise.resolve() }),
    close: () => Promise.resolve(),
  };
  const metrics = createMetrics();
  const random = new SeededRandom(1);
  const reconciler = startReconciler({ router, bus, clock, random, log: SILENT, metrics });
  await clock.advanceSettled(withinMs);
  expect(state.outbox.lane(setId(HOT), LANES.credit).pending.length).toBe(0);
  // The others have all of theirs still.
  expect(state.outbox.pendingCount).toBe((sets - 2) * each);
  await reconciler.stop();
});

test('[S1] however many were refused, an acknowledgement fits a command, and none is left out', () => {
  const lane = new Lane();
  const refused: Receipt = { kind: 'tombstone', reason: 'insufficient_funds' };
  const count = 20 * LIMITS.deliverTransfersMax;
  // Its source answers questions and takes no acknowledgement.
  for (let number = 1; number <= count; number++) {
    lane.offer({ number, transfer: new Uint8Array(80), seenAtMs: number });
    const delivery = lane.nextDelivery();
    lane.received({ receipts: [refused], epoch: 1, lsn: number });
    expect(delivery?.first).toBe(number);
  }
  const told: number[] = [];
  for (let ack = lane.nextAck(); ack !== null; ack = lane.nextAck()) {
    const bytes = encodeCommand({
      type: 'transfer.ack',
      to: setId(1),
      lane: 0,
      upTo: ack.upTo,
      tombstones: ack.tombstones,
      receiptEpoch: epoch(ack.receiptEpoch),
      receiptLsn: lsn(ack.receiptLsn),
    });
    expect(bytes.length).toBeLessThanOrEqual(LIMITS.commandBytesMax);
    expect(lane.oldest).toMatchObject({ step: 'ack' });
    // Each says all that was refused up to where it goes: a refund rests on it.
    told.push(...ack.tombstones.map(({ number }) => number));
    expect(told.length).toBe(ack.upTo);
    lane.acked();
  }
  expect(told.length).toBe(count);
  expect(told.every((number, at) => number === at + 1)).toBe(true);
  expect([lane.isIdle, lane.oldest]).toEqual([true, null]);
});
