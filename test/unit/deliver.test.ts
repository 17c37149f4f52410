/** A Set that is full: what waits and what goes back (SPEC S4). */
import { describe, expect, test } from 'vitest';
import type { Command } from '../../lib/core/command.ts';
import { packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { Decision, World } from '../../set-node/machine/context.ts';
import { NO_FINDINGS } from '../../set-node/machine/context.ts';
import { fitsHere } from '../../set-node/machine/deliver.ts';
import { execute } from '../../set-node/machine/machine.ts';
import { SetState } from '../../set-node/machine/state.ts';

const HERE = setId(1);
const FROM = setId(2);
const USER = parseUserId('bob')!;
const TS = timeMs(1_800_000_000_000);
const ROOM = 1_000;

type Deliver = Extract<Command, { type: 'transfer.deliver' }>;

/** A Set with room for `ROOM` cents more. */
function nearlyFull(): SetState {
  const state = new SetState(HERE);
  state.idCursor = { ms: 100, sequence: 0 };
  // Money that came from elsewhere: the issuer is bounded more tightly.
  state.post([
    {
      account: { kind: 'wallet', user: parseUserId('rich')! },
      amountCents: cents(LIMITS.setTotalCentsMax - ROOM),
    },
    {
      account: { kind: 'clearing', peer: FROM },
      amountCents: cents(ROOM - LIMITS.setTotalCentsMax),
    },
  ]);
  return state;
}

const owed = (kind: 'claim.credit' | 'packet.refund', amount: number): Transfer => ({
  kind,
  packetId: packId({ ms: 1, set: FROM, sequence: 1 }),
  groupId: packId({ ms: 1, set: FROM, sequence: 2 }),
  user: USER,
  amountCents: cents(amount),
});
const create = (total: number): Transfer => ({
  kind: 'packet.create',
  sentAt: TS,
  definition: {
    packetId: packId({ ms: 1, set: HERE, sequence: 3 }),
    groupId: packId({ ms: 1, set: FROM, sequence: 2 }),
    sender: USER,
    kind: 'lucky',
    strategy: 'double_mean',
    timing: 'at_open',
    totalCents: cents(total),
    count: 1,
    lifetimeMs: 86_400_000,
    greeting: '恭喜发财',
    receivers: [],
  },
});
const of = (transfers: Transfer[], first = 1): Deliver => ({
  type: 'transfer.deliver',
  from: FROM,
  lane: 2,
  first,
  transfers,
});

function run(state: SetState, command: Deliver): Decision {
  const world = {
    ts: TS,
    homeOf: () => HERE,
    freshSeed: () => ({ seed: new Uint8Array(32), nonce: new Uint8Array(12) }),
    sealSeed: () => new Uint8Array(60),
  } as unknown as World;
  return execute({ state, command, found: NO_FINDINGS, world, place: { lsn: lsn(1), ts: TS } });
}

describe.each(['claim.credit', 'packet.refund'] as const)('a %s', (kind) => {
  test('[S4] that a full Set cannot hold is no tombstone: nothing is recorded, and it may come again', () => {
    const state = nearlyFull();
    const decision = run(state, of([owed(kind, 600), owed(kind, 600)]));
    expect(decision).toMatchObject({ outcome: { status: 'issue_limit' }, effects: false });
    expect(decision.postings).toEqual([]);
    expect(state.inbox.has({ from: FROM, lane: 2, number: 1 })).toBe(false);
    expect(state.people.get(USER)?.balanceCents ?? 0).toBe(0);
    // The one before it passes alone.
    expect(run(state, of([owed(kind, 600)])).outcome).toMatchObject({
      status: 'ok',
      receipts: [{ kind: 'applied' }],
    });
    // There is room again: the same delivery, of which the first is known.
    state.post([
      { account: { kind: 'wallet', user: parseUserId('rich')! }, amountCents: cents(-500) },
      { account: { kind: 'clearing', peer: FROM }, amountCents: cents(500) },
    ]);
    expect(run(state, of([owed(kind, 600), owed(kind, 600)])).outcome).toMatchObject({
      status: 'ok',
      receipts: [{ kind: 'duplicate' }, { kind: 'applied' }],
    });
    expect(state.people.get(USER)?.balanceCents).toBe(1_200);
  });

  test('[S4] that fits to the cent is taken', () => {
    expect(fitsHere(nearlyFull(), of([owed(kind, ROOM)]))).toBe(true);
    expect(fitsHere(nearlyFull(), of([owed(kind, ROOM - 1), owed(kind, 1)]))).toBe(true);
    expect(fitsHere(nearlyFull(), of([owed(kind, ROOM - 1), owed(kind, 2)]))).toBe(false);
  });
});

test('[S4] a packet that a full Set cannot hold gets its tombstone: its sender has the money back', () => {
  const state = nearlyFull();
  expect(run(state, of([create(ROOM + 1), owed('claim.credit', 5)])).outcome).toMatchObject({
    status: 'ok',
    receipts: [{ kind: 'tombstone', reason: 'issue_limit' }, { kind: 'applied' }],
  });
});

test('[S4] a packet that fits takes the room of the credit behind it, and that one waits', () => {
  const state = nearlyFull();
  const decision = run(state, of([create(ROOM), owed('claim.credit', 5)]));
  expect(decision).toMatchObject({ outcome: { status: 'issue_limit' }, effects: false });
  expect(state.packets.size).toBe(0);
});

describe('deliveries of one lane that do not come in order', () => {
  const some = (count: number): Transfer[] =>
    Array.from({ length: count }, () => owed('claim.credit', 1));
  const kinds = ({ outcome }: Decision): string[] =>
    'receipts' in outcome ? outcome.receipts.map(({ kind }) => kind) : [outcome.status];

  test('[C12][S3] a later one is taken at once, the earlier one when it comes, and each but once', () => {
    const state = nearlyFull();
    expect(kinds(run(state, of(some(2), 4)))).toEqual(['applied', 'applied']);
    expect(kinds(run(state, of(some(3), 1)))).toEqual(['applied', 'applied', 'applied']);
    expect(kinds(run(state, of(some(6), 1)))).toEqual([
      ...['duplicate', 'duplicate', 'duplicate', 'duplicate', 'duplicate'],
      'applied',
    ]);
    expect(state.people.get(USER)?.balanceCents).toBe(6);
    expect(state.inbox.lane(FROM, 2)).toMatchObject({ upTo: 6, above: new Set() });
  });

  test('[C12] one beyond the window is refused for now, and nothing of it is recorded', () => {
    const state = nearlyFull();
    const last = LIMITS.transferWindowMax;
    expect(kinds(run(state, of(some(2), last)))).toEqual(['overloaded']);
    expect(kinds(run(state, of(some(1), last)))).toEqual(['applied']);
    expect(kinds(run(state, of(some(1), 1)))).toEqual(['applied']);
    expect(kinds(run(state, of(some(2), last)))).toEqual(['duplicate', 'applied']);
  });
});
