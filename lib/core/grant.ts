import type { Reader, Writer } from './bytes.ts';
import { DecodeError, Writer as ByteWriter } from './bytes.ts';
import type { HmacKey } from './hmac.ts';
import type { Id } from './ids.ts';
import { readId } from './ids.ts';
import type { Lsn, TimeMs } from './units.ts';
import { lsn, timeMs } from './units.ts';
import type { UserId } from './user.ts';

export const ROLES = ['member', 'admin', 'owner'] as const;
export type Role = (typeof ROLES)[number];

/** Rights of a member, one bit each. */
export const RIGHT_SEND_PACKET = 1;

/**
 * Membership that travels (rulings 1): the group's Set vouches for a person to other Sets.
 * The user is not in the bytes: it is the command's own user, and the MAC covers it.
 */
export type Grant = {
  readonly groupId: Id;
  readonly role: Role;
  readonly rights: number;
  /** The group's Set journal shows the membership at this LSN. */
  readonly groupLsn: Lsn;
  readonly issuedAt: TimeMs;
  readonly mac: Uint8Array;
};

export const GRANT_MAC_BYTES = 16;

function macInput(user: UserId, g: Omit<Grant, 'mac'>): Uint8Array {
  const w = new ByteWriter(96);
  w.text('grant1');
  w.text(user);
  w.big(g.groupId);
  w.u8(ROLES.indexOf(g.role));
  w.u16(g.rights);
  w.u64(g.groupLsn);
  w.u64(g.issuedAt);
  return w.view();
}

/** MAC under the key of the group's Set, truncated to 16 bytes. */
export function grantMac(key: HmacKey, user: UserId, g: Omit<Grant, 'mac'>): Uint8Array {
  return key.mac(macInput(user, g)).slice(0, GRANT_MAC_BYTES);
}

export function writeGrant(w: Writer, g: Grant | null): void {
  w.u8(g === null ? 0 : 1);
  if (g === null) return;
  w.big(g.groupId);
  w.u8(ROLES.indexOf(g.role));
  w.u16(g.rights);
  w.u64(g.groupLsn);
  w.u64(g.issuedAt);
  w.fixed(g.mac, GRANT_MAC_BYTES);
}

export function readGrant(r: Reader): Grant | null {
  const present = r.u8();
  if (present === 0) return null;
  if (present !== 1) throw new DecodeError('grant flag is 0 or 1');
  const groupId = readId(r);
  const role = ROLES[r.u8()];
  if (role === undefined) throw new DecodeError('unknown role');
  const rights = r.u16();
  const groupLsn = lsn(r.u64());
  const issuedAt = timeMs(r.u64());
  return { groupId, role, rights, groupLsn, issuedAt, mac: r.fixed(GRANT_MAC_BYTES) };
}

/** A grant's fields behind its flag. */
const GRANT_BODY_BYTES = 8 + 1 + 2 + 8 + 8 + GRANT_MAC_BYTES;

/** Passes over what {@link readGrant} reads; for those who act on what it led to. */
export function skipGrant(r: Reader): void {
  const present = r.u8();
  if (present > 1) throw new DecodeError('grant flag is 0 or 1');
  if (present === 1) r.skip(GRANT_BODY_BYTES);
}

/** An invitation to a group: opaque to clients, routed by its group id, vouched for by the group's Set. */
export type Invite = {
  readonly groupId: Id;
  readonly inviter: UserId;
  readonly expiresAt: TimeMs;
  readonly mac: Uint8Array;
};

export function inviteMac(key: HmacKey, invite: Omit<Invite, 'mac'>): Uint8Array {
  const w = new ByteWriter(96);
  w.text('invite1');
  w.big(invite.groupId);
  w.text(invite.inviter);
  w.u64(invite.expiresAt);
  return key.mac(w.view()).slice(0, GRANT_MAC_BYTES);
}
