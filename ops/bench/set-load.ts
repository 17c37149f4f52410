import { assert } from '../../lib/core/assert.ts';
import type { Grant } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { statusCode, statusFromCode } from '../../lib/core/status.ts';
import type { UserId } from '../../lib/core/user.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import type { BatchStream } from '../../lib/runtime/stream.ts';
import type { CommandBatch } from '../../proto/gen/hongbao/CommandBatch.ts';
import type { Run } from './load.ts';
import { Histogram } from './load.ts';
import { OpenMessage, eachReply } from './open-messages.ts';

const OK = statusCode('ok');
/** Tags of one message: its number times this, and the index in it. */
const TAGS = 256;
/** 2^32 tags hold so many messages; a run sends fewer. */
const MESSAGES_MAX = 2 ** 24;
const PACE_MS = 1;
/** Answers that come after the end of a run are waited for so long. */
const LATE_MS = 5_000;

export type LoadRun = Run & {
  /** Opens that were refused, by status: `overloaded` is the only one that may be. */
  readonly refused: ReadonlyMap<string, number>;
  readonly offered: number;
};

/** Which LSN was acknowledged when: to say how old a projection is. */
export class AckedLsns {
  readonly #times: number[] = [];
  readonly #lsns: number[] = [];

  note(lsn: number): void {
    if (lsn <= (this.#lsns.at(-1) ?? 0)) return;
    this.#lsns.push(lsn);
    this.#times.push(performance.now());
  }

  /** Seconds since something above `lsn` was acknowledged; 0 when nothing was. */
  lagSeconds(lsn: number): number {
    let low = 0;
    let high = this.#lsns.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#lsns[middle] ?? 0) > lsn) high = middle;
      else low = middle + 1;
    }
    const since = this.#times[low];
    return since === undefined ? 0 : (performance.now() - since) / 1_000;
  }
}

/**
 * One client process on one real command stream: messages of 100 opens, so many on their way.
 * `spread` 1 is one hot packet, then the next; else so many packets are opened share by share.
 */
/** More was offered than the stream and the node behind it take. */
export class StreamBroke extends Error {
  override readonly name = 'StreamBroke';

  constructor(reason: string) {
    super(`the command stream broke: ${reason}`);
  }
}

export class SetLoad {
  readonly acked = new AckedLsns();
  readonly #openers: readonly UserId[];
  readonly #stream: BatchStream<CommandBatch>;
  readonly #client;
  /** One message for a hot packet: every member; and one for each member: many packets. */
  #hot: OpenMessage | null = null;
  #each: OpenMessage[] = [];
  #sentAt = new Float64Array(0);
  #left = new Uint16Array(0);
  #times = new Histogram();
  #refused = new Map<string, number>();
  #inFlight = 0;
  #answered = 0;
  #next: (() => void) | null = null;
  #failed: string | null = null;

  private constructor(args: { address: string; openers: readonly UserId[]; ready: () => void }) {
    this.#openers = args.openers;
    this.#client = openSetNode(args.address);
    this.#stream = this.#client.commands({
      opened: args.ready,
      message: ({ body }) => {
        eachReply(body, (tag, lsn, code) => this.#answer(tag, lsn, code));
        this.#next?.();
      },
      closed: (reason) => {
        this.#failed = reason ?? 'the stream ended';
      },
    });
  }

  static async open(args: { address: string; openers: readonly UserId[] }): Promise<SetLoad> {
    let load: SetLoad | null = null;
    await new Promise<void>((ready) => {
      load = new SetLoad({ ...args, ready });
    });
    assert(load !== null, 'the stream is open');
    return load;
  }

  close(): void {
    this.#client.close();
  }

