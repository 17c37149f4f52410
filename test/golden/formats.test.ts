/** Rulings 16a: the formats of journal and wire, fixed before the first use. Layout: docs/spec/formats.md. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readPosting, writePosting } from '../../lib/core/account.ts';
import {
  decodeCommands,
  decodeReplies,
  encodeCommands,
  encodeReplies,
} from '../../lib/core/batch.ts';
import { Reader, Writer, toHex } from '../../lib/core/bytes.ts';
import { decodeCommand, encodeCommand, fingerprintOf } from '../../lib/core/command.ts';
import { grantMac, inviteMac, readGrant, writeGrant } from '../../lib/core/grant.ts';
import { HmacKey } from '../../lib/core/hmac.ts';
import type { EntryHead } from '../../lib/core/journal-entry.ts';
import {
  decodeEntry,
  decodeOps,
  encodeEntry,
  seal,
  summedBytes,
  unseal,
  writeOp,
} from '../../lib/core/journal-entry.ts';
import { decodeOutcome, encodeOutcome } from '../../lib/core/outcome.ts';
import { definitionHash, seedHashOf } from '../../lib/core/packet.ts';
import { sha256 } from '../../lib/core/sha256.ts';
import type { Status } from '../../lib/core/status.ts';
import { STATUSES, statusCode } from '../../lib/core/status.ts';
import { readTransfer, writeTransfer } from '../../lib/core/transfer.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import * as hand from './bytes-by-hand.ts';
import type { Example, Examples } from './format-examples.ts';
import * as examples from './format-examples.ts';

const golden: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(new URL('formats.json', import.meta.url), 'utf8'),
);

/** One kind of thing: its vectors, and the pair of functions that they hold to their word. */
function vectors<Value>(args: {
  section: string;
  examples: Examples<Value>;
  encode: (value: Value) => Uint8Array;
  decode: (bytes: Uint8Array, value: Value) => Value;
}): void {
  const { section, examples: all, encode, decode } = args;
  const fixed = golden[section] ?? {};

  describe(`${section}s`, () => {
    test('the file holds exactly these vectors', () => {
      expect(Object.keys(fixed)).toEqual(Object.keys(all));
    });

    test.each(Object.entries(all))('%s', (name, { value, bytes }: Example<Value>) => {
      expect(toHex(bytes), 'bytes put together by hand').toBe(fixed[name]);
      expect(toHex(encode(value)), 'encode').toBe(fixed[name]);
      expect(decode(new Uint8Array(Buffer.from(fixed[name] ?? '', 'hex')), value)).toEqual(value);
    });
  });
}

/** For parts that have no decoder of their own: all bytes are read, none is left. */
function whole<Value>(read: (r: Reader) => Value): (bytes: Uint8Array) => Value {
  return (bytes) => {
    const r = new Reader(bytes);
    const value = read(r);
    r.end();
    return value;
  };
}

function written<Value>(write: (w: Writer, value: Value) => void): (value: Value) => Uint8Array {
  return (value) => {
    const w = new Writer(1);
    write(w, value);
    return w.finish();
  };
}

vectors({
  section: 'command',
  examples: { ...examples.COMMANDS, ...examples.VARIANTS },
  encode: encodeCommand,
  decode: decodeCommand,
});
vectors({
  section: 'outcome',
  examples: { ...examples.OUTCOMES, ...examples.OUTCOME_VARIANTS },
  encode: encodeOutcome,
  decode: (bytes, value) => decodeOutcome(value.type, bytes),
});
vectors({
  section: 'transfer',
  examples: examples.TRANSFERS,
  encode: written(writeTransfer),
  decode: whole(readTransfer),
});
vectors({
  section: 'posting',
  examples: examples.POSTINGS,
  encode: written(writePosting),
  decode: whole(readPosting),
});
vectors({
  section: 'grant',
  examples: examples.GRANTS,
  encode: written(writeGrant),
  decode: whole(readGrant),
});

