import { equalBytes } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { grantMac, inviteMac } from '../../lib/core/grant.ts';
import { HmacKey } from '../../lib/core/hmac.ts';
import { setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Crypto } from '../../lib/port/crypto.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Findings } from './context.ts';
import { NO_FINDINGS } from './context.ts';

const VERIFIED_MAX = 65_536;

/** Checks MACs of grants and invitations before anything is sealed (rulings 1). */
export class Seals {
  readonly #crypto: Crypto;
  readonly #keys = new Map<number, HmacKey>();
  /** Grants that were right, by the first bytes of their MAC: a person opens many packets with one. */
  readonly #verified = new Map<number, { user: UserId; grant: Grant }>();

  constructor(keys: Crypto) {
    this.#crypto = keys;
  }

  keyOf(set: number): HmacKey {
    let key = this.#keys.get(set);
    if (key === undefined) {
      key = new HmacKey(this.#crypto.grantKey(set));
      this.#keys.set(set, key);
    }
    return key;
  }

  /** Is this grant real, and fresh enough by its own Set's clock, for a read? */
  vouches(args: { user: UserId; grant: Grant }): boolean {
    const { user, grant } = args;
    return equalBytes(grantMac(this.keyOf(setOfId(grant.groupId)), user, grant), grant.mac);
  }

  /** What is known of a command without the state; `ts` is the log time it will be decided at. */
  findings(command: Command, ts: number): Findings {
    switch (command.type) {
      case 'packet.send':
      case 'packet.pay':
        return { ...NO_FINDINGS, grant: this.#grant(command, command.definition.sender, ts) };
      case 'packet.open':
        return { ...NO_FINDINGS, grant: this.#grant(command, command.user, ts) };
      case 'group.join': {
        const { invite } = command;
        const right = inviteMac(this.keyOf(setOfId(invite.groupId)), invite);
        return { ...NO_FINDINGS, invite: equalBytes(right, invite.mac) ? 'valid' : 'invalid' };
      }
      default:
        return NO_FINDINGS;
    }
  }

  #grant(
    command: Extract<Command, { type: 'packet.send' | 'packet.pay' | 'packet.open' }>,
    user: UserId,
    ts: number,
  ): Findings['grant'] {
    const { grant } = command;
    if (grant === null) return 'absent';
    const name = firstBytes(grant.mac);
    const known = this.#verified.get(name);
    if (known === undefined || known.user !== user || !sameGrant(known.grant, grant)) {
      const right = grantMac(this.keyOf(setOfId(grant.groupId)), user, grant);
      if (!equalBytes(right, grant.mac)) return 'invalid';
      if (this.#verified.size >= VERIFIED_MAX) this.#verified.clear();
      this.#verified.set(name, { user, grant });
    }
    return ts - grant.issuedAt > LIMITS.grantAgeMsMax ? 'expired' : 'valid';
  }
}

/** A name for the cache, not a proof: every field is compared with what was verified. */
function firstBytes(mac: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac;
  return ((a << 24) | (b << 16) | (c << 8) | d) * 65_536 + (e << 8) + f;
}

function sameGrant(a: Grant, b: Grant): boolean {
  return (
    a.groupId === b.groupId &&
    a.role === b.role &&
    a.rights === b.rights &&
    a.groupLsn === b.groupLsn &&
    a.issuedAt === b.issuedAt &&
    equalBytes(a.mac, b.mac)
  );
}