  /** Messages carry these from now on; grants are good for a minute. */
  useGrants(grants: readonly Grant[]): void {
    const members = this.#openers.map((user, index) => {
      const grant = grants[index];
      assert(grant !== undefined, 'each opener has a grant');
      return { user, grant };
    });
    this.#hot = new OpenMessage(members);
    this.#each = members.map((member) => new OpenMessage(members.map(() => member)));
  }

  /** `window` messages on their way at any time: the most that comes through. */
  async saturate(args: {
    seconds: number;
    window: number;
    packets: readonly Id[];
    spread: number;
    serverCpuUs: () => number;
  }): Promise<LoadRun> {
    const { seconds, window } = args;
    return this.#run(args, async (send) => {
      const endMs = performance.now() + seconds * 1_000;
      await new Promise<void>((done) => {
        this.#next = () => {
          while (this.#inFlight < window && performance.now() < endMs) if (!send()) break;
          const isOver = performance.now() >= endMs || this.#inFlight < window;
          if (isOver || this.#failed !== null) done();
        };
        this.#next();
      });
    });
  }

  /** `perS` opens a second whatever the answers do. */
  async pace(args: {
    seconds: number;
    perS: number;
    packets: readonly Id[];
    spread: number;
    serverCpuUs: () => number;
    /** Called as message `number` leaves. */
    sent?: (number: number) => void;
  }): Promise<LoadRun> {
    const { seconds, perS } = args;
    return this.#run(args, async (send) => {
      const startMs = performance.now();
      let sent = 0;
      for (;;) {
        const passedS = (performance.now() - startMs) / 1_000;
        if (passedS >= seconds || this.#failed !== null) return;
        for (const due = (passedS * perS) / this.#openers.length; sent < due; sent++) {
          if (!send()) return;
          args.sent?.(sent);
        }
        await new Promise((resolve) => setTimeout(resolve, PACE_MS));
      }
    });
  }

  async #run(
    args: { packets: readonly Id[]; spread: number; serverCpuUs: () => number },
    drive: (send: () => boolean) => Promise<void>,
  ): Promise<LoadRun> {
    const { packets, spread } = args;
    const messages = Math.min(MESSAGES_MAX, packets.length);
    this.#sentAt = new Float64Array(messages);
    this.#left = new Uint16Array(messages);
    this.#times = new Histogram();
    this.#refused = new Map();
    this.#inFlight = 0;
    this.#answered = 0;
    let sent = 0;
    const send = (): boolean => {
      if (sent >= messages || !this.#stream.open) return false;
      this.#send({ number: sent++, packets, spread });
      return true;
    };
    const serverBefore = args.serverCpuUs();
    const ownBefore = process.cpuUsage();
    const startMs = performance.now();
    await drive(send);
    const inTime = this.#answered;
    const seconds = (performance.now() - startMs) / 1_000;
    const server = args.serverCpuUs() - serverBefore;
    const own = process.cpuUsage(ownBefore);
    await this.#drain();
    if (this.#failed !== null) throw new StreamBroke(this.#failed);
    return {
      opensPerS: inTime / seconds,
      offered: (sent * this.#openers.length) / seconds,
      p50Ms: this.#times.quantile(0.5),
      p99Ms: this.#times.quantile(0.99),
      serverCpuUs: server / inTime,
      clientCpuUs: (own.user + own.system) / inTime,
      refused: this.#refused,
    };
  }

  async #drain(): Promise<void> {
    const lateMs = performance.now() + LATE_MS;
    this.#next = null;
    while (this.#inFlight > 0 && this.#failed === null) {
      assert(performance.now() < lateMs, 'every open is answered');
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
  }

  #send(args: { number: number; packets: readonly Id[]; spread: number }): void {
    const { number, packets, spread } = args;
    const place = messageOf({ number, spread, size: this.#openers.length });
    const message = place.isHot ? this.#hot : this.#each[place.opener];
    assert(message !== undefined && message !== null, 'there are grants');
    const packetOf = (index: number): Id => {
      const packetId = packets[place.isHot ? place.packets : place.packets + index];
      assert(packetId !== undefined, 'a packet is there');
      return packetId;
    };
    this.#sentAt[number] = performance.now();
    this.#left[number] = message.size;
    this.#inFlight += 1;
    const body = message.fill({ firstTag: number * TAGS, packetOf });
    if (!this.#stream.send({ topologyVersion: 1, body })) this.#failed = 'the stream is full';
  }

  #answer(tag: number, lsn: number, code: number): void {
    const number = Math.floor(tag / TAGS);
    const left = (this.#left[number] ?? 0) - 1;
    assert(left >= 0, 'each open is answered once');
    this.#left[number] = left;
    if (left === 0) this.#inFlight -= 1;
    if (code === OK) {
      this.#answered += 1;
      this.#times.add(performance.now() - (this.#sentAt[number] ?? 0));
      this.acked.note(lsn);
      return;
    }
    const status = statusFromCode(code) ?? 'unknown';
    this.#refused.set(status, (this.#refused.get(status) ?? 0) + 1);
  }
}

/**
 * What message `number` opens: one hot packet, by everybody; or `size` packets from `packets` on, by
 * one person. A round of `spread` packets takes one message for each `size` of them and each person.
 */
export function messageOf(args: { number: number; spread: number; size: number }): {
  isHot: boolean;
  packets: number;
  opener: number;
} {
  const { number, spread, size } = args;
  if (spread === 1) return { isHot: true, packets: number, opener: 0 };
  assert(spread % size === 0, 'messages fill the packets that are opened side by side');
  const per = spread / size;
  const round = Math.floor(number / (per * size)) * spread;
  return {
    isHot: false,
    packets: round + (number % per) * size,
    opener: Math.floor(number / per) % size,
  };
}