describe('one whole entry', () => {
  const open = examples.COMMANDS['packet.open'];
  const answer = examples.OUTCOMES['packet.open'];
  const { packet, clearing } = examples.POSTINGS;
  const credit = examples.TRANSFERS['claim.credit'];
  const OWNER = hand.counting(16, 0xc0);
  const PREV = hand.counting(32, 0xe0);
  const payload = hand.join(
    hand.blob(open.bytes),
    hand.blob(answer.bytes),
    hand.u16(2),
    packet!.bytes,
    clearing!.bytes,
    hand.u16(1),
    hand.u16(5),
    hand.u8(1),
    hand.u64(31),
    credit.bytes,
  );
  const headBytes = hand.join(
    hand.u16(3),
    hand.u64(4_711),
    hand.u64(513),
    OWNER,
    hand.u8(0),
    PREV,
    hand.u64(1_767_225_600_000),
    hand.u64(4_710),
    hand.u64(4_710),
    hand.u64(4_709),
    hand.u64(0),
    hand.u16(1),
    hand.u32(1),
    hand.i64(90_000),
    hand.i64(20_000),
    hand.i64(-10_000),
    hand.i64(-100_000),
  );
  const head: EntryHead = {
    setId: setId(3),
    lsn: lsn(4_711),
    epoch: epoch(513),
    leaderId: OWNER,
    kind: 'OPS',
    prev: PREV,
    ts: timeMs(1_767_225_600_000),
    commitLsn: lsn(4_710),
    acked: [lsn(4_710), lsn(4_709), lsn(0)],
    format: 1,
    opCount: 1,
    money: {
      walletsCents: cents(90_000),
      packetsCents: cents(20_000),
      clearingCents: cents(-10_000),
      issuerCents: cents(-100_000),
    },
  };
  const fixed = golden['entry'] ?? {};
  const op = {
    command: open.value,
    outcome: answer.value,
    postings: [packet!.value, clearing!.value],
    sends: [{ to: setId(5), lane: 1, number: 31, transfer: credit.value }],
  };

  test('payload: one op with two postings and one transfer', () => {
    expect(toHex(payload)).toBe(fixed['payload']);
    const w = new Writer(1);
    writeOp(w, { ...op, command: encodeCommand(op.command) });
    expect(toHex(w.finish())).toBe(fixed['payload']);
    const read = { payload: new Uint8Array(payload), opCount: 1, format: 1 };
    expect(decodeOps(read)).toEqual([op]);
  });

  test('the sum is SHA-256 over head and payload, and nothing else', () => {
    const summed = hand.join(headBytes, hand.blob(payload));
    expect(toHex(summed)).toBe(fixed['summed']);
    expect(toHex(summedBytes(head, payload))).toBe(fixed['summed']);
    const sum = hand.sha256(summed);
    expect(toHex(sum)).toBe(fixed['sum']);
    expect(toHex(seal({ head, payload, hash: sha256 }).sum)).toBe(fixed['sum']);
  });

  test('encoded: head, sum, payload', () => {
    const sum = hand.sha256(headBytes, hand.blob(payload));
    expect(toHex(hand.join(headBytes, sum, hand.blob(payload)))).toBe(fixed['encoded']);
    const entry = seal({ head, payload: new Uint8Array(payload), hash: sha256 });
    expect(toHex(encodeEntry(entry))).toBe(fixed['encoded']);
    const read = decodeEntry(new Uint8Array(Buffer.from(fixed['encoded'] ?? '', 'hex')));
    expect(read).toEqual({ ...entry, sum: new Uint8Array(sum) });
    unseal({ entry: read, prev: PREV, hash: sha256 });
  });

  test('kinds have the codes 0..3', () => {
    for (const [code, kind] of (['OPS', 'EPOCH_START', 'CONFIG', 'SEAL'] as const).entries()) {
      expect(summedBytes({ ...head, kind }, payload)[2 + 8 + 8 + 16]).toBe(code);
    }
  });
});

