/** M1..M10 on random days of one and two Sets, step by step against a dumb model. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AssertionFailed } from '../../lib/core/assert.ts';
import { verifyShares } from '../../lib/core/allocation.ts';
import { unpackBytes } from '../../lib/core/bytes.ts';
import { seedHashOf } from '../../lib/core/packet.ts';
import { makeCommandId, packId } from '../../lib/core/ids.ts';
import { cents, lsn, timeMs } from '../../lib/core/units.ts';
import { NO_FINDINGS } from '../../set-node/machine/context.ts';
import { execute } from '../../set-node/machine/machine.ts';
import { Disagreement, agree, setOf } from './machine-agree.ts';
import type { Execute } from './machine-sets.ts';
import { PEOPLE } from './machine-sets.ts';
import { TestWorld, runScript } from './machine-world.ts';
import { script } from './machine-script.ts';

/** What random days must have met, or the property says nothing about it. */
const MET = [
  'packet.open ok',
  'packet.open already_opened',
  'packet.open packet_drained',
  'packet.open packet_expired',
  'packet.open not_a_member',
  'packet.open grant_expired',
  'packet.open grant_invalid',
  'packet.open not_allowed',
  'packet.open packet_not_found',
  'packet.send ok',
  'packet.send insufficient_funds',
  'packet.send id_reused',
  'packet.expire ok',
  'packet.expire packet_not_due',
  'group.join ok',
  'group.leave ok',
  'group.leave malformed',
  'message.send ok',
  'message.read ok',
  'transfer.ack bad_argument',
  'packet.create live',
  'packet.create duplicate',
  'packet.create tombstone',
  'packet.announce message',
  'claim.credit applied',
  'claim.credit duplicate',
  'packet.refund applied',
  'group.found tombstone',
  'member.hint applied',
  'packet.send daily_limit',
  'packet.send wallet_frozen',
  'packet.send amount_out_of_range',
  'packet.pay ok',
  'packet.pay malformed',
  'packet.pay daily_limit',
  'packet.pay wallet_frozen',
  'wallet.topup ok',
  'wallet.topup id_reused',
  'wallet.topup wallet_frozen',
  'wallet.withdraw ok',
  'wallet.withdraw insufficient_funds',
  'payment.settle ok',
  'payment.settle amount_mismatch',
  'payment.settle payment_ended',
  'payment.settle credited',
  'payment.settle sent',
  'payment.settle paid_out',
  'payment.settle returned',
  'payment.settle dropped',
  'payment.expire ok',
  'payment.expire packet_not_due',
  'payment.expire payment_ended',
  'wallet.freeze ok',
  'wallet.adjust ok',
  'wallet.adjust insufficient_funds',
];
const MET_BY_TWO = ['packet.open wrong_set', 'packet.send moved', 'wallet.topup moved'];

describe('the machine and the model agree after every step', () => {
  test.each([
    { sets: 1, met: MET },
    { sets: 2, met: [...MET, ...MET_BY_TWO] },
  ] as const)('$sets Set(s)', ({ sets, met }) => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(script({ sets, steps: 300 }), (day) => {
        const world = runScript({ script: day });
        provablyFair(world);
        atRest(world);
        for (const name of world.seen.keys()) seen.add(name);
      }),
      { numRuns: 250 },
    );
    expect(met.filter((name) => !seen.has(name))).toEqual([]);
  });
});

/** Whoever has the seed gets the shares, and the hash was fixed before (rulings 21). */
function provablyFair(world: TestWorld): void {
  for (const { state } of world.cells) {
    for (const { definition, claims, end, seedHash } of state.packets.values()) {
      if (end === null) continue;
      const { seed } = end;
      agree('seed hash', [...unpackBytes(seedHash)], [...seedHashOf({ definition, seed })]);
      const shares = [...claims.values()]
        .toSorted((a, b) => a.order - b.order)
        .map(({ amountCents }) => amountCents);
      const { strategy, totalCents: total, count } = definition;
      const expired = end.kind === 'refunded';
      agree('shares', verifyShares({ strategy, total, count, seed, shares, expired }), -1);
    }
  }
}

