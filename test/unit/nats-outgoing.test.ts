/** What waits for NATS: gathered, bounded, sent again; without a server and in virtual time. */
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { decodeFrame } from '../../lib/adapter/nats-frame.ts';
import type { Up } from '../../lib/adapter/nats-link.ts';
import { NatsOutgoing } from '../../lib/adapter/nats-outgoing.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';

class Server {
  readonly clock = new ManualClock();
  readonly metrics = createMetrics();
  /** Subjects of each message. */
  readonly heard: string[][] = [];
  readonly doubted: Up[] = [];
  isDeaf = false;
  readonly outgoing = new NatsOutgoing({
    stream: 's',
    clock: this.clock,
    metrics: this.metrics,
    doubt: (up) => {
      this.doubted.push(up);
      this.outgoing.use(null);
    },
  });
  /** Only what is asked of it here. */
  readonly up = {
    jetStream: {
      publish: async (subject: string, frame: Uint8Array) => {
        if (this.isDeaf) throw new Error('planted');
        this.heard.push([subject, ...decodeFrame(frame).map((record) => record.subject)]);
      },
    },
  } as unknown as Up;

  say(subject: string, bytes = 1): void {
    this.outgoing.add({ subject, payload: new Uint8Array(bytes) });
  }

  async count(name: string): Promise<number> {
    const line = new RegExp(`^hongbao_bus_${name}_total (\\d+)$`, 'm');
    return Number(line.exec(await this.metrics.expose())?.[1]);
  }
}

describe('outgoing', () => {
  test('[BU5b] gathers 2 ms of one first word into one message', async () => {
    const server = new Server();
    server.outgoing.use(server.up);
    for (const subject of ['a.1', 'b', 'a.2']) server.say(subject);
    await server.clock.advanceSettled(1);
    expect(server.heard).toEqual([]);
    await server.clock.advanceSettled(10);
    expect(server.heard).toEqual([
      ['s.a', 'a.1', 'a.2'],
      ['s.b', 'b'],
    ]);
    expect(await server.count('published')).toBe(3);
  });

  test('[BU5d] keeps 1 MiB for a server that is away, the newest; nothing older than 5 s', async () => {
    const server = new Server();
    for (let n = 0; n < 20; n++) server.say(`a.${n}`, 60_000);
    expect(await server.count('dropped')).toBe(3);
    await server.clock.advanceSettled(4_000);
    server.say('a.new');
    await server.clock.advanceSettled(1_500);
    server.outgoing.use(server.up);
    await server.clock.advanceSettled(100);
    expect(server.heard).toEqual([['s.a', 'a.new']]);
    expect(await server.count('dropped')).toBe(20);
  });

  test('[BU5c] what failed goes again over the next connection, and once', async () => {
    const server = new Server();
    server.isDeaf = true;
    server.outgoing.use(server.up);
    server.say('a');
    await server.clock.advanceSettled(500);
    expect(server.doubted).toEqual([server.up]);
    server.isDeaf = false;
    server.outgoing.use(server.up);
    await server.clock.advanceSettled(500);
    expect(server.heard).toEqual([['s.a', 'a']]);
  });
});