describe('one whole entry of rules 2', () => {
  const leave = examples.VARIANTS['group.leave with an id (rules 2)']!;
  const left = examples.OUTCOMES['group.leave'];
  const hint = examples.TRANSFERS['member.hint'];
  const OWNER = hand.counting(16, 0xc0);
  const PREV = hand.counting(32, 0xe0);
  const payload = hand.join(
    hand.blob(leave.bytes),
    hand.blob(left.bytes),
    hand.u16(0),
    hand.u16(1),
    hand.join(hand.u16(5), hand.u8(0), hand.u64(32)),
    hint.bytes,
  );
  const headBytes = hand.join(
    hand.join(hand.u16(3), hand.u64(4_712), hand.u64(513), OWNER, hand.u8(0), PREV),
    hand.join(hand.u64(1_767_225_600_000), hand.u64(4_711)),
    hand.join(hand.u64(4_711), hand.u64(4_711), hand.u64(4_700)),
    hand.join(hand.u16(2), hand.u32(1)),
    hand.join(hand.i64(0), hand.i64(0), hand.i64(0), hand.i64(0)),
  );
  const sum = hand.sha256(headBytes, hand.blob(payload));
  const fixed = golden['entry of rules 2'] ?? {};
  const none = cents(0);
  const head: EntryHead = {
    setId: setId(3),
    lsn: lsn(4_712),
    epoch: epoch(513),
    leaderId: OWNER,
    kind: 'OPS',
    prev: PREV,
    ts: timeMs(1_767_225_600_000),
    commitLsn: lsn(4_711),
    acked: [lsn(4_711), lsn(4_711), lsn(4_700)],
    format: 2,
    opCount: 1,
    money: { walletsCents: none, packetsCents: none, clearingCents: none, issuerCents: none },
  };
  const op = {
    command: leave.value,
    outcome: left.value,
    postings: [],
    sends: [{ to: setId(5), lane: 0, number: 32, transfer: hint.value }],
  };

  test('payload: a leave with an id', () => {
    expect(toHex(payload)).toBe(fixed['payload']);
    const w = new Writer(1);
    writeOp(w, { ...op, command: encodeCommand(op.command) });
    expect(toHex(w.finish())).toBe(fixed['payload']);
    const read = { payload: new Uint8Array(payload), opCount: 1, format: 2 };
    expect(decodeOps(read)).toEqual([op]);
    // Rules 1 did not have it: a leader of those rules never wrote it.
    expect(() => decodeOps({ ...read, format: 1 })).toThrow('not of rules 1');
  });

  test('encoded: head, sum, payload', () => {
    expect(toHex(sum)).toBe(fixed['sum']);
    expect(toHex(hand.join(headBytes, sum, hand.blob(payload)))).toBe(fixed['encoded']);
    const entry = seal({ head, payload: new Uint8Array(payload), hash: sha256 });
    expect(toHex(encodeEntry(entry))).toBe(fixed['encoded']);
    const read = decodeEntry(new Uint8Array(Buffer.from(fixed['encoded'] ?? '', 'hex')));
    expect(read).toEqual({ ...entry, sum: new Uint8Array(sum) });
    unseal({ entry: read, prev: PREV, hash: sha256 });
  });
});

describe('one whole entry of rules 3', () => {
  const settle = examples.COMMANDS['payment.settle'];
  const returned = examples.OUTCOMES['payment.settle'];
  const { gateway } = examples.POSTINGS;
  const back = {
    value: {
      account: { kind: 'wallet', user: examples.user('alice') },
      amountCents: cents(300),
    } as const,
    bytes: hand.join(hand.u8(1), hand.text('alice'), hand.i64(300)),
  };
  const OWNER = hand.counting(16, 0xc0);
  const PREV = hand.counting(32, 0xe0);
  const payload = hand.join(
    hand.blob(settle.bytes),
    hand.blob(returned.bytes),
    hand.u16(2),
    gateway!.bytes,
    back.bytes,
    hand.u16(0),
  );
  const headBytes = hand.join(
    hand.join(hand.u16(3), hand.u64(4_713), hand.u64(513), OWNER, hand.u8(0), PREV),
    hand.join(hand.u64(1_767_225_600_000), hand.u64(4_712)),
    hand.join(hand.u64(4_712), hand.u64(4_712), hand.u64(4_712)),
    hand.join(hand.u16(3), hand.u32(1)),
    hand.join(hand.i64(9_700), hand.i64(0), hand.i64(300), hand.i64(-10_000)),
  );
  const sum = hand.sha256(headBytes, hand.blob(payload));
  const fixed = golden['entry of rules 3'] ?? {};
  const head: EntryHead = {
    setId: setId(3),
    lsn: lsn(4_713),
    epoch: epoch(513),
    leaderId: OWNER,
    kind: 'OPS',
    prev: PREV,
    ts: timeMs(1_767_225_600_000),
    commitLsn: lsn(4_712),
    acked: [lsn(4_712), lsn(4_712), lsn(4_712)],
    format: 3,
    opCount: 1,
    money: {
      walletsCents: cents(9_700),
      packetsCents: cents(0),
      // What the gateway has is in flight.
      clearingCents: cents(300),
      issuerCents: cents(-10_000),
    },
  };
  const op = {
    command: settle.value,
    outcome: returned.value,
    postings: [gateway!.value, back.value],
    sends: [],
  };

  test('payload: a withdrawal that the gateway denied', () => {
    expect(toHex(payload)).toBe(fixed['payload']);
    const w = new Writer(1);
    writeOp(w, { ...op, command: encodeCommand(op.command) });
    expect(toHex(w.finish())).toBe(fixed['payload']);
    const read = { payload: new Uint8Array(payload), opCount: 1, format: 3 };
    expect(decodeOps(read)).toEqual([op]);
    expect(() => decodeOps({ ...read, format: 2 })).toThrow('not of rules 2');
  });

  test('encoded: head, sum, payload', () => {
    expect(toHex(sum)).toBe(fixed['sum']);
    expect(toHex(hand.join(headBytes, sum, hand.blob(payload)))).toBe(fixed['encoded']);
    const entry = seal({ head, payload: new Uint8Array(payload), hash: sha256 });
    expect(toHex(encodeEntry(entry))).toBe(fixed['encoded']);
    const read = decodeEntry(new Uint8Array(Buffer.from(fixed['encoded'] ?? '', 'hex')));
    expect(read).toEqual({ ...entry, sum: new Uint8Array(sum) });
    unseal({ entry: read, prev: PREV, hash: sha256 });
  });
});

