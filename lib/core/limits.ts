import { assert } from './assert.ts';

/** Every limit has a unit in its name and a reason here. Money limits are defaults that an operator may lower. */
export const LIMITS = {
  /** WeChat's ordinary packet: 200.00. */
  packetTotalCentsMax: 200_00,
  /** WeChat's largest lucky packet. */
  packetCountMax: 100,
  /** WeChat: no more than 200.00 for each receiver, in the mean. */
  shareCentsMax: 200_00,
  /** Nobody opens a packet and gets nothing. */
  shareCentsMin: 1,
  /** The greeting is drawn on the cover. */
  greetingBytesMax: 128,
  /** 24 hours, then the rest goes back (source 002). */
  packetLifetimeMs: 24 * 3_600_000,
  packetLifetimeMsMin: 1_000,
  packetLifetimeMsMax: 7 * 24 * 3_600_000,
  /** Ordinary WeChat groups; also bounds one fan-out and one member list. */
  groupMembersMax: 500,
  groupNameBytesMax: 96,
  /** Groups one person may be in: bounds the hints of one wallet and of one hello. */
  userGroupsMax: 500,
  /** Text of one message; fits a 16 KiB frame with room for escapes. */
  messageBytesMax: 8_192,
  /** Rulings 1: a removed member can open for at most this long. */
  grantAgeMsMax: 60_000,
  inviteLifetimeMs: 7 * 24 * 3_600_000,
  /** Ended packets stay in memory this long: late openers are answered without a look-up. */
  endedPacketKeptMs: 60_000,
  /** Rulings 24: admission slows when the tables are so far behind; a burst passes before that. */
  projectionLagMsMax: 30_000,
  /** ...to this many commands: hours pass before memory is full, and somebody is called. */
  trickleCommandsPerSecond: 200,
  /** Rulings 9: answers younger than this are in memory. */
  answerLookupAfterMs: 10 * 60_000,
  /** ...and stay in memory this long, so that an id stamped up to 5 minutes ahead is covered. */
  answerKeptMs: 15 * 60_000,
  /** Bounds the memory of answers; beyond it new commands are `overloaded`. */
  answersMax: 1_000_000,
  /** Rulings 9: ids further in the future are refused. */
  commandIdAheadMsMax: 5 * 60_000,
  /** A batch is one row of at most 1 MiB (rulings 14) and a bounded stall for those behind it. */
  batchOpsMax: 1_024,
  batchBytesMax: 1_048_576,
  /** One command's bytes: a definition with 100 receivers, or a message, with room. */
  commandBytesMax: 65_536,
  /** Commands that wait for a batch in one Set; full answers `overloaded`. */
  commandQueueMax: 16_384,
  /** P10: what a lagging replica may hold in the leader's memory. */
  replicaWindowBatches: 64,
  replicaWindowBytes: 8_388_608,
  /** P8: no quorum for this long and the leader throws its memory away. */
  quorumTimeoutMs: 2_000,
  /** Rulings 9: how far out of order one lane of transfers may arrive. */
  transferWindowMax: 4_096,
  /** Transfers in one delivery command. */
  deliverTransfersMax: 256,
  /** Design 4: claims from here on travel in their own lane, first. */
  largeClaimCentsMin: 50_00,
  /** Journal that a restart replays at most, about: two seconds of work. */
  snapshotEveryBytes: 64 * 1_048_576,
  snapshotChunkBytesMax: 1_048_576,
  /** Rulings 16: decoded messages that no projection has yet. */
  tailBytesMax: 64 * 1_048_576,
  /** Cursor entries kept per group to count unread messages: above the 100 at which badges say 99+. */
  unreadRing: 256,
  unreadShownMax: 100,
  /** Design 10. */
  frameBytesMax: 16_384,
  requestsPerSecond: 20,
  requestsBurst: 40,
  helloTimeoutMs: 3_000,
  backpressureBytesMax: 65_536,
  socketsPerUserMax: 8,
  /** Rulings 18. */
  resumeGroupsMax: 200,
  historyPageMax: 100,
  /** Design 4: members in line for a packet before a grab says `wait`. */
  grabLineFactor: 2,
  grabLineMs: 3_000,
  /** A page to pay on is left open for minutes, not for hours; money that comes later is kept. */
  paymentLifetimeMs: 15 * 60_000,
  /** Payments under way for one person: a few tabs and a retry, never a flood. */
  paymentsUnderWayMax: 8,
  /** 1,000,000.00: what may still be paid keeps its room, and nobody can take that of a whole Set. */
  topupCentsMax: 100_000_000,
  /** Destination, reference or reason: a masked account number or a short sentence. */
  paymentTextBytesMax: 128,
  /** One answer about payments. */
  paymentsPageMax: 1_000,
  /** What one person sends in packets on one day of UTC+8: 1,000,000.00. */
  dailyCentsMax: 100_000_000,
  dailyPacketsMax: 10_000,
  /** 10^15 cents: totals of a Set stay far from the end of safe integers. */
  issuedCentsMax: 1_000_000_000_000_000,
  /** What all Sets together could bring into one: a transfer that would pass it is refused for ever. */
  setTotalCentsMax: 4_000_000_000_000_000,
} as const;

/** How the limits relate; called when a process starts. */
export function assertLimits(limits: typeof LIMITS = LIMITS): void {
  const l: Record<keyof typeof LIMITS, number> = limits;
  assert(
    l.packetTotalCentsMax >= l.packetCountMax * l.shareCentsMin,
    'the largest count of smallest shares fits the largest packet',
  );
  assert(l.messageBytesMax < l.frameBytesMax, 'a message fits a frame');
  assert(l.commandBytesMax > l.frameBytesMax, 'a frame fits a command');
  assert(l.commandBytesMax * 2 < l.batchBytesMax, 'one command never fills a batch');
  assert(
    l.answerKeptMs >= l.answerLookupAfterMs + l.commandIdAheadMsMax,
    'an id that needs no look-up is still in memory',
  );
  assert(l.packetLifetimeMs <= l.packetLifetimeMsMax, 'the default lifetime is allowed');
  assert(l.unreadRing > l.unreadShownMax, 'the ring covers what a badge can show');
  assert(l.frameBytesMax < l.backpressureBytesMax, 'one frame never closes a socket');
  assert(l.issuedCentsMax <= l.setTotalCentsMax, 'what is issued fits');
  assert(l.packetTotalCentsMax <= l.dailyCentsMax, 'the largest packet fits a day');
  assert(
    l.topupCentsMax * l.paymentsUnderWayMax * 1_000 <= l.issuedCentsMax,
    'a thousand people cannot keep others from topping up',
  );
  assert(l.setTotalCentsMax * 2 < Number.MAX_SAFE_INTEGER, 'totals are safe integers');
  assert(l.deliverTransfersMax <= l.transferWindowMax, 'a delivery fits the receiver window');
}
