/** The auditor's decoder says what docs/spec/formats.md says: every golden vector, field by field. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CommandType } from '../../reconciler/audit/decode.ts';
import { decodeCommand, decodeOps, decodeOutcome } from '../../reconciler/audit/decode.ts';
import { readGrant, readPosting, readTransfer } from '../../reconciler/audit/parts.ts';
import { NotTheFormat, Reader } from '../../reconciler/audit/reader.ts';
import { seedHashOf, sha256, shareOf } from '../../reconciler/audit/shares.ts';
import { isStatus, statusOf } from '../../reconciler/audit/words.ts';

type Section = Readonly<Record<string, string>>;
const golden: Readonly<Record<string, Section>> = JSON.parse(
  readFileSync(new URL('../golden/formats.json', import.meta.url), 'utf8'),
);

function bytesOf(section: string, name: string): Uint8Array {
  const hex = golden[section]?.[name];
  if (hex === undefined) throw new Error(`there is no vector ${section}.${name}`);
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

function hexFrom(first: number, size: number): string {
  return Buffer.from(Array.from({ length: size }, (_, at) => first + at)).toString('hex');
}

/** An id by its three parts (SPEC U4). */
function id(ms: number, set: number, sequence: number): bigint {
  return (BigInt(ms) << 22n) | (BigInt(set) << 12n) | BigInt(sequence);
}

const NOW = Date.UTC(2026, 0, 1);
const PACKET = id(1_000_000, 3, 5);
const PAYMENT_ID = id(3_000_000, 3, 6);
const DUE = NOW + 15 * 60_000;
const GROUP = id(2_000_000, 7, 4_095);
const COMMAND_ID = '019b7600-0000-7000-8000-0123456789ab';
const MAC = hexFrom(0xa0, 16);
const SEED = new Uint8Array(Buffer.from(hexFrom(0, 32), 'hex'));
const HASH = hexFrom(0x40, 32);
const GRANT = { groupId: GROUP, role: 'admin', rights: 1, groupLsn: 77, issuedAt: NOW, mac: MAC };
const DEFINITION = {
  packetId: PACKET,
  sender: 'alice',
  groupId: GROUP,
  kind: 'lucky',
  strategy: 'double_mean',
  timing: 'at_open',
  totalCents: 20_000,
  count: 10,
  lifetimeMs: 86_400_000,
  greeting: '恭喜发财',
  receivers: [],
};
const EXCLUSIVE = {
  packetId: PACKET,
  sender: '小红',
  groupId: GROUP,
  kind: 'exclusive',
  strategy: 'equal',
  timing: 'pre_split',
  totalCents: 2,
  count: 2,
  lifetimeMs: 1_000,
  greeting: '',
  receivers: ['bob', '小红'],
};
const PAYMENT = { packetId: PACKET, groupId: GROUP };
const HINT = { groupId: GROUP, user: 'bob', version: 2, present: true, name: '家' };

