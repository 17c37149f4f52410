import { asId } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Door, Found, Handler } from './door.ts';
import { ownerOf, query } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import { isBare } from './packet-memo.ts';
import type { Person } from './people.ts';
import { claimOf, claimOrNull, packetOf } from './render.ts';

const NO_GRANT = new Uint8Array();

export const packetGet: Handler<'packet.get'> = async (door, person, input) => {
  const seen = await look(door, person, input.packetId);
  return seen.ok ? { ok: true, d: packetOf(seen.packet.answer) } : seen;
};

export const packetClaims: Handler<'packet.claims'> = async (door, person, input) => {
  const { packetId, afterOrder, limit } = input;
  const seen = await look(door, person, packetId);
  if (!seen.ok) return seen;
  const { set } = seen;
  const ask = { claims: { user: person.user, packetId, grant: seen.grant, afterOrder, limit } };
  const found = await query(door, { set, name: 'claims', ask });
  if (!found.ok) return found;
  const { claims, best } = found.answer;
  const d = { claims: claims.map(claimOf), best: claimOrNull(best), asOfLsn: found.asOfLsn };
  return { ok: true, d };
};

export type Seen = {
  readonly ok: true;
  readonly set: SetId;
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
    query(door, { set, name: 'packet', ask: { packet: { user: person.user, packetId, grant } } });

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
  return isBare(packet.answer) ? fail(BARE[standing.kind]) : { ok: true, set, packet, grant };
}

/** Why the owner tells no more. */
const BARE = {
  stranger: 'not_a_member',
  unavailable: 'set_unavailable',
  // The grant was not good enough, most likely too old.
  member: 'grant_expired',
} as const;
