import { assert } from '../lib/core/assert.ts';
import { LIMITS } from '../lib/core/limits.ts';

/** Limits of the door alone; those that other tiers share come from lib/core/limits.ts. */
export const ACCESS_LIMITS = {
  frameBytesMax: LIMITS.frameBytesMax,
  /** Up to here a frame that is too large is answered before the socket closes; above, it is cut. */
  frameBytesReadMax: 4 * LIMITS.frameBytesMax,
  requestsPerSecond: LIMITS.requestsPerSecond,
  requestsBurst: LIMITS.requestsBurst,
  helloTimeoutMs: LIMITS.helloTimeoutMs,
  backpressureBytesMax: LIMITS.backpressureBytesMax,
  socketsPerUserMax: LIMITS.socketsPerUserMax,
  /** Open files: a process may have 20,000, and databases and peers need some. */
  connectionsMax: 18_000,
  /** One answer of messages stays below what may be buffered for a slow phone. */
  pageBytesMax: 48 * 1_024,
  /** Missed messages in one hello: a client that was away for longer pulls what it shows. */
  resumePerGroupMax: 100,
  resumeMax: 500,
  /** Packets whose group and phase this node remembers, 200 bytes each. */
  packetsRemembered: 65_536,
  /** A user without sockets is kept this long: a reconnect finds its grants and its rate limit. */
  lingerMs: 15_000,
  /** Tokens are looked at again this often while sockets live. */
  tokenCheckMs: 5_000,
  /** A grant is asked for again from this age on, and not used from the second (60 s is its end). */
  grantRefreshMs: 40_000,
  grantUseMs: 55_000,
  /** How long packet.send and group.create wait for the other Set before they say `arriving`. */
  arriveWaitMs: 1_500,
  /** Rulings 19: cursor moves of one member in one group. */
  cursorMoveMs: 2_000,
  /** How long a stopping server lets requests finish. */
  drainMs: 5_000,
} as const;

export type AccessLimits = { readonly [Name in keyof typeof ACCESS_LIMITS]: number };

/** The limits with some of them replaced; asserts how they relate. */
export function limitsWith(some: Partial<AccessLimits> = {}): AccessLimits {
  const limits = { ...ACCESS_LIMITS, ...some };
  assert(limits.frameBytesReadMax >= limits.frameBytesMax, 'a frame that is allowed is read');
  assert(limits.pageBytesMax < limits.backpressureBytesMax, 'one page never closes a socket');
  assert(limits.grantRefreshMs < limits.grantUseMs, 'a grant is renewed before it is dropped');
  assert(limits.grantUseMs < LIMITS.grantAgeMsMax, 'a grant that is sent arrives while it holds');
  return limits;
}
