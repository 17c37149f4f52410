import type { Strategy } from '../lib/core/allocation.ts';
import type { Grant } from '../lib/core/grant.ts';
import type { Id } from '../lib/core/ids.ts';
import { asId, parseCommandId, setOfId } from '../lib/core/ids.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { PacketDefinition, PacketKind } from '../lib/core/packet.ts';
import { checkDefinition } from '../lib/core/packet.ts';
import type { Cents } from '../lib/core/units.ts';
import { cents } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import { parseUserId } from '../lib/core/user.ts';
import type { Done, Door, Handler, Reply } from './door.ts';
import { command, ownerOf, query } from './door.ts';
import type { Failure } from './errors.ts';
import { fail, failOf } from './errors.ts';
import type { Standing } from './grants.ts';
import { proposeId } from './ops-group.ts';
import { look } from './ops-packet-view.ts';
import { openCheckout, withoutGateway } from './ops-payment.ts';
import type { PacketFacts } from './packet-memo.ts';
import type { Person } from './people.ts';
import type { Input, Output } from './schema.ts';

/** A claim this old has been settled, or is shown by `wallet.get` as arriving. */
const SETTLED_AFTER_MS = 10_000;

export const packetSend: Handler<'packet.send'> = async (door, person, input) => {
  const commandId = parseCommandId(input.clientId);
  if (commandId === null) return fail('bad_argument', { message: 'd.clientId: not a UUIDv7' });
  const shape = definitionOf(person.user, input);
  if ('ok' in shape) return shape;
  const without = input.pay === 'gateway' ? withoutGateway(door) : null;
  if (without !== null) return without;
  const standing = await door.grants.standing(person, shape.groupId);
  const grant = grantOf(standing);
  if (grant === null && standing.kind === 'unavailable') return fail('set_unavailable');
  const packetId = await proposeId(door, person, input.clientId);
  if (packetId === null) return fail('set_unavailable');
  const definition = { ...shape, packetId };
  const to = { set: person.home, person };
  const renew = async (): Promise<Grant | null> =>
    grantOf(await door.grants.ask(person, shape.groupId));
  if (input.pay === 'gateway') {
    const paying = { type: 'packet.pay', commandId, definition } as const;
    let asked = await command(door, to, { ...paying, grant });
    if (!asked.ok && asked.code === 'grant_expired') {
      asked = await command(door, to, { ...paying, grant: await renew() });
    }
    return asked.ok ? unpaidOf(door, asked, definition.totalCents) : asked;
  }
  const sending = { type: 'packet.send', commandId, definition } as const;
  let done = await command(door, to, { ...sending, grant });
  if (!done.ok && done.code === 'grant_expired') {
    done = await command(door, to, { ...sending, grant: await renew() });
  }
  if (!done.ok) return done;
  const sent = done.success.packetId;
  // Another id than ours is that of the first try: its live event may be long past.
  const seedHash = await waitUntilLive(door, person, {
    packetId: sent,
    isRetry: sent !== packetId,
  });
  const status = seedHash === null ? 'arriving' : 'live';
  return { ok: true, d: { packetId: String(sent), status, seedHash, mark: done.mark } };
};

/** Nobody else sees it before somebody has paid. */
async function unpaidOf(
  door: Door,
  { success, mark }: Done<'packet.pay'>,
  amountCents: Cents,
): Promise<Reply<'packet.send'>> {
  const { packetId, paymentId, dueAt } = success;
  const page = await openCheckout(door, { paymentId, amountCents, dueAt });
  if (!page.ok) return page;
  const { checkoutUrl } = page;
  const payment = { paymentId: String(paymentId), checkoutUrl, dueAt };
  const d = { packetId: String(packetId), status: 'unpaid', seedHash: null, mark } as const;
  return { ok: true, d: { ...d, ...payment } };
}

const USUAL_STRATEGY: Readonly<Record<PacketKind, Strategy>> = {
  lucky: 'double_mean',
  equal: 'equal',
  exclusive: 'equal',
};

/** The definition with an id that is still to come, or the first limit that it breaks. */
function definitionOf(sender: UserId, input: Input<'packet.send'>): PacketDefinition | Failure {
  const receivers: UserId[] = [];
  for (const text of input.receivers ?? []) {
    const receiver = parseUserId(text);
    if (receiver === null) {
      return fail('bad_argument', { message: 'd.receivers: one of them is no user id' });
    }
    receivers.push(receiver);
  }
  const definition = {
    packetId: asId(0n),
    sender,
    groupId: asId(BigInt(input.groupId)),
    kind: input.kind,
    strategy: input.strategy ?? USUAL_STRATEGY[input.kind],
    timing: input.timing,
    totalCents: cents(input.totalCents),
    count: input.count,
    lifetimeMs: input.lifetimeMs ?? LIMITS.packetLifetimeMs,
    greeting: input.greeting,
    receivers,
  };
  const broken = checkDefinition(definition);
  return broken === null ? definition : failOf(broken);
}

