/** Machine against model, thing by thing. Throws Disagreement. */
import type { Id } from '../../lib/core/ids.ts';
import type { UserId } from '../../lib/core/user.ts';
import { unreadOf } from '../../set-node/machine/groups.ts';
import { agree } from './machine-agree.ts';
import { unreadFor } from './machine-model.ts';
import type { Cell } from './machine-sets.ts';

/** One Set: balances, claims, phases, members, cursors, hints, outboxes, sums. */
export function compareSet(cell: Cell, people: readonly UserId[]): void {
  const { state, model } = cell;
  for (const person of people) {
    const known = state.people.get(person);
    agree(`wallet of ${person}`, known?.balanceCents ?? 0, model.wallets[person] ?? 0);
    agree(`arriving for ${person}`, state.outbox.arriving(person), arriving(cell, person));
    for (const [groupId, hint] of known?.hints ?? []) {
      const { version, present } = hint;
      agree('hint', { version, present }, model.hints[`${person} ${groupId}`]);
    }
  }
  comparePackets(cell);
  compareGroups(cell);
  comparePayments(cell, people);
  const money = state.money();
  const wallets = total(Object.values(model.wallets));
  const packets = total(Object.values(model.packets).map(({ rest }) => rest));
  const clearing = total(Object.values(model.clearing));
  agree('wallets of the Set', money.walletsCents, wallets);
  agree('packets of the Set', money.packetsCents, packets);
  const { atGateway } = model.payments;
  agree('in flight of the Set', money.clearingCents, clearing + atGateway);
  agree('issuer of the Set', money.issuerCents + model.issued, 0);
  agree('M1: a Set sums to zero', wallets + packets + clearing + atGateway, model.issued);
  for (const [peer, amount] of state.clearing) {
    agree(`clearing with ${peer}`, amount, model.clearing[peer] ?? 0);
  }
  for (const [key, sent] of Object.entries(model.sent)) {
    const [to, lane] = key.split('/').map(Number) as [number, number];
    const real = state.outbox.lane(to as typeof state.setId, lane);
    const acked = model.acked[key] ?? 0;
    agree(`lane ${key}`, [real.first, real.pending.length], [acked + 1, sent.length - acked]);
  }
}

function comparePackets({ state, model }: Cell): void {
  agree('number of packets', state.packets.size, Object.keys(model.packets).length);
  for (const [packetId, real] of state.packets) {
    const packet = model.packets[String(packetId)];
    if (packet === undefined) return agree('packet', packetId, null);
    const claims = [...real.claims]
      .toSorted(([, a], [, b]) => a.order - b.order)
      .map(([user, claim]) => ({ user, amount: claim.amountCents, at: claim.at }));
    agree('claims', claims, packet.claims);
    const orders = [...real.claims.values()].map(({ order }) => order).toSorted((a, b) => a - b);
    agree(
      'M5: orders are 1..k',
      orders,
      packet.claims.map((_, index) => index + 1),
    );
    agree('M7: phase', real.end?.kind ?? 'live', packet.phase);
    agree('rest', real.restCents, packet.rest);
    const claimed = total(packet.claims.map(({ amount }) => amount));
    agree(
      'M4: claims, rest and refund',
      claimed + real.restCents + (real.end?.refundCents ?? 0),
      real.definition.totalCents,
    );
    agree('expiry', real.expiresAt, packet.expiresAt);
  }
}

function comparePayments({ state, model }: Cell, people: readonly UserId[]): void {
  const { all, frozen, atGateway } = model.payments;
  agree('number of payments', state.payments.size, all.length);
  for (const { id, state: phase, became } of all) {
    const end = state.payments.get(id as Id)?.end;
    agree('M11: where a payment is', end?.kind ?? 'pending', phase);
    agree('what it became', end && 'became' in end ? end.became : '', became);
  }
  for (const person of people) {
    agree(`frozen ${person}`, state.people.get(person)?.frozen ?? false, frozen[person] ?? false);
  }
  agree('at the gateway', state.gatewayCents, atGateway);
}

function compareGroups({ state, model }: Cell): void {
  agree('number of groups', state.groups.size, Object.keys(model.groups).length);
  for (const [groupId, real] of state.groups) {
    const group = model.groups[String(groupId)];
    if (group === undefined) return agree('group', groupId, null);
    agree('seq of a group', real.seq, group.messages.length);
    agree('version of a group', real.version, group.version);
    agree('members', [...real.members.keys()].toSorted(), Object.keys(group.members).toSorted());
    for (const [user, member] of real.members) {
      agree('role', member.role, group.members[user]?.role);
      agree('cursor of a member', member.readSeq, group.members[user]?.read);
      agree('unread', unreadOf(real, member), unreadFor(group, user));
    }
  }
}

/** Committed claims and refunds that the destination has not confirmed. */
function arriving({ model }: Cell, person: string): number {
  let sum = 0;
  for (const [key, sent] of Object.entries(model.sent)) {
    for (const transfer of sent.slice(model.acked[key] ?? 0)) {
      const credits = transfer.kind === 'claim.credit' || transfer.kind === 'packet.refund';
      if (credits && transfer.user === person) sum += transfer.amountCents;
    }
  }
  return sum;
}

/** M2 over all Sets, and that what is in flight is just what was sent and has not come. */
export function compareMoney(cells: readonly Cell[]): void {
  let all = 0;
  let issued = 0;
  let inFlight = 0;
  for (const { state } of cells) {
    all += state.walletsCents + state.packetsCents + state.clearingCents;
    issued -= state.issuerCents;
    inFlight += state.clearingCents - state.gatewayCents;
  }
  agree('M2: wallets + packets + in flight = issued', all, issued);
  agree('in flight', inFlight, onTheWay(cells));
}

function onTheWay(cells: readonly Cell[]): number {
  let sum = 0;
  for (const { model: from } of cells) {
    for (const [key, sent] of Object.entries(from.sent)) {
      const [to, lane] = key.split('/').map(Number) as [number, number];
      const peer = cells.find(({ model }) => model.set === to);
      const received = peer?.model.received[`${from.set}/${lane}`] ?? {};
      for (const [index, transfer] of sent.entries()) {
        const money =
          transfer.kind === 'packet.create'
            ? transfer.definition.totalCents
            : 'amountCents' in transfer
              ? transfer.amountCents
              : 0;
        const receipt = received[index + 1];
        const back = receipt?.kind === 'refused' && index < (from.acked[key] ?? 0);
        if (receipt?.kind !== 'done' && !back) sum += money;
      }
    }
  }
  return sum;
}

function total(amounts: readonly number[]): number {
  return amounts.reduce((sum, amount) => sum + amount, 0);
}
