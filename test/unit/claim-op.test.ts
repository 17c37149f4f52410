import { describe, expect, test } from 'vitest';
import { DecodeError, Reader, Writer, packBytes, unpackBytes } from '../../lib/core/bytes.ts';
import { eachOp } from '../../lib/core/claim-op.ts';
import type { Entry, Op } from '../../lib/core/journal-entry.ts';
import { decodeOps } from '../../lib/core/journal-entry.ts';
import { TextTable } from '../../lib/core/text-table.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { makeBusySet } from '../../ops/bench/busy-set.ts';
import { SetMaker } from '../../ops/bench/set-maker.ts';

describe('a journal read op by op', () => {
  const entries: Entry[] = [];
  const maker = new SetMaker({ onEntry: (entry) => entries.push(entry), replicas: 3 });
  makeBusySet({ maker, size: { packets: 5, claims: 4, people: 20 } });

  test('every won open is read flat, and says what the whole op says', () => {
    let claims = 0;
    for (const entry of entries) {
      const whole = decodeOps(entry);
      let at = 0;
      eachOp(entry, {
        claim: (op) => {
          claims += 1;
          expect(opOf(whole[at++])).toEqual({ ...op });
        },
        other: (op) => {
          expect(op.command.type).not.toBe('packet.open');
          expect(op).toEqual(whole[at++]);
        },
      });
      expect(at).toBe(whole.length);
    }
    expect(claims).toBe(20);
  });

  test('bytes that end early or are left over are refused', () => {
    const opens = entries.find((entry) => decodeOps(entry)[0]?.command.type === 'packet.open');
    const { payload, opCount, format } = opens as Entry;
    const read = (entry: Pick<Entry, 'payload' | 'opCount'>) => () =>
      eachOp({ ...entry, format }, { claim: () => undefined, other: () => undefined });
    expect(read({ payload, opCount })).not.toThrow();
    expect(read({ payload: payload.slice(0, -1), opCount })).toThrow(DecodeError);
    expect(read({ payload, opCount: opCount - 1 })).toThrow(DecodeError);
    expect(read({ payload, opCount: opCount + 1 })).toThrow(DecodeError);
  });
});

function opOf(op: Op | undefined) {
  if (op?.command.type !== 'packet.open' || !('order' in op.outcome)) throw new Error('no claim');
  const { amountCents, order, left, at, seed } = op.outcome;
  const [send] = op.sends;
  if (send?.transfer.kind !== 'claim.credit') throw new Error('no credit');
  const { packetId, user } = op.command;
  const { groupId } = send.transfer;
  const { to: home, lane, number } = send;
  return { packetId, groupId, user, amountCents, order, left, at, seed, home, lane, number };
}

describe('texts that are read again', () => {
  const bytesOf = (texts: readonly string[]): Uint8Array => {
    const w = new Writer();
    for (const text of texts) w.text(text);
    return w.finish();
  };

  test('come back equal, however many share a slot', () => {
    const table = new TextTable(2, parseUserId);
    const texts = ['a', 'b', 'alice', 'alicf', '小红', 'é', 'alice ', 'b'];
    for (let round = 0; round < 3; round++) {
      const r = new Reader(bytesOf(texts));
      expect(texts.map(() => r.known(table))).toEqual(texts);
      r.end();
    }
  });

  test('what may not be is refused each time', () => {
    const table = new TextTable(16, parseUserId);
    for (let round = 0; round < 2; round++) {
      expect(new Reader(bytesOf([''])).known(table)).toBeNull();
      expect(new Reader(bytesOf(['a\u0000'])).known(table)).toBeNull();
    }
  });

  test('bytes that are no text are never taken for one', () => {
    const table = new TextTable(16, parseUserId);
    const r = new Reader(bytesOf(['\u00e9']));
    expect(r.known(table)).toBe('\u00e9');
    // One byte with the value of that character is not UTF-8.
    expect(() => new Reader(new Uint8Array([1, 0, 0xe9])).known(table)).toThrow(DecodeError);
  });
});

test('bytes kept as a text are the same bytes', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  expect(unpackBytes(packBytes(bytes))).toEqual(bytes);
  expect(packBytes(new Uint8Array(0))).toBe('');
});
