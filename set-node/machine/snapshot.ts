import {
  DecodeError,
  Reader,
  Writer,
  equalBytes,
  packBytes,
  unpackBytes,
} from '../../lib/core/bytes.ts';
import { CLUSTER_ID_BYTES, SLOT_MAP_BYTES } from '../../lib/core/command.ts';
import { commandIdBytes, commandIdFromBytes, readId } from '../../lib/core/ids.ts';
import { CorruptEntry, demandReadable } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { decodeOutcome, encodeOutcome } from '../../lib/core/outcome.ts';
import { readDefinition, readUser, writeDefinition } from '../../lib/core/packet.ts';
import { RULES_MAX } from '../../lib/core/rules.ts';
import { sha256 } from '../../lib/core/sha256.ts';
import type { Status } from '../../lib/core/status.ts';
import {
  readFlag,
  readHistory,
  readTransfer,
  writeTransfer,
  HISTORIES,
} from '../../lib/core/transfer.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import { ROLES } from '../../lib/core/grant.ts';
import type { CommandType } from '../../lib/core/command.ts';
import type { Member } from './groups.ts';
import { readPayments, writePayments } from './snapshot-payments.ts';
import type { PacketEnd } from './state.ts';
import { SetState } from './state.ts';

/** Version of the snapshot's own layout; an unknown one is not read. */
const SNAPSHOT_FORMAT = 1;

/** The state at its LSN as chunks, and the manifest that makes them count: format, sum, checksum of the chunks. */
export function encodeState(args: { state: SetState; sum: Uint8Array }): {
  lsn: Lsn;
  chunks: Uint8Array[];
  manifest: Uint8Array;
} {
  const { state } = args;
  const w = new Writer(1 << 16);
  writeHead(w, state);
  writePeople(w, state);
  writePackets(w, state);
  writeGroups(w, state);
  writeLanes(w, state);
  writeAnswers(w, state);
  if (state.rules >= 3) writePayments(w, state);
  const bytes = w.finish();
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += LIMITS.snapshotChunkBytesMax) {
    chunks.push(bytes.subarray(at, at + LIMITS.snapshotChunkBytesMax));
  }
  const m = new Writer(128);
  m.u16(SNAPSHOT_FORMAT);
  m.fixed(args.sum, 32);
  m.u64(bytes.length);
  m.fixed(sha256(bytes), 32);
  return { lsn: state.lsn, chunks, manifest: m.finish() };
}

/**
 * The pair of encodeState. Throws CorruptEntry naming Set and LSN when the bytes are not whole,
 * NodeTooOld when the Set was at rules above `rulesMax`, this build's own unless a test has another.
 */
export function decodeState(args: {
  setId: SetId;
  lsn: Lsn;
  chunks: readonly Uint8Array[];
  manifest: Uint8Array;
  rulesMax?: number | undefined;
}): { state: SetState; sum: Uint8Array } {
  const bad = (reason: string): CorruptEntry =>
    new CorruptEntry({ setId: args.setId, lsn: args.lsn, reason: `snapshot: ${reason}` });
  try {
    return decodeChecked({ ...args, bad });
  } catch (error) {
    if (error instanceof DecodeError) throw bad(error.message);
    throw error;
  }
}

function decodeChecked(args: {
  setId: SetId;
  lsn: Lsn;
  chunks: readonly Uint8Array[];
  manifest: Uint8Array;
  rulesMax?: number | undefined;
  bad: (reason: string) => CorruptEntry;
}): { state: SetState; sum: Uint8Array } {
  const { bad, rulesMax = RULES_MAX } = args;
  const m = new Reader(args.manifest);
  if (m.u16() !== SNAPSHOT_FORMAT) throw bad('unknown format');
  const sum = m.fixed(32);
  const size = m.u64();
  const hash = m.fixed(32);
  m.end();
  // The chunks are there; the size is only what somebody wrote.
  if (args.chunks.reduce((total, chunk) => total + chunk.length, 0) !== size)
    throw bad('wrong size');
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of args.chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  if (!equalBytes(sha256(bytes), hash)) throw bad('checksum does not match');
  const state = new SetState(args.setId);
  const r = new Reader(bytes);
  readHead(r, state);
  // Before anything that only later rules write.
  demandReadable({ setId: args.setId, lsn: args.lsn, rules: state.rules, rulesMax });
  readPeople(r, state);
  readPackets(r, state);
  readGroups(r, state);
  readLanes(r, state);
  readAnswers(r, state);
  if (state.rules >= 3) readPayments(r, state);
  r.end();
  if (state.lsn !== args.lsn) throw bad('it stands at another LSN');
  if (state.walletsCents + state.packetsCents + state.clearingCents + state.issuerCents !== 0) {
    throw bad('money does not sum to zero');
  }
  return { state, sum };
}