/** Once everything is carried nothing is in flight, and outboxes are empty. */
function atRest(world: TestWorld): void {
  let inFlight = 0;
  for (const { state } of world.cells) {
    // Withdrawals wait for the gateway as long as it takes.
    inFlight += state.clearingCents - state.gatewayCents;
    agree('outbox at rest', [state.outbox.pendingCount, state.outbox.pendingCents], [0, 0]);
  }
  agree('in flight at rest', inFlight, 0);
}

type Args = Parameters<Execute>[0];

/** Machines with one bug each: the check that lets one of them pass is no check. */
const SABOTAGED: Record<string, Execute> = {
  'W1: the last share is off by one cent': (args) => {
    const decision = execute(args);
    const { outcome } = decision;
    if (!('left' in outcome) || outcome.status !== 'ok' || outcome.left > 0) return decision;
    return { ...decision, outcome: { ...outcome, amountCents: cents(outcome.amountCents - 1) } };
  },

  'W2: one user claims twice': (args) => {
    const { command, state } = args;
    const claims =
      command.type === 'packet.open' ? state.packets.get(command.packetId)?.claims : undefined;
    if (command.type === 'packet.open') claims?.delete(command.user);
    return execute(args);
  },

  'W3: a credit is applied twice': (args) => {
    const decision = execute(args);
    const { command, state } = args;
    const { outcome } = decision;
    if (command.type !== 'transfer.deliver' || !('receipts' in outcome)) return decision;
    const credited = command.transfers.some(
      ({ kind }, index) => kind === 'claim.credit' && outcome.receipts[index]?.kind === 'applied',
    );
    // The whole delivery again: balanced, so that only the model can see it.
    if (credited && command.transfers.length === 1) state.post(decision.postings);
    return decision;
  },

  'W4: an order number is skipped': (args) => {
    const decision = execute(args);
    const { outcome } = decision;
    if (!('order' in outcome) || outcome.status !== 'ok' || outcome.order < 2) return decision;
    return { ...decision, outcome: { ...outcome, order: outcome.order + 1 } };
  },

  'W5: a refund without a tombstone': (args) => {
    const decision = execute(args);
    return args.command.type === 'transfer.ack' ? refundedUnasked(args, decision) : decision;
  },

  'W7: money of a repeated callback comes in again': (args) => {
    const decision = execute(args);
    const { outcome, effects } = decision;
    if (effects || !('became' in outcome) || outcome.became !== 'credited') return decision;
    const { user, amountCents } = outcome;
    args.state.post([
      { account: { kind: 'issuer' }, amountCents: cents(-amountCents) },
      { account: { kind: 'wallet', user }, amountCents },
    ]);
    return decision;
  },

  'W8: a frozen wallet sends': (args) => {
    const { command, state } = args;
    if (command.type !== 'packet.send') return execute(args);
    const person = state.people.get(command.definition.sender);
    const isFrozen = person?.frozen ?? false;
    if (person !== undefined) person.frozen = false;
    const decision = execute(args);
    if (person !== undefined) person.frozen = isFrozen;
    return decision;
  },

  'W6: an id is answered anew': (args) => {
    const { command, state } = args;
    if (command.type === 'message.send') {
      const { commandId, user } = command;
      if (state.answers.get({ user, commandId }) !== undefined) {
        return execute({ ...args, command: { ...command, commandId: otherId(command) } });
      }
    }
    return execute(args);
  },
};

/** A cent moves from clearing to the first wallet with each acknowledgement that did something. */
function refundedUnasked(args: Args, decision: ReturnType<Execute>): ReturnType<Execute> {
  const { state, command } = args;
  const [person] = state.people.keys();
  if (!decision.effects || command.type !== 'transfer.ack' || person === undefined) return decision;
  const postings = [
    { account: { kind: 'clearing', peer: command.to }, amountCents: cents(-1) },
    { account: { kind: 'wallet', user: person }, amountCents: cents(1) },
  ] as const;
  state.post(postings);
  return { ...decision, postings: [...decision.postings, ...postings] };
}