const COMMANDS: Readonly<Record<string, object>> = {
  'set.configure': {
    clusterId: hexFrom(0x10, 16),
    replicas: 3,
    quorum: 2,
    rules: 1,
    slots: Uint8Array.from({ length: 128 }, (_, at) => at + 1),
  },
  'ids.reserve': { count: 4_096 },
  'wallet.open': { user: 'alice', welcomeCents: 100_000 },
  'packet.send': { commandId: COMMAND_ID, definition: DEFINITION, grant: GRANT },
  'packet.open': { packetId: PACKET, user: 'bob', grant: GRANT },
  'packet.expire': { packetId: PACKET },
  'group.create': {
    commandId: COMMAND_ID,
    user: 'alice',
    groupId: GROUP,
    name: '家',
    history: 'all',
  },
  'group.join': { user: 'bob', groupId: GROUP, inviter: 'alice', expiresAt: NOW, mac: MAC },
  'group.leave': { commandId: '', user: 'bob', groupId: GROUP },
  'message.send': {
    commandId: COMMAND_ID,
    user: 'bob',
    groupId: GROUP,
    kind: 'text',
    body: '谢谢 🧧',
    seenSeq: 12,
  },
  'message.read': { user: 'bob', groupId: GROUP, seq: 2 ** 53 - 1 },
  'transfer.deliver': {
    from: 3,
    lane: 2,
    first: 9,
    transfers: [
      { kind: 'claim.credit', ...PAYMENT, user: 'bob', amountCents: 5_000 },
      { kind: 'member.hint', ...HINT },
    ],
  },
  'transfer.ack': {
    to: 3,
    lane: 0,
    upTo: 9,
    tombstones: [{ number: 8, reason: 'bad_argument' }],
    receiptEpoch: 513,
    receiptLsn: 4_711,
  },
  'wallet.topup': { commandId: COMMAND_ID, user: 'alice', amountCents: 5_000 },
  'wallet.withdraw': {
    commandId: COMMAND_ID,
    user: 'alice',
    amountCents: 300,
    destination: '招商银行 **** 1234',
  },
  'packet.pay': { commandId: COMMAND_ID, definition: DEFINITION, grant: GRANT },
  'payment.settle': {
    paymentId: PAYMENT_ID,
    result: 'denied',
    amountCents: 300,
    reference: 'gw-42',
  },
  'payment.expire': { paymentId: PAYMENT_ID },
  'wallet.freeze': {
    commandId: COMMAND_ID,
    operator: 'ops',
    user: 'bob',
    frozen: true,
    reason: 'reported',
  },
  'wallet.adjust': {
    commandId: COMMAND_ID,
    operator: 'ops',
    user: 'bob',
    amountCents: -7,
    reason: '',
  },
  'packet.send exclusive, without a grant': {
    commandId: COMMAND_ID,
    definition: EXCLUSIVE,
    grant: null,
  },
  'packet.open without a grant': { packetId: PACKET, user: 'bob', grant: null },
  'group.leave with an id (rules 2)': { commandId: COMMAND_ID, user: 'bob', groupId: GROUP },
};

const SHARE = { order: 10, left: 0, at: NOW, seed: SEED };
const OUTCOMES: Readonly<Record<string, { status: string; success: object | null }>> = {
  'set.configure': { status: 'ok', success: {} },
  'ids.reserve': { status: 'ok', success: { firstId: PACKET, count: 64 } },
  'wallet.open': { status: 'ok', success: { balanceCents: 100_000, welcomed: true } },
  'packet.send': { status: 'ok', success: { packetId: PACKET } },
  'packet.open': { status: 'ok', success: { amountCents: 7, ...SHARE } },
  'packet.expire': { status: 'ok', success: { refundCents: 19_993, seed: SEED } },
  'group.create': { status: 'ok', success: { groupId: GROUP } },
  'group.join': {
    status: 'ok',
    success: { role: 'owner', version: 3, joinedSeq: 4, seq: 5 },
  },
  'group.leave': { status: 'ok', success: { version: 4, seq: 6 } },
  'message.send': { status: 'ok', success: { seq: 7, at: NOW } },
  'message.read': { status: 'ok', success: { seq: 7, readCount: 5, ownAfter: 1, unread: 99 } },
  'transfer.deliver': {
    status: 'ok',
    success: {
      receipts: [
        {
          kind: 'live',
          sealedSeed: new Uint8Array(Buffer.from(hexFrom(0x80, 60), 'hex')),
          seedHash: HASH,
        },
        { kind: 'message', seq: 8 },
        { kind: 'applied' },
        { kind: 'duplicate' },
        { kind: 'tombstone', reason: 'wrong_set' },
      ],
    },
  },
  'transfer.ack': { status: 'ok', success: { upTo: 9 } },
  'wallet.topup': { status: 'ok', success: { paymentId: PAYMENT_ID, dueAt: DUE } },
  'wallet.withdraw': { status: 'ok', success: { paymentId: PAYMENT_ID, balanceCents: 4_700 } },
  'packet.pay': {
    status: 'ok',
    success: { packetId: PACKET, paymentId: PAYMENT_ID, dueAt: DUE },
  },
  'payment.settle': {
    status: 'ok',
    success: { became: 'returned', user: 'alice', amountCents: 300 },
  },
  'payment.expire': { status: 'ok', success: {} },
  'wallet.freeze': { status: 'ok', success: { frozen: true } },
  'wallet.adjust': { status: 'ok', success: { balanceCents: 93 } },
  'packet.open again': {
    status: 'already_opened',
    success: { amountCents: 7, order: 1, left: 9, at: NOW, seed: new Uint8Array(0) },
  },
  'packet.open refused': { status: 'packet_drained', success: null },
  'packet.send refused': { status: 'insufficient_funds', success: null },
};

