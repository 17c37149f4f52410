/** The query tables as docs/spec/tables.md lists them: columns in order, and the key. */

export type Cell = string | number | bigint | Uint8Array;
/** `number` is any whole number; `words` are UTF-8, `bytes` are not. */
type CellType = 'number' | 'words' | 'bytes';

type Layout = {
  readonly columns: Readonly<Record<string, CellType>>;
  /** The first so many columns are the key. */
  readonly keyColumns: number;
};

export const LAYOUTS = {
  red_packet: {
    columns: {
      packet_id: 'number',
      group_id: 'number',
      sender: 'words',
      kind: 'words',
      strategy: 'words',
      timing: 'words',
      total_cents: 'number',
      count: 'number',
      greeting: 'words',
      created_at: 'number',
      expires_at: 'number',
      phase: 'words',
      taken: 'number',
      taken_cents: 'number',
      refund_cents: 'number',
      ended_at: 'number',
      seed_hash: 'bytes',
      seed: 'bytes',
    },
    keyColumns: 1,
  },
  red_packet_record: {
    columns: {
      packet_id: 'number',
      claim_order: 'number',
      claimer: 'words',
      amount_cents: 'number',
      at: 'number',
    },
    keyColumns: 2,
  },
  chat_group: {
    columns: {
      group_id: 'number',
      name: 'words',
      owner: 'words',
      history: 'words',
      created_at: 'number',
    },
    keyColumns: 1,
  },
  group_member: {
    columns: {
      group_id: 'number',
      member: 'words',
      role: 'words',
      joined_at: 'number',
      joined_seq: 'number',
      version: 'number',
      present: 'number',
    },
    keyColumns: 2,
  },
  message: {
    columns: {
      group_id: 'number',
      seq: 'number',
      sender: 'words',
      kind: 'words',
      body: 'words',
      at: 'number',
      client_msg_id: 'words',
    },
    keyColumns: 2,
  },
  ledger_entry: {
    columns: {
      owner: 'words',
      lsn: 'number',
      leg: 'number',
      amount_cents: 'number',
      reason: 'words',
      packet_id: 'number',
      at: 'number',
    },
    keyColumns: 3,
  },
  wallet_day: {
    columns: {
      owner: 'words',
      day: 'number',
      lines: 'number',
      net_cents: 'number',
      sent_lucky: 'number',
      sent_equal: 'number',
      sent_exclusive: 'number',
      sent_cents: 'number',
      back_cents: 'number',
      received_packets: 'number',
      received_cents: 'number',
    },
    keyColumns: 2,
  },
  command_answer: {
    columns: {
      requester: 'words',
      command_id: 'words',
      fingerprint: 'words',
      command_type: 'words',
      outcome: 'bytes',
      lsn: 'number',
    },
    keyColumns: 2,
  },
  user_group: {
    columns: {
      member: 'words',
      group_id: 'number',
      version: 'number',
      present: 'number',
      name: 'words',
    },
    keyColumns: 2,
  },
  payment: {
    columns: {
      payment_id: 'number',
      owner: 'words',
      purpose: 'words',
      amount_cents: 'number',
      state: 'words',
      packet_id: 'number',
      destination: 'words',
      reference: 'words',
      created_at: 'number',
      due_at: 'number',
      ended_at: 'number',
    },
    keyColumns: 1,
  },
} as const satisfies Readonly<Record<string, Layout>>;

export type TableName = keyof typeof LAYOUTS;
export const TABLE_NAMES = Object.keys(LAYOUTS) as TableName[];

export function layoutOf(table: TableName): Layout {
  return LAYOUTS[table];
}

export function keyOf(table: TableName, row: readonly Cell[]): readonly Cell[] {
  return row.slice(0, layoutOf(table).keyColumns);
}

/** By column, in words that are equal only for equal values, whatever a database returns them as. */
export function cellsText(table: TableName, row: readonly unknown[]): string[] {
  return Object.values(layoutOf(table).columns).map((type, at) => cellText(row[at], type));
}

function cellText(cell: unknown, type: CellType): string {
  if (cell === null || cell === undefined) return 'nothing';
  if (type === 'number') return numberText(cell);
  if (type === 'bytes')
    return cell instanceof Uint8Array ? hexText(cell) : `not bytes: ${describe(cell)}`;
  const isText = typeof cell === 'string';
  if (!isText && !(cell instanceof Uint8Array)) return `not words: ${describe(cell)}`;
  const text = isText ? cell : bufferOf(cell).toString('utf8');
  // Bytes that are not UTF-8 would all look alike.
  return text.includes('\ufffd') ? hexText(isText ? Buffer.from(text, 'utf8') : cell) : `"${text}"`;
}

function numberText(cell: unknown): string {
  const isNumber = typeof cell === 'number' || typeof cell === 'bigint';
  if (isNumber || (typeof cell === 'string' && /^-?\d+$/.test(cell))) return String(cell);
  return `not a number: ${describe(cell)}`;
}

function describe(cell: unknown): string {
  return cell instanceof Uint8Array ? hexText(cell) : String(cell);
}

function hexText(bytes: Uint8Array): string {
  return `x${bufferOf(bytes).toString('hex')}`;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