function writeHead(w: Writer, s: SetState): void {
  w.u16(s.setId);
  w.u64(s.lsn);
  w.u64(s.ts);
  w.u64(s.idCursor.ms);
  w.u16(s.idCursor.sequence);
  w.i64(s.issuerCents);
  w.u8(s.config === null ? 0 : 1);
  if (s.config !== null) {
    w.fixed(s.config.clusterId, CLUSTER_ID_BYTES);
    w.u8(s.config.replicas);
    w.u8(s.config.quorum);
    w.u16(s.config.rules);
    w.fixed(s.config.slots, SLOT_MAP_BYTES);
  }
  w.u32(s.clearing.size);
  for (const [peer, amount] of s.clearing) {
    w.u16(peer);
    w.i64(amount);
  }
}

function readHead(r: Reader, s: SetState): void {
  if (r.u16() !== s.setId)
    throw new CorruptEntry({ setId: s.setId, lsn: 0, reason: 'snapshot of another Set' });
  s.lsn = lsn(r.u64());
  s.ts = timeMs(r.u64());
  const ms = r.u64();
  s.idCursor = { ms, sequence: r.u16() };
  s.issuerCents = r.i64();
  if (readFlag(r)) {
    const clusterId = r.fixed(CLUSTER_ID_BYTES);
    const replicas = r.u8();
    const quorum = r.u8();
    s.config = { clusterId, replicas, quorum, rules: r.u16(), slots: r.fixed(SLOT_MAP_BYTES) };
  }
  for (let left = r.u32(); left > 0; left--) {
    const peer = setId(r.u16());
    const amount = r.i64();
    s.clearing.set(peer, amount);
    s.clearingCents += amount;
  }
}

function writePeople(w: Writer, s: SetState): void {
  w.u32(s.people.size);
  for (const [user, person] of s.people) {
    w.text(user);
    w.u64(person.balanceCents);
    w.u8(person.welcomed ? 1 : 0);
    w.u32(person.hints.size);
    for (const [groupId, hint] of person.hints) {
      w.big(groupId);
      w.u64(hint.version);
      w.u8(hint.present ? 1 : 0);
      w.text(hint.name);
    }
  }
}

function readPeople(r: Reader, s: SetState): void {
  for (let left = r.u32(); left > 0; left--) {
    const person = s.person(readUser(r));
    person.balanceCents = r.u64();
    s.walletsCents += person.balanceCents;
    person.welcomed = readFlag(r);
    for (let hints = r.u32(); hints > 0; hints--) {
      const groupId = readId(r);
      const version = r.u64();
      person.hints.set(groupId, { version, present: readFlag(r), name: r.text() });
    }
  }
}

function writePackets(w: Writer, s: SetState): void {
  w.u32(s.packets.size);
  for (const p of s.packets.values()) {
    writeDefinition(w, p.definition);
    w.blob(unpackBytes(p.sealedSeed));
    w.fixed(unpackBytes(p.seedHash), 32);
    w.u64(p.createdAt);
    w.u64(p.restCents);
    w.u32(p.claims.size);
    for (const [user, claim] of p.claims) {
      w.text(user);
      w.u32(claim.order);
      w.u64(claim.amountCents);
      w.u64(claim.at);
    }
    w.u8(p.end === null ? 0 : p.end.kind === 'drained' ? 1 : 2);
    if (p.end === null) continue;
    w.u64(p.end.at);
    w.u64(p.end.lsn);
    w.u64(p.end.refundCents);
    w.fixed(p.end.seed, 32);
  }
}

function readPackets(r: Reader, s: SetState): void {
  for (let left = r.u32(); left > 0; left--) {
    const definition = readDefinition(r);
    const sealedSeed = packBytes(r.blob());
    const seedHash = packBytes(r.fixed(32));
    const createdAt = timeMs(r.u64());
    const restCents = r.u64();
    const claims = new Map();
    for (let count = r.u32(); count > 0; count--) {
      const user = readUser(r);
      const order = r.u32();
      const amountCents = cents(r.u64());
      claims.set(user, { order, amountCents, at: timeMs(r.u64()) });
    }
    const end = readEnd(r);
    s.packetsCents += restCents;
    s.packets.set(definition.packetId, {
      definition,
      sealedSeed,
      seedHash,
      createdAt,
      expiresAt: timeMs(createdAt + definition.lifetimeMs),
      restCents,
      claims,
      end,
      seed: null,
      seedKey: null,
      shares: null,
    });
  }
}

function readEnd(r: Reader): PacketEnd | null {
  const code = r.u8();
  if (code === 0) return null;
  const at = timeMs(r.u64());
  const endLsn = lsn(r.u64());
  const refundCents = cents(r.u64());
  return {
    kind: code === 1 ? 'drained' : 'refunded',
    at,
    lsn: endLsn,
    refundCents,
    seed: r.fixed(32),
  };
}