describe('messages of a stream', () => {
  const fixed = golden['stream'] ?? {};
  const command = examples.COMMANDS['packet.expire'].bytes;
  const outcome = examples.OUTCOME_VARIANTS['packet.open refused']!.bytes;

  test('commands with their tags', () => {
    const bytes = hand.join(
      hand.u32(1),
      hand.blob(command),
      hand.u32(0xffffffff),
      hand.blob(command),
    );
    expect(toHex(bytes)).toBe(fixed['commands']);
    const items = [
      { tag: 1, command },
      { tag: 0xffffffff, command },
    ];
    expect(toHex(encodeCommands(items))).toBe(fixed['commands']);
    expect(decodeCommands(new Uint8Array(bytes))).toEqual(
      items.map(({ tag }) => ({ tag, command: new Uint8Array(command) })),
    );
  });

  test('replies with their tags and marks', () => {
    const bytes = hand.join(hand.u32(1), hand.u64(4_711), hand.blob(outcome));
    expect(toHex(bytes)).toBe(fixed['replies']);
    expect(toHex(encodeReplies([{ tag: 1, lsn: 4_711, outcome }]))).toBe(fixed['replies']);
    expect(decodeReplies(new Uint8Array(bytes))).toEqual([
      { tag: 1, lsn: 4_711, outcome: new Uint8Array(outcome) },
    ]);
  });
});

describe('hashes and MACs', () => {
  const fixed = golden['hash'] ?? {};
  const KEY = hand.counting(32, 0x20);

  test('definition hash: SHA-256 of the definition as journaled', () => {
    expect(toHex(hand.sha256(examples.DEFINITION_BYTES))).toBe(fixed['definition']);
    expect(toHex(definitionHash(examples.DEFINITION))).toBe(fixed['definition']);
  });

  test("seed hash: SHA-256('hb1', packet id, definition hash, seed)", () => {
    const hash = hand.sha256(
      Buffer.from('hb1'),
      examples.DEFINITION_BYTES.subarray(0, 8),
      hand.sha256(examples.DEFINITION_BYTES),
      examples.SEED,
    );
    expect(toHex(hash)).toBe(fixed['seed']);
    const { DEFINITION: definition, SEED: seed } = examples;
    expect(toHex(seedHashOf({ definition, seed }))).toBe(fixed['seed']);
  });

  test('fingerprint: 8 bytes of SHA-256 without what the client did not send', () => {
    const hash = hand.sha256(examples.SEND_FINGERPRINT_INPUT).subarray(0, 8);
    expect(toHex(hash)).toBe(fixed['fingerprint of packet.send']);
    const send = examples.COMMANDS['packet.send'].value;
    expect(toHex(fingerprintOf(send))).toBe(fixed['fingerprint of packet.send']);
    const payHash = hand.sha256(hand.u8(17), examples.SEND_FINGERPRINT_INPUT.subarray(1));
    expect(toHex(payHash.subarray(0, 8))).toBe(fixed['fingerprint of packet.pay']);
    const pay = examples.COMMANDS['packet.pay'].value;
    expect(toHex(fingerprintOf(pay))).toBe(fixed['fingerprint of packet.pay']);
  });

  test('MAC of a grant', () => {
    expect(toHex(hand.hmac16(KEY, examples.GRANT_MAC_INPUT))).toBe(fixed['grant MAC']);
    const mac = grantMac(new HmacKey(KEY), examples.user('bob'), examples.GRANT);
    expect(toHex(mac)).toBe(fixed['grant MAC']);
  });

  test('MAC of an invitation', () => {
    expect(toHex(hand.hmac16(KEY, examples.INVITE_MAC_INPUT))).toBe(fixed['invite MAC']);
    expect(toHex(inviteMac(new HmacKey(KEY), examples.INVITE))).toBe(fixed['invite MAC']);
  });
});

test('status codes never change', () => {
  const codes = Object.fromEntries(STATUSES.map((status: Status) => [status, statusCode(status)]));
  expect(codes).toEqual(golden['status']);
});
