import { DecodeError } from '../../../lib/core/bytes.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { Change, Schema, Table } from '../../../lib/port/replica-store.ts';

/** A made-up projection with every column type, a key of two columns and both kinds of index. */
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

/** The payload of an entry is its changes as JSON: a script says what each entry does. */
export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const json = JSON.stringify(changes, (_, value: unknown) => toJson(value));
  return new Uint8Array(Buffer.from(json));
}

function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return { id: String(value) };
  return value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value;
}

function decodeChanges({ payload }: Entry): Change[] {
  if (payload.length === 0) return [];
  try {
    return JSON.parse(Buffer.from(payload).toString(), (_, value: unknown) => fromJson(value));
  } catch (error) {
    throw new DecodeError('the payload is no list of changes', { cause: error });
  }
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('id' in value) return BigInt(String(value.id));
  return 'hex' in value ? new Uint8Array(Buffer.from(String(value.hex), 'hex')) : value;
}

/** What the stores import: each projects in a thread or a class of its own. */
export const schema: Schema = {
  tables: [ITEMS, TOTALS],
  project: (entries) => entries.flatMap(decodeChanges),
};
