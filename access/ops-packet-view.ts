import type { Id } from '../lib/core/ids.ts';
import { asId } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Door, Found, Handler } from './door.ts';
import { ownerOf, query } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import { isBare } from './packet-memo.ts';
import type { Person } from './people.ts';
import { claimOf, claimOrNull, packetOf } from './render.ts';
import type { Input } from './schema.ts';

const NO_GRANT = new Uint8Array();

export const packetGet: Handler<'packet.get'> = async (door, person, input) => {
  const seen = await look(door, person, input.packetId);
  return seen.ok ? { ok: true, d: packetOf(seen.packet.answer) } : seen;
};

export const packetClaims: Handler<'packet.claims'> = async (door, person, input) => {
  let found = await knownClaims(door, person, input);
  if (found === null) {
    const seen = await look(door, person, input.packetId);
    if (!seen.ok) return seen;
    found = await claimsOf(door, person, { ...seen, input });
  }
  if (!found.ok) return found;
  const { claims, best } = found.answer;
  const d = { claims: claims.map(claimOf), best: claimOrNull(best), asOfLsn: found.asOfLsn };
  return { ok: true, d };
};

/**
 * Of a packet that this node has heard of, without asking its owner first, who may be spared this
 * way. null: nothing is known, or the question has to say why not.
 */
async function knownClaims(
  door: Door,
  person: Person,
  input: Input<'packet.claims'>,
): Promise<Found<'claims'> | Failure | null> {
  const set = ownerOf(door, asId(BigInt(input.packetId)));
  const groupId = door.packets.get(input.packetId)?.groupId;
  if (set === null || groupId === undefined) return null;
  const standing = await door.grants.standing(person, groupId);
  if (standing.kind !== 'member') return null;
  const grant = standing.entry.grantBytes;
  const found = await claimsOf(door, person, { set, groupId, grant, input });
  return !found.ok && found.code === 'not_a_member' ? null : found;
}

function claimsOf(
  door: Door,
  person: Person,
  args: { set: SetId; groupId: Id; grant: Uint8Array; input: Input<'packet.claims'> },
): Promise<Found<'claims'> | Failure> {
  const { set, groupId, grant } = args;
  const { packetId, afterOrder, limit } = args.input;
  const claims = { user: person.user, packetId, grant, afterOrder, limit };
  // How far the others are has been pushed to the group; the list shows at least that.
  const atLsn = door.topics.get(String(groupId))?.marks.at(set) ?? 0;
  return query(door, { set, name: 'claims', ask: { claims, atLsn }, person });
}

export type Seen = {
  readonly ok: true;
  readonly set: SetId;
  readonly groupId: Id;
  readonly packet: Found<'packet'>;
  readonly grant: Uint8Array;
};

/**
 * The packet as this person may see it: members of its group, its sender, and whoever opened it
 * before leaving. What of it is shown is the owner's decision, by the grant that we send.
 */
export async function look(door: Door, person: Person, packetId: string): Promise<Seen | Failure> {
  const set = ownerOf(door, asId(BigInt(packetId)));
  if (set === null) return fail('packet_not_found');
  const askWith = (grant: Uint8Array): Promise<Found<'packet'> | Failure> =>
    query(door, {
      set,
      name: 'packet',
      ask: { packet: { user: person.user, packetId, grant } },
      person,
    });

  let groupId = door.packets.get(packetId)?.groupId;
  if (groupId === undefined) {
    const first = await askWith(NO_GRANT);
    if (!first.ok) return first;
    groupId = door.packets.learn(first.answer).groupId;
  }
  const standing = await door.grants.standing(person, groupId);
  const entry = standing.kind === 'stranger' ? null : standing.entry;
  const grant = entry?.grantBytes ?? NO_GRANT;
  const packet = await askWith(grant);
  if (!packet.ok) return packet;
  door.packets.learn(packet.answer);
  return isBare(packet.answer)
    ? fail(BARE[standing.kind])
    : { ok: true, set, groupId, packet, grant };
}

/** Why the owner tells no more. */
const BARE = {
  stranger: 'not_a_member',
  unavailable: 'set_unavailable',
  // The grant was not good enough, most likely too old.
  member: 'grant_expired',
} as const;