const TRANSFERS: Readonly<Record<string, object>> = {
  'packet.create': { definition: DEFINITION, sentAt: NOW },
  'packet.announce': {
    packetId: PACKET,
    groupId: GROUP,
    sender: 'alice',
    packetKind: 'equal',
    count: 3,
    greeting: 'hi',
    seedHash: HASH,
    expiresAt: NOW,
  },
  'claim.credit': { ...PAYMENT, user: 'bob', amountCents: 5_000 },
  'packet.refund': { ...PAYMENT, user: 'refund', amountCents: 1 },
  'group.found': { groupId: GROUP, owner: 'alice', name: '家', history: 'from_join' },
  'member.hint': HINT,
};

const POSTINGS: Readonly<Record<string, object>> = {
  wallet: { account: { kind: 'wallet', user: '小红' }, amountCents: -20_000 },
  packet: { account: { kind: 'packet', packetId: PACKET }, amountCents: 1 },
  clearing: { account: { kind: 'clearing', peer: 1_023 }, amountCents: 20_000 },
  issuer: { account: { kind: 'issuer' }, amountCents: -1_000_000_000_000_000 },
  gateway: { account: { kind: 'gateway' }, amountCents: -300 },
};

/** Bytes are compared as numbers, raw bytes of parts are left out. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const fields = Object.entries(value).filter(([name]) => name !== 'bytes');
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)]));
}

function whole<Value>(read: (r: Reader) => Value, bytes: Uint8Array): Value {
  const r = new Reader(bytes);
  const value = read(r);
  r.end();
  return value;
}

function typeOf(name: string): CommandType {
  return name.split(' ')[0] as CommandType;
}

describe('golden vectors', () => {
  test('none is left out', () => {
    expect(Object.keys(COMMANDS)).toEqual(Object.keys(golden['command'] ?? {}));
    expect(Object.keys(OUTCOMES)).toEqual(Object.keys(golden['outcome'] ?? {}));
    expect(Object.keys(TRANSFERS)).toEqual(Object.keys(golden['transfer'] ?? {}));
    expect(Object.keys(POSTINGS)).toEqual(Object.keys(golden['posting'] ?? {}));
  });

  test.each(Object.entries(COMMANDS))('command %s', (name, value) => {
    const { type, command } = decodeCommand(bytesOf('command', name));
    expect(type).toBe(typeOf(name));
    expect(plain(command)).toEqual(plain(value));
  });

  test.each(Object.entries(OUTCOMES))('outcome %s', (name, value) => {
    expect(plain(decodeOutcome(typeOf(name), bytesOf('outcome', name)))).toEqual(plain(value));
  });

  test.each(Object.entries(TRANSFERS))('transfer %s', (name, value) => {
    const bytes = bytesOf('transfer', name);
    const transfer = whole(readTransfer, bytes);
    expect(plain(transfer)).toEqual(plain({ kind: name, ...value }));
    expect([...transfer.bytes]).toEqual([...bytes]);
  });

  test.each(Object.entries(POSTINGS))('posting %s', (name, value) => {
    expect(whole(readPosting, bytesOf('posting', name))).toEqual(value);
  });

  test('grants', () => {
    expect(whole(readGrant, bytesOf('grant', 'none'))).toBeNull();
    expect(whole(readGrant, bytesOf('grant', 'admin'))).toEqual(GRANT);
  });

  test('every status', () => {
    const codes = Object.entries(golden['status'] ?? {}).map(([word, code]) => [
      Number(code),
      word,
    ]);
    expect(codes.map(([code]) => [code, statusOf(Number(code))])).toEqual(codes);
    expect(isStatus('bad_argument')).toBe(true);
    expect(isStatus('nonsense')).toBe(false);
  });

  test('a payload', () => {
    const payload = bytesOf('entry', 'payload');
    const [op, ...rest] = decodeOps({ payload, opCount: 1, format: 1 });
    expect(rest).toEqual([]);
    expect(plain(op)).toEqual(
      plain({
        type: 'packet.open',
        command: COMMANDS['packet.open'],
        outcome: OUTCOMES['packet.open'],
        postings: [POSTINGS['packet'], POSTINGS['clearing']],
        sends: [
          {
            to: 5,
            lane: 1,
            number: 31,
            transfer: { kind: 'claim.credit', ...TRANSFERS['claim.credit'] },
          },
        ],
      }),
    );
  });

  test('a payload of rules 2 is none of rules 1', () => {
    const payload = bytesOf('entry of rules 2', 'payload');
    const [op] = decodeOps({ payload, opCount: 1, format: 2 });
    expect(op?.type).toBe('group.leave');
    expect(() => decodeOps({ payload, opCount: 1, format: 1 })).toThrow('F2 command 14');
    expect(() => decodeOps({ payload, opCount: 1, format: 4 })).toThrow('F2 format 4');
  });

  test('a payload of rules 3 is none of rules 2', () => {
    const payload = bytesOf('entry of rules 3', 'payload');
    const [op] = decodeOps({ payload, opCount: 1, format: 3 });
    expect(op?.type).toMatch(/^(?:wallet|payment|packet)\./);
    expect(() => decodeOps({ payload, opCount: 1, format: 2 })).toThrow(
      /^F2 command 1[5-9]|^F2 command 2[01]/,
    );
  });
});

describe('[F2] other bytes are refused', () => {
  test.each(Object.keys(COMMANDS))('%s cut short, with bytes left over', (name) => {
    const bytes = bytesOf('command', name);
    for (let size = 0; size < bytes.length; size++) {
      expect(() => decodeCommand(bytes.subarray(0, size))).toThrow('F2');
    }
    expect(() => decodeCommand(new Uint8Array([...bytes, 0]))).toThrow('F2 bytes left over');
  });

  test.each([
    ['an unknown command', '0f'],
    ['an unknown tag', '0800010061' + '00'.repeat(8) + '0000'],
    ['a user without a name', '030000' + '00'.repeat(8)],
    ['a control character in a name', '03010007' + '00'.repeat(8)],
    ['text that is not UTF-8', '030100ff' + '00'.repeat(8)],
    ['a number above 2^53 - 1', '03010061' + 'ff'.repeat(8)],
    ['an id of 64 bits', '06' + 'ff'.repeat(8)],
    ['a flag of 2', '05' + '00'.repeat(8) + '01006102'],
    ['a lane that is none', '0c00000400'],
    ['a Set that is none', '0c000400'],
    ['a command id that is no UUIDv7', '04' + '00'.repeat(16)],
  ])('%s', (_, hex) => {
    expect(() => decodeCommand(new Uint8Array(Buffer.from(hex, 'hex')))).toThrow(NotTheFormat);
  });
});

describe('[A] shares of the seed 00 01 … 1f', () => {
  // The vectors of test/golden/allocation.test.ts, made by a program of its own.
  test.each([
    { strategy: 'double_mean', total: 1000, shares: [43, 65, 38, 77, 147, 59, 126, 6, 274, 165] },
    { strategy: 'double_mean', total: 5, shares: [1, 1, 2, 1] },
    {
      strategy: 'classic',
      total: 1000,
      shares: [125, 27, 186, 186, 155, 68, 119, 12, 68, 54],
    },
    { strategy: 'classic', total: 5, shares: [1, 1, 1, 2] },
    { strategy: 'classic', total: 6, shares: [1, 1, 1, 1, 2] },
    { strategy: 'uniform', total: 1000, shares: [799, 81, 61, 50, 4, 1, 1, 1, 1, 1] },
    { strategy: 'equal', total: 11, shares: [3, 3, 3, 2] },
  ] as const)('$strategy $total', ({ strategy, total, shares }) => {
    let remaining: number = total;
    const drawn = shares.map((_, index) => {
      const left = shares.length - index;
      const share = shareOf({ strategy, seed: SEED, order: index + 1, remaining, left });
      remaining -= share;
      return share;
    });
    expect(drawn).toEqual(shares);
  });

  test('hash of a seed', () => {
    const { bytes } = (
      decodeCommand(bytesOf('command', 'packet.send')).command as {
        definition: { bytes: Uint8Array };
      }
    ).definition;
    const definitionHash = sha256(bytes);
    expect(Buffer.from(definitionHash).toString('hex')).toBe(golden['hash']?.['definition']);
    expect(seedHashOf({ packetId: PACKET, definitionHash, seed: SEED })).toBe(
      golden['hash']?.['seed'],
    );
  });
});
