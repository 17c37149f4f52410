import { toHex, utf8, utf8Length } from './bytes.ts';
import { sha256 } from './sha256.ts';

declare const userBrand: unique symbol;
/**
 * The operator's own id of a person: 1..64 bytes of well-formed UTF-8 without control characters
 * (rulings 5). Kept as text; two are the same person when their bytes are equal, which for
 * well-formed text is `===`.
 */
export type UserId = string & { readonly [userBrand]: 'UserId' };

const USER_ID_BYTES_MAX = 64;
export const SLOT_COUNT = 1024;

// C0, DEL, C1, line and paragraph separators, and the bidirectional overrides that disguise names.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** The user id, or null when the text may not name a person. */
export function parseUserId(text: string): UserId | null {
  if (text.length === 0 || text.length > USER_ID_BYTES_MAX) return null;
  if (!text.isWellFormed() || FORBIDDEN.test(text)) return null;
  return utf8Length(text) <= USER_ID_BYTES_MAX ? (text as UserId) : null;
}

/** The first 16 bytes of SHA-256 in hex: the only form of a user id in subjects, keys, paths and labels. */
export function userHash(user: UserId): string {
  return toHex(sha256(utf8(user)).subarray(0, 16));
}

/** A pure function remembered: every open asks it three times for the same few thousand people. */
const slots = new Map<UserId, number>();
const SLOTS_REMEMBERED = 65_536;

/** Slot 0..1023: the first 10 bits of the user's hash. Golden vectors in SPEC. */
export function slotOf(user: UserId): number {
  const known = slots.get(user);
  if (known !== undefined) return known;
  const hash = sha256(utf8(user));
  const slot = ((hash[0] ?? 0) << 2) | ((hash[1] ?? 0) >> 6);
  if (slots.size >= SLOTS_REMEMBERED) slots.clear();
  slots.set(user, slot);
  return slot;
}