function otherId(command: Extract<Args['command'], { type: 'message.send' }>) {
  const { commandId } = command;
  const last = commandId.endsWith('0') ? '1' : '0';
  return (commandId.slice(0, -1) + last) as typeof commandId;
}

describe('[C3] group.leave with an id', () => {
  const [, bob, hong] = PEOPLE;
  const say = (world: TestWorld) => {
    const [cell] = world.cells;
    const leave = {
      type: 'group.leave',
      user: bob!,
      groupId: world.groups[0]!,
      commandId: makeCommandId(world.now, new Uint8Array(10)),
    } as const;
    return { cell: cell!, leave };
  };

  test('is not read at rules 1, is answered from rules 2 on, and the same for ever', () => {
    const world = new TestWorld({ script: { sets: 1, seed: 1 } });
    const { cell, leave } = say(world);
    expect(world.submit(cell, leave)).toBe('malformed');
    world.raiseRules(cell, 2);
    expect(world.submit(cell, leave)).toBe('ok');
    expect(world.submit(cell, leave)).toBe('ok');
    expect(world.submit(cell, { ...leave, commandId: null })).toBe('not_a_member');
    // Back again: the old answer stands, and nobody leaves by it.
    world.run({ do: 'join', with: [1, 0, 'good'] });
    expect(world.submit(cell, leave)).toBe('ok');
    expect(cell.state.groups.get(leave.groupId)?.members.has(bob!)).toBe(true);
    const groupId = packId({ ms: 1, set: cell.setId, sequence: 1 });
    expect(world.submit(cell, { ...leave, groupId })).toBe('id_reused');
    // Another person's id is another command.
    expect(world.submit(cell, { ...leave, user: hong! })).toBe('ok');
    world.cut(cell);
    expect(cell.entries.map(({ format }) => format)).toEqual([1, 1, 1, 2]);
  });

  test('a no is not kept: who comes back may leave under the same id', () => {
    const world = new TestWorld({ script: { sets: 1, seed: 1 } });
    const { cell, leave } = say(world);
    world.raiseRules(cell, 2);
    expect(world.submit(cell, { ...leave, commandId: null })).toBe('ok');
    expect(world.submit(cell, leave)).toBe('not_a_member');
    world.run({ do: 'join', with: [1, 0, 'good'] });
    expect(world.submit(cell, leave)).toBe('ok');
  });
});

describe('a machine with a bug is found', () => {
  test.each(Object.entries(SABOTAGED))('%s', (_, sabotaged) => {
    const found = fc.check(
      fc.property(script({ sets: 1, steps: 300 }), (day) => {
        runScript({ script: day, execute: sabotaged });
      }),
      { numRuns: 400, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
    // By the model or by the machine's own assertion, and not by an accident of the sabotage.
    const { errorInstance } = found;
    const seen = errorInstance instanceof Disagreement || errorInstance instanceof AssertionFailed;
    expect(seen || String(errorInstance)).toBe(true);
  });
});

describe('[C1] routing comes before "have I answered this?"', () => {
  // decide() asks answerAgain first, so the wrong Set says id_in_future. Smallest fix: look at
  // routing in answerAgain's place, or at id_in_future and id_reused after wrong_set and moved.
  test('an id of the future at the wrong Set', () => {
    const world = new TestWorld({ script: { sets: 2, seed: 1 } });
    const [here, there] = world.cells;
    const groupId = world.groups.find((id) => setOf(id) === here!.setId)!;
    const commandId = makeCommandId(world.now + 3_600_000, new Uint8Array(10));
    const hello = { kind: 'text', body: 'hello', seenSeq: 0 } as const;
    const args = { type: 'message.send', commandId, user: PEOPLE[0]!, groupId, ...hello } as const;
    const at = { state: there!.state, command: args, found: NO_FINDINGS, world: world.world() };
    const place = { lsn: lsn(there!.state.lsn + 1), ts: timeMs(world.now) };
    expect(execute({ ...at, place }).outcome.status).toBe('wrong_set');
  });
});
