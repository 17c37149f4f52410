/** The ops of an entry with the bytes that stand in the journal: tables show some of them as they are. */
import { createHash } from 'node:crypto';
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Op } from './decode.ts';
import { readOutgoing, readPosting } from './parts.ts';
import { Reader } from './reader.ts';

/** The fingerprint of a command is so many bytes of its hash. */
const FINGERPRINT_BYTES = 8;
const COMMAND_ID_BYTES = 16;
const ID_BYTES = 8;

export type RawOp = {
  readonly op: Op;
  readonly command: Uint8Array;
  readonly outcome: Uint8Array;
};

/** `ops`: of this very entry. Throws NotTheFormat. */
export function rawOpsOf(entry: Pick<Entry, 'payload'>, ops: readonly Op[]): RawOp[] {
  const r = new Reader(entry.payload);
  return ops.map((op) => {
    const command = r.fixed(r.u32());
    const outcome = r.fixed(r.u32());
    r.list(() => readPosting(r));
    r.list(() => readOutgoing(r));
    return { op, command, outcome };
  });
}

/**
 * First 8 bytes of SHA-256 over what the client sent, in hex (docs/spec/formats.md, "Hashes and
 * MACs"): ids that a node proposed, grants and cursors are written as nothing.
 */
export function fingerprintOf({ op, command }: RawOp): string {
  const bytes = Buffer.from(command);
  switch (op.type) {
    case 'packet.send':
    case 'packet.pay': {
      // The definition begins with the packet's id; after it there is only the grant.
      const from = 1 + COMMAND_ID_BYTES;
      bytes.fill(0, from, from + ID_BYTES);
      const end = from + op.command.definition.bytes.length;
      return hashOf(Buffer.concat([bytes.subarray(0, end), Buffer.from([0])]));
    }
    case 'group.create': {
      const from = 1 + COMMAND_ID_BYTES + 2 + Buffer.byteLength(op.command.user);
      return hashOf(bytes.fill(0, from, from + ID_BYTES));
    }
    case 'message.send':
      return hashOf(bytes.fill(0, bytes.length - ID_BYTES));
    default:
      return hashOf(bytes);
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256')
    .update(bytes)
    .digest('hex')
    .slice(0, 2 * FINGERPRINT_BYTES);
}
