import { DecodeError, Reader, Writer } from '../lib/core/bytes.ts';
import type { Invite } from '../lib/core/grant.ts';
import { GRANT_MAC_BYTES } from '../lib/core/grant.ts';
import { asId } from '../lib/core/ids.ts';
import { readUser } from '../lib/core/packet.ts';
import { timeMs } from '../lib/core/units.ts';

/** The text of an invitation: opaque to clients; the group id in it routes the join. */
export function inviteText(invite: Invite): string {
  const w = new Writer(128);
  w.big(invite.groupId);
  w.text(invite.inviter);
  w.u64(invite.expiresAt);
  w.fixed(invite.mac, GRANT_MAC_BYTES);
  return Buffer.from(w.view()).toString('base64url');
}

/** null for a text that {@link inviteText} cannot have made. Only the group's Set checks the MAC. */
export function parseInvite(text: string): Invite | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return null;
  try {
    const r = new Reader(new Uint8Array(Buffer.from(text, 'base64url')));
    const groupId = asId(r.big());
    const inviter = readUser(r);
    const expiresAt = timeMs(r.u64());
    const mac = r.fixed(GRANT_MAC_BYTES);
    r.end();
    return groupId > 0n && groupId < 2n ** 63n ? { groupId, inviter, expiresAt, mac } : null;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}