/** An old grant is better than none: the Set that checks it decides. */
function grantOf(standing: Standing): Grant | null {
  return standing.kind === 'stranger' ? null : (standing.entry?.grant ?? null);
}

export function packetEventKey(packetId: string): string {
  return `packet/${packetId}`;
}

/** The seed's hash once the packet is live, null when it has not arrived in time. */
async function waitUntilLive(
  door: Door,
  person: Person,
  args: { packetId: Id; isRetry: boolean },
): Promise<string | null> {
  const key = String(args.packetId);
  const known = (): string | null => door.packets.get(key)?.shown?.seedHash ?? null;
  if (known() !== null) return known();
  if (!args.isRetry && (await door.waiters.wait(packetEventKey(key), door.limits.arriveWaitMs))) {
    return known();
  }
  // No event: it was long ago, or lost on the way. The owner knows.
  const found = await findPacket(door, person, args.packetId);
  return found.ok ? (found.facts.shown?.seedHash ?? null) : null;
}

type FoundFacts = { readonly ok: true; readonly facts: PacketFacts };

/** What is needed to route an open, from the owner, who tells no more to whom brings no grant. */
async function findPacket(door: Door, person: Person, packetId: Id): Promise<FoundFacts | Failure> {
  const id = String(packetId);
  const set = ownerOf(door, packetId);
  if (set === null) return fail('packet_not_found');
  const packet = { user: person.user, packetId: id, grant: new Uint8Array() };
  const found = await query(door, { set, name: 'packet', ask: { packet }, person });
  return found.ok ? { ok: true, facts: door.packets.learn(found.answer) } : found;
}

export const packetGrab: Handler<'packet.grab'> = async (door, person, input) => {
  const { packetId } = input;
  let facts = door.packets.get(packetId);
  if (facts === undefined || facts.shown === null) {
    // The length of the line is counted in shares: the owner tells members how many there are.
    const seen = await look(door, person, packetId);
    facts = door.packets.get(packetId);
    if (facts === undefined) return seen.ok ? fail('internal') : seen;
  }
  return { ok: true, d: await door.gate.grab(person, facts) };
};

export const packetOpen: Handler<'packet.open'> = async (door, person, input) => {
  const packetId = asId(BigInt(input.packetId));
  let facts = door.packets.get(input.packetId);
  if (facts === undefined) {
    const found = await findPacket(door, person, packetId);
    if (!found.ok) return found;
    facts = found.facts;
  }
  const { groupId } = facts;
  const entry = door.grants.fresh(person, groupId);
  let standing: Standing =
    entry === null ? await door.grants.ask(person, groupId) : { kind: 'member', entry };
  let done = await open(door, person, { packetId, standing });
  if (!done.ok && done.code === 'grant_expired') {
    standing = await door.grants.ask(person, groupId);
    done = await open(door, person, { packetId, standing });
  }
  door.gate.leave(person, input.packetId);
  if (!done.ok) return refusedOpen(door, { packetId: input.packetId, standing, refusal: done });
  return { ok: true, d: openedOf(door, person, { packetId: input.packetId, done }) };
};

function open(
  door: Door,
  person: Person,
  args: { packetId: Id; standing: Standing },
): Promise<Done<'packet.open'> | Failure> {
  const { packetId, standing } = args;
  const { user } = person;
  const grant = grantOf(standing);
  const to = { set: setOfId(packetId), person };
  return command(door, to, { type: 'packet.open', packetId, user, grant });
}

function refusedOpen(
  door: Door,
  args: { packetId: string; standing: Standing; refusal: Failure },
): Failure {
  const { packetId, standing, refusal } = args;
  if (refusal.code === 'packet_drained') door.packets.end(packetId, 'drained');
  if (refusal.code === 'packet_expired') door.packets.end(packetId, 'expired');
  // Without an answer from the group's Set nobody knows that this is a stranger.
  const unproved = refusal.code === 'not_a_member' && standing.kind === 'unavailable';
  return unproved ? fail('set_unavailable') : refusal;
}

function openedOf(
  door: Door,
  person: Person,
  args: { packetId: string; done: Done<'packet.open'> },
): Output<'packet.open'> {
  const { packetId, done } = args;
  const { amountCents, order, left, at } = done.success;
  person.opened.set(packetId, true);
  if (left === 0) door.packets.end(packetId, 'drained');
  const old = at + SETTLED_AFTER_MS < door.clock.now();
  return {
    status: done.already ? 'already_opened' : 'opened',
    amountCents,
    order,
    left,
    at,
    settle: old || person.settled.has(packetId) ? 'settled' : 'arriving',
    mark: done.mark,
  };
}
