import { Redis as Client } from 'ioredis';
import { assert } from '../../lib/core/assert.ts';
import { Redis } from '../rig/redis.ts';
import type { Rig } from '../rig/rig.ts';
import type { Run } from './load.ts';
import { closedLoop } from './load.ts';
import { PEER_SHARES, placeOf } from './peer-mariadb.ts';
import { cpuUsOf } from './processes.ts';

/**
 * How a service on one Redis would take a share: plain commands (who has opened it, how many are
 * left), both on their way at once; or the same in a script, one command an open.
 */
export const REDIS_WAYS = ['plain', 'script'] as const;
export type RedisWay = (typeof REDIS_WAYS)[number];

const SCRIPT = `
  if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return -1 end
  local left = redis.call('DECR', KEYS[2])
  if left < 0 then redis.call('HDEL', KEYS[1], ARGV[1]) end
  return left`;

/** A client with our script as a method: ioredis sends its hash and knows how to load it. */
type Claimer = Client & {
  claim(records: string, left: string, person: string, now: number): Promise<number>;
};

/** One Redis, `appendfsync always`, driven by ioredis with automatic pipelining. */
export class RedisPeer {
  readonly #server: Redis;
  readonly #client: Claimer;
  #firstPacket = 1;

  private constructor(server: Redis, client: Claimer) {
    this.#server = server;
    this.#client = client;
  }

  static async start(args: { rig: Rig; name: string }): Promise<RedisPeer> {
    const server = await Redis.start({ ...args, durable: 'always' });
    const client = new Client(server.url, {
      enableAutoPipelining: true,
      scripts: { claim: { lua: SCRIPT, numberOfKeys: 2 } },
    });
    // `scripts` adds the method, and the types cannot know it.
    return new RedisPeer(server, client as Claimer);
  }

  async version(): Promise<string> {
    const info = await this.#client.info('server');
    return /redis_version:(\S+)/.exec(info)?.[1] ?? '';
  }

  async close(): Promise<void> {
    this.#client.disconnect();
    await this.#server.kill();
  }

  /** As MariaDbPeer's: `width` opens on their way at once. */
  async run(args: {
    way: RedisWay;
    width: number;
    spread: number;
    packets: number;
    seconds: number;
  }): Promise<Run> {
    const { way, width, spread, packets, seconds } = args;
    const first = this.#firstPacket;
    this.#firstPacket += packets;
    const pipeline = this.#client.pipeline();
    for (let packet = first; packet < first + packets; packet++) {
      pipeline.set(leftKey(packet), PEER_SHARES);
    }
    await pipeline.exec();
    const claim = way === 'plain' ? this.#plain : this.#scripted;
    const call = async (number: number): Promise<number> => {
      if (number >= packets * PEER_SHARES) return 0;
      const { packet, person } = placeOf({ number, spread });
      await claim(first + packet, `member-${person}`);
      return 1;
    };
    const { pid } = this.#server;
    assert(pid !== null, 'the peer runs');
    const serverCpuUs = (): number => cpuUsOf([pid]);
    return closedLoop({ seconds, width, call, serverCpuUs });
  }

  readonly #plain = async (packet: number, person: string): Promise<void> => {
    const [isNew, left] = await Promise.all([
      this.#client.hsetnx(recordsKey(packet), person, Date.now()),
      this.#client.decr(leftKey(packet)),
    ]);
    assert(isNew === 1 && left >= 0, 'every open of this bench wins');
  };

  readonly #scripted = async (packet: number, person: string): Promise<void> => {
    const left = await this.#client.claim(recordsKey(packet), leftKey(packet), person, Date.now());
    assert(left >= 0, 'every open of this bench wins');
  };
}

function recordsKey(packet: number): string {
  return `packet:${packet}:records`;
}

function leftKey(packet: number): string {
  return `packet:${packet}:left`;
}
