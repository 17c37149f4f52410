import type { TaggedCommand } from '../../lib/core/batch.ts';
import { encodeCommands } from '../../lib/core/batch.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { asId } from '../../lib/core/ids.ts';
import type { UserId } from '../../lib/core/user.ts';

/** In a command: behind its type. */
const PACKET_AT = 1;
/** In a message, before each command: tag and length. */
const HEAD_BYTES = 8;

/**
 * A stream message of opens, encoded once: for each use only tags and packet ids are filled in, so
 * that the client of a bench costs little beside what it measures.
 */
export class OpenMessage {
  readonly size: number;
  readonly #bytes: Uint8Array;
  /** Where each item begins. */
  readonly #items: number[] = [];

  constructor(openers: readonly { readonly user: UserId; readonly grant: Grant }[]) {
    const commands: TaggedCommand[] = openers.map(({ user, grant }, tag) => ({
      tag,
      command: encodeCommand({ type: 'packet.open', packetId: asId(0n), user, grant }),
    }));
    this.size = commands.length;
    this.#bytes = encodeCommands(commands);
    let at = 0;
    for (const { command } of commands) {
      this.#items.push(at);
      at += HEAD_BYTES + command.length;
    }
  }

  /** Item `index` gets tag `firstTag + index` and opens `packetOf(index)`. */
  fill(args: { firstTag: number; packetOf: (index: number) => Id }): Buffer {
    const message = Buffer.from(this.#bytes);
    for (const [index, at] of this.#items.entries()) {
      message.writeUInt32LE(args.firstTag + index, at);
      message.writeBigUInt64LE(args.packetOf(index), at + HEAD_BYTES + PACKET_AT);
    }
    return message;
  }
}

/** Calls `each` for every reply of a stream message: its tag, LSN and status code. */
export function eachReply(
  body: Buffer,
  each: (tag: number, lsn: number, statusCode: number) => void,
): void {
  for (let at = 0; at < body.length;) {
    const tag = body.readUInt32LE(at);
    const lsn = body.readUInt32LE(at + 8) * 2 ** 32 + body.readUInt32LE(at + 4);
    const length = body.readUInt32LE(at + 12);
    each(tag, lsn, body.readUInt16LE(at + 16));
    at += 16 + length;
  }
}
