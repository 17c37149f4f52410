import type { Posting } from '../../lib/core/account.ts';
import { assert, unreachable } from '../../lib/core/assert.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { isReserved, setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import { checkDefinition, seedHashOf } from '../../lib/core/packet.ts';
import type { Status } from '../../lib/core/status.ts';
import type { Outgoing, Transfer } from '../../lib/core/transfer.ts';
import { moneyOf } from '../../lib/core/transfer.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { World } from './context.ts';
import { clearing, outgoing, wallet } from './decision.ts';
import type { SetState } from './state.ts';

/** One transfer decided: what is recorded of it, and what it moves. */
export type Delivery = {
  readonly receipt: Receipt;
  readonly postings: readonly Posting[];
  readonly sends: readonly Outgoing[];
};

type Args<Kind extends Transfer['kind']> = {
  state: SetState;
  from: SetId;
  transfer: Extract<Transfer, { kind: Kind }>;
  world: World;
  /** Packets of this delivery that ended and left memory. */
  ended: ReadonlySet<Id>;
};

const APPLIED: Receipt = { kind: 'applied' };

function tombstone(reason: Status): Delivery {
  return { receipt: { kind: 'tombstone', reason }, postings: [], sends: [] };
}

/** Claims and refunds: money of one person, who has nowhere else to get it. */
function isOwed({ kind }: Transfer): boolean {
  return kind === 'claim.credit' || kind === 'packet.refund';
}

function heldBy({ walletsCents, packetsCents }: SetState): number {
  return walletsCents + packetsCents;
}

/**
 * S4: may this delivery be decided? Not while it brings somebody more than a Set may hold: a
 * tombstone would leave that money in flight for ever, as nobody could be refunded, so the whole
 * delivery is refused, nothing is recorded of it, and its lane waits.
 */
export function fitsHere(
  state: SetState,
  { from, lane, first, transfers }: Extract<Command, { type: 'transfer.deliver' }>,
): boolean {
  const all = transfers.reduce((sum, transfer) => sum + moneyOf(transfer), 0);
  if (heldBy(state) + all <= LIMITS.setTotalCentsMax) return true;
  let held = heldBy(state);
  for (const [index, transfer] of transfers.entries()) {
    if (state.inbox.has({ from, lane, number: first + index })) continue;
    const after = held + moneyOf(transfer);
    // A packet that does not fit gets its tombstone, and the money goes back.
    if (after <= LIMITS.setTotalCentsMax) held = after;
    else if (isOwed(transfer)) return false;
  }
  return true;
}

/** Decides a transfer that this Set has not seen: what it does, or why never (its tombstone). */
export function decideTransfer(args: {
  state: SetState;
  from: SetId;
  transfer: Transfer;
  world: World;
  ended: ReadonlySet<Id>;
}): Delivery {
  const { state, from, transfer } = args;
  // Totals stay safe integers whatever a stream claims to bring.
  if (heldBy(state) + moneyOf(transfer) > LIMITS.setTotalCentsMax) {
    assert(!isOwed(transfer), 'S4: what somebody is owed is never refused for ever');
    return tombstone('issue_limit');
  }
  switch (transfer.kind) {
    case 'packet.create':
      return createPacket({ ...args, transfer });
    case 'packet.announce': {
      const group = state.groups.get(transfer.groupId);
      if (group === undefined) return tombstone('group_not_found');
      return { receipt: { kind: 'message', seq: group.seq + 1 }, postings: [], sends: [] };
    }
    case 'claim.credit':
    case 'packet.refund':
      return {
        receipt: APPLIED,
        postings: [
          clearing(from, -transfer.amountCents),
          wallet(transfer.user, transfer.amountCents),
        ],
        sends: [],
      };
    case 'group.found':
      return foundGroup({ ...args, transfer });
    case 'member.hint': {
      const known = state.people.get(transfer.user)?.hints.get(transfer.groupId)?.version ?? 0;
      const receipt: Receipt = transfer.version > known ? APPLIED : { kind: 'stale' };
      return { receipt, postings: [], sends: [] };
    }
    default:
      return unreachable(transfer);
  }
}

function createPacket(args: Args<'packet.create'>): Delivery {
  const { state, from, transfer, world } = args;
  const { definition } = transfer;
  const { packetId, totalCents, groupId } = definition;
  if (setOfId(packetId) !== state.setId) return tombstone('wrong_set');
  if (!isReserved(packetId, state.idCursor)) return tombstone('bad_argument');
  if (checkDefinition(definition) !== null) return tombstone('bad_argument');
  // An id is minted once; a node that uses it twice costs that sender his packet, not the Set (ADR 6).
  if (state.packets.has(packetId) || args.ended.has(packetId)) return tombstone('id_reused');
  const { seed, nonce } = world.freshSeed();
  const sealedSeed = world.sealSeed({ seed, nonce, packetId });
  const seedHash = seedHashOf({ definition, seed });
  const announce = {
    kind: 'packet.announce',
    packetId,
    groupId,
    sender: definition.sender,
    packetKind: definition.kind,
    count: definition.count,
    greeting: definition.greeting,
    seedHash,
    expiresAt: timeMs(world.ts + definition.lifetimeMs),
  } as const;
  return {
    receipt: { kind: 'live', sealedSeed, seedHash },
    postings: [
      clearing(from, -totalCents),
      { account: { kind: 'packet', packetId }, amountCents: cents(totalCents) },
    ],
    sends: [outgoing(state, { to: setOfId(groupId), transfer: announce })],
  };
}

function foundGroup({ state, transfer, world }: Args<'group.found'>): Delivery {
  const { groupId, owner, name } = transfer;
  if (setOfId(groupId) !== state.setId) return tombstone('wrong_set');
  if (!isReserved(groupId, state.idCursor)) return tombstone('bad_argument');
  if (state.groups.has(groupId)) return tombstone('id_reused');
  const hint = {
    kind: 'member.hint',
    groupId,
    user: owner,
    version: 1,
    present: true,
    name,
  } as const;
  return {
    receipt: { kind: 'message', seq: 1 },
    postings: [],
    sends: [outgoing(state, { to: world.homeOf(owner), transfer: hint })],
  };
}