function writeGroups(w: Writer, s: SetState): void {
  w.u32(s.groups.size);
  for (const g of s.groups.values()) {
    w.big(g.groupId);
    w.text(g.name);
    w.text(g.owner);
    w.u8(HISTORIES.indexOf(g.history));
    w.u64(g.createdAt);
    w.u64(g.version);
    w.u64(g.seq);
    w.u64(g.counting);
    w.u32(g.recent.length);
    for (const { seq, sender } of g.recent) {
      w.u64(seq);
      w.text(sender ?? '');
    }
    w.u32(g.members.size);
    for (const [user, m] of g.members) {
      w.text(user);
      w.u8(ROLES.indexOf(m.role));
      w.u64(m.joinedAt);
      w.u64(m.joinedSeq);
      w.u64(m.readSeq);
      w.u64(m.readCount);
      w.u64(m.ownAfter);
    }
  }
}

function readGroups(r: Reader, s: SetState): void {
  for (let left = r.u32(); left > 0; left--) {
    const groupId = readId(r);
    const name = r.text();
    const owner = readUser(r);
    const history = readHistory(r);
    const createdAt = timeMs(r.u64());
    const version = r.u64();
    const seq = r.u64();
    const counting = r.u64();
    const recent = Array.from({ length: r.u32() }, () => {
      const at = r.u64();
      const sender = r.text();
      return { seq: at, sender: sender === '' ? null : (sender as typeof owner) };
    });
    const members = new Map<typeof owner, Member>();
    for (let count = r.u32(); count > 0; count--) {
      const user = readUser(r);
      const role = ROLES[r.u8()];
      if (role === undefined) throw new DecodeError('unknown role');
      const joinedAt = timeMs(r.u64());
      const joinedSeq = r.u64();
      const readSeq = r.u64();
      const readCount = r.u64();
      members.set(user, { role, joinedAt, joinedSeq, readSeq, readCount, ownAfter: r.u64() });
    }
    s.groups.set(groupId, {
      groupId,
      name,
      owner,
      history,
      createdAt,
      version,
      seq,
      counting,
      recent,
      members,
    });
  }
}

function writeLanes(w: Writer, s: SetState): void {
  const out = [...s.outbox.lanes()];
  w.u32(out.length);
  for (const lane of out) {
    w.u16(lane.to);
    w.u8(lane.lane);
    w.u64(lane.first);
    w.u32(lane.pending.length);
    for (const transfer of lane.pending) writeTransfer(w, transfer);
  }
  const inbox = [...s.inbox.lanes()];
  w.u32(inbox.length);
  for (const lane of inbox) {
    w.u16(lane.from);
    w.u8(lane.lane);
    w.u64(lane.upTo);
    w.u32(lane.above.size);
    for (const number of lane.above) w.u64(number);
    w.u32(lane.tombstones.size);
    for (const [number, reason] of lane.tombstones) {
      w.u64(number);
      w.text(reason);
    }
  }
}

function readLanes(r: Reader, s: SetState): void {
  for (let left = r.u32(); left > 0; left--) {
    const to = setId(r.u16());
    const lane = r.u8();
    const first = r.u64();
    s.outbox.restoreLane(to, lane, first);
    const pending = r.u32();
    for (let index = 0; index < pending; index++) {
      s.outbox.add({ to, lane, number: first + index, transfer: readTransfer(r) });
    }
  }
  for (let left = r.u32(); left > 0; left--) {
    const from = setId(r.u16());
    const lane = s.inbox.lane(from, r.u8());
    lane.upTo = r.u64();
    for (let count = r.u32(); count > 0; count--) lane.above.add(r.u64());
    for (let count = r.u32(); count > 0; count--) {
      const number = r.u64();
      lane.tombstones.set(number, r.text() as Status);
    }
  }
}

function writeAnswers(w: Writer, s: SetState): void {
  w.u32(s.answers.size);
  for (const a of s.answers.values()) {
    w.text(a.key.user);
    w.fixed(commandIdBytes(a.key.commandId), 16);
    w.text(a.fingerprint);
    w.text(a.outcome.type);
    w.blob(encodeOutcome(a.outcome));
    w.u64(a.ts);
    w.u64(a.lsn);
  }
}

function readAnswers(r: Reader, s: SetState): void {
  for (let left = r.u32(); left > 0; left--) {
    const user = readUser(r);
    const commandId = commandIdFromBytes(r.fixed(16));
    const fingerprint = r.text();
    const outcome = decodeOutcome(r.text() as CommandType, r.blob());
    const ts = timeMs(r.u64());
    s.answers.add({ key: { user, commandId }, fingerprint, outcome, ts, lsn: lsn(r.u64()) });
  }
}
