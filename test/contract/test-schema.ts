import { Reader, Writer } from '../../lib/core/bytes.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Change, Row, Schema, Table, Value } from '../../lib/port/replica-store.ts';

/** A made-up projection that has every column type, one composite key and both kinds of index. */
const ITEMS: Table = {
  name: 'items',
  columns: {
    group_id: 'id',
    seq: 'u64',
    author: 'user',
    body: 'text',
    token: 'blob',
    hidden: 'flag',
  },
  key: ['group_id', 'seq'],
  indexes: {
    by_author: { columns: ['author'], unique: false },
    by_token: { columns: ['token'], unique: true },
  },
};

const TOTALS: Table = {
  name: 'totals',
  columns: { owner: 'user', amount: 'cents', times: 'u64', note: 'text' },
  key: ['owner'],
};

/** The payload of a test entry is its changes: each test says what an entry does. */
export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const w = new Writer();
  w.u32(changes.length);
  for (const change of changes) {
    w.text(change.kind);
    w.text(change.table);
    if (change.kind === 'put') writeRow(w, change.row);
    else {
      writeRow(w, change.key);
      const pairs = Object.entries(change.kind === 'set' ? change.values : change.deltas);
      w.u16(pairs.length);
      for (const [name, value] of pairs) {
        w.text(name);
        writeValue(w, value);
      }
    }
  }
  return w.finish();
}

function decodeChanges(entry: Entry): Change[] {
  if (entry.payload.length === 0) return [];
  const r = new Reader(entry.payload);
  const changes = Array.from({ length: r.u32() }, (): Change => {
    const kind = r.text();
    const table = r.text();
    const first = readRow(r);
    if (kind === 'put') return { kind, table, row: first };
    const pairs = Array.from({ length: r.u16() }, () => [r.text(), readValue(r)] as const);
    if (kind === 'set') return { kind, table, key: first, values: Object.fromEntries(pairs) };
    const deltas = Object.fromEntries(pairs.map(([name, value]) => [name, Number(value)]));
    return { kind: 'add', table, key: first, deltas };
  });
  r.end();
  return changes;
}

function writeRow(w: Writer, row: Row): void {
  w.u16(row.length);
  for (const value of row) writeValue(w, value);
}

function readRow(r: Reader): Row {
  return Array.from({ length: r.u16() }, () => readValue(r));
}

const TAGS = { none: 0, big: 1, number: 2, text: 3, bytes: 4 } as const;

function writeValue(w: Writer, value: Value): void {
  if (value === null) w.u8(TAGS.none);
  else if (typeof value === 'bigint') {
    w.u8(TAGS.big);
    w.big(value);
  } else if (typeof value === 'number') {
    w.u8(TAGS.number);
    w.i64(value);
  } else if (typeof value === 'string') {
    w.u8(TAGS.text);
    w.text(value);
  } else {
    w.u8(TAGS.bytes);
    w.blob(value);
  }
}

function readValue(r: Reader): Value {
  const tag = r.u8();
  if (tag === TAGS.none) return null;
  if (tag === TAGS.big) return r.big();
  if (tag === TAGS.number) return r.i64();
  if (tag === TAGS.text) return r.text();
  return r.blob().slice();
}

export const schema: Schema = {
  tables: [ITEMS, TOTALS],
  project: (entries) => entries.flatMap(decodeChanges),
};
