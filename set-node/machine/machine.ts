import type { Posting } from '../../lib/core/account.ts';
import { assert } from '../../lib/core/assert.ts';
import type { ClaimOp } from '../../lib/core/claim-op.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Op } from '../../lib/core/journal-entry.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import { refuse, succeeded } from '../../lib/core/outcome.ts';
import type { Outgoing } from '../../lib/core/transfer.ts';
import type { Place } from './apply.ts';
import { applyClaim, applyOutcome, applyTransfer } from './apply.ts';
import type { Decision, Findings, World } from './context.ts';
import { withoutEffects } from './context.ts';
import { decide } from './decide.ts';
import { decideTransfer, fitsHere } from './deliver.ts';
import type { SetState } from './state.ts';

const NO_IDS: ReadonlySet<Id> = new Set();

type Deliver = Extract<Command, { type: 'transfer.deliver' }>;

/** The leader's step: decides a command and, when it has effects, applies them. Synchronous. */
export function execute(args: {
  state: SetState;
  command: Command;
  found: Findings;
  world: World;
  place: Place;
}): Decision {
  const { state, command, place } = args;
  if (command.type === 'transfer.deliver') return deliver({ ...args, command });
  const decision = decide({ ...args, command });
  if (!decision.effects) return decision;
  applyOutcome({ state, command, outcome: decision.outcome, place });
  state.post(decision.postings);
  for (const send of decision.sends) state.outbox.add(send);
  return decision;
}

/** The step of a replay: applies what the journal says. Asserts, never decides (rulings 8). */
export function replay(args: { state: SetState; op: Op; place: Place }): void {
  const { state, op, place } = args;
  const { command, outcome, postings, sends } = op;
  if (command.type === 'transfer.deliver') {
    assert(
      outcome.type === command.type && succeeded(outcome),
      'deliveries are sealed when they did something',
    );
    const { receipts } = outcome as { receipts: readonly Receipt[] };
    assert(receipts.length === command.transfers.length, 'every transfer has its receipt');
    for (const [index, transfer] of command.transfers.entries()) {
      const receipt = receipts[index];
      assert(receipt !== undefined, 'every transfer has its receipt');
      applyTransfer({ state, ...command, number: command.first + index, transfer, receipt, place });
    }
  } else {
    applyOutcome({ state, command, outcome, place });
  }
  state.post(postings);
  for (const send of sends) state.outbox.add(send);
}

/** {@link replay} for a won open: the same steps, without the objects that say them. */
export function replayClaim(args: { state: SetState; op: Readonly<ClaimOp>; place: Place }): void {
  const { state, op, place } = args;
  const { user, amountCents, home: to, lane, number } = op;
  const packet = applyClaim({ state, packetId: op.packetId, user, share: op, place });
  const { packetId, groupId } = packet.definition;
  assert(op.groupId === groupId, 'a credit names the group of its packet');
  state.postClaim({ packet, to, amountCents });
  const transfer = { kind: 'claim.credit', packetId, groupId, user, amountCents } as const;
  state.outbox.add({ to, lane, number, transfer });
}

/** Transfer by transfer, each seeing what the one before did; redelivered ones answer as recorded. */
function deliver(args: {
  state: SetState;
  command: Deliver;
  found: Findings;
  world: World;
  place: Place;
}): Decision {
  const { state, command, found, world, place } = args;
  const ended = found.earlier?.kind === 'packets' ? found.earlier.ids : NO_IDS;
  const { type, from, lane, first, transfers } = command;
  if (!state.inbox.fits({ from, lane, number: first + transfers.length - 1 })) {
    return withoutEffects(refuse(type, 'overloaded'));
  }
  if (!fitsHere(state, command)) return withoutEffects(refuse(type, 'issue_limit'));
  const receipts: Receipt[] = [];
  const postings: Posting[] = [];
  const sends: Outgoing[] = [];
  let fresh = 0;
  for (const [index, transfer] of transfers.entries()) {
    const number = first + index;
    if (state.inbox.has({ from, lane, number })) {
      const reason = state.inbox.tombstone({ from, lane, number });
      receipts.push(reason === undefined ? { kind: 'duplicate' } : { kind: 'tombstone', reason });
      continue;
    }
    const delivery = decideTransfer({ state, from, transfer, world, ended });
    applyTransfer({ state, from, lane, number, transfer, receipt: delivery.receipt, place });
    state.post(delivery.postings);
    for (const send of delivery.sends) state.outbox.add(send);
    receipts.push(delivery.receipt);
    postings.push(...delivery.postings);
    sends.push(...delivery.sends);
    fresh += 1;
  }
  return { outcome: { type, status: 'ok', receipts }, postings, sends, effects: fresh > 0 };
}
