import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect } from 'node:net';

/**
 * A WebSocket client (RFC 6455) for load: text frames only, a few µs each, so that a bench measures
 * the server and not its client. Apps use the SDK.
 */
export class RawSocket {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #open = false;
  /** Where in `bytes` the text of a frame stands: most frames need not become a string. */
  onText: (bytes: Buffer, start: number, end: number) => void = () => undefined;
  onClose: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(args: { host: string; port: number; path: string }): Promise<RawSocket> {
    const socket = connect(args.port, args.host);
    socket.setNoDelay(true);
    const raw = new RawSocket(socket);
    const key = randomBytes(16).toString('base64');
    const head =
      `GET ${args.path} HTTP/1.1\r\nHost: ${args.host}:${args.port}\r\nUpgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => socket.write(head));
      socket.on('data', (bytes: Buffer) => raw.#take(bytes, resolve));
      socket.once('close', () => {
        reject(new Error('closed before the upgrade'));
        raw.onClose();
      });
    });
    socket.on('error', () => undefined);
    return raw;
  }

  /** Sends one text frame; several in one turn travel in one write when `cork` is used around them. */
  send(text: string): void {
    const size = Buffer.byteLength(text);
    const extended = size < 126 ? 0 : 2;
    const frame = Buffer.allocUnsafe(2 + extended + 4 + size);
    frame[0] = 0x81;
    frame[1] = 0x80 | (extended === 0 ? size : 126);
    if (extended === 2) frame.writeUInt16BE(size, 2);
    // A mask of zeros is a mask: the rule is there for proxies, and there is none here.
    frame.writeUInt32BE(0, 2 + extended);
    frame.write(text, 6 + extended);
    this.#socket.write(frame);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer, upgraded: () => void): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    if (!this.#open) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#open = true;
      this.#received = this.#received.subarray(end + 4);
      upgraded();
    }
    let at = 0;
    const data = this.#received;
    while (data.length - at >= 2) {
      const opcode = (data[at] ?? 0) & 0x0f;
      let size = (data[at + 1] ?? 0) & 0x7f;
      let head = 2;
      if (size === 126) {
        if (data.length - at < 4) break;
        size = data.readUInt16BE(at + 2);
        head = 4;
      } else if (size === 127) {
        if (data.length - at < 10) break;
        size = Number(data.readBigUInt64BE(at + 2));
        head = 10;
      }
      if (data.length - at < head + size) break;
      if (opcode === 1) this.onText(data, at + head, at + head + size);
      at += head + size;
    }
    this.#received = data.subarray(at);
  }
}
