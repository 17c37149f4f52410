import { unreachable } from './assert.ts';
import type { Reader, Writer } from './bytes.ts';
import { DecodeError } from './bytes.ts';
import type { Id } from './ids.ts';
import { readId } from './ids.ts';
import { readUser } from './packet.ts';
import type { Cents, SetId } from './units.ts';
import { cents, setId } from './units.ts';
import type { UserId } from './user.ts';

/**
 * Double entry inside each Set (design 4). `clearing` is kept per peer Set: what this Set has sent
 * to that one less what it has received, so that the two sides of a pair sum to what is in flight.
 */
export type Account =
  | { kind: 'wallet'; user: UserId }
  | { kind: 'packet'; packetId: Id }
  | { kind: 'clearing'; peer: SetId }
  | { kind: 'issuer' }
  /** Left a wallet for the payment gateway and not confirmed: in flight, like clearing. */
  | { kind: 'gateway' };

/** One leg; the legs of a command sum to zero. */
export type Posting = { readonly account: Account; readonly amountCents: Cents };

export const ACCOUNT_CODES = { wallet: 1, packet: 2, clearing: 3, issuer: 4, gateway: 5 } as const;

export function writePosting(w: Writer, p: Posting): void {
  w.u8(ACCOUNT_CODES[p.account.kind]);
  switch (p.account.kind) {
    case 'wallet':
      w.text(p.account.user);
      break;
    case 'packet':
      w.big(p.account.packetId);
      break;
    case 'clearing':
      w.u16(p.account.peer);
      break;
    case 'issuer':
    case 'gateway':
      break;
    default:
      unreachable(p.account);
  }
  w.i64(p.amountCents);
}

export function readPosting(r: Reader): Posting {
  const account = readAccount(r);
  return { account, amountCents: cents(r.i64()) };
}

function readAccount(r: Reader): Account {
  const code = r.u8();
  switch (code) {
    case ACCOUNT_CODES.wallet:
      return { kind: 'wallet', user: readUser(r) };
    case ACCOUNT_CODES.packet:
      return { kind: 'packet', packetId: readId(r) };
    case ACCOUNT_CODES.clearing: {
      const peer = r.u16();
      if (peer > 1023) throw new DecodeError('a Set number is 0..1023');
      return { kind: 'clearing', peer: setId(peer) };
    }
    case ACCOUNT_CODES.issuer:
      return { kind: 'issuer' };
    case ACCOUNT_CODES.gateway:
      return { kind: 'gateway' };
    default:
      throw new DecodeError('unknown account kind');
  }
}
