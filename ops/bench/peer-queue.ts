import type { JetStreamClient, NatsConnection } from 'nats';
import { connect, StorageType } from 'nats';
import type { Connection } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { assert } from '../../lib/core/assert.ts';
import { MariaDb } from '../rig/mariadb.ts';
import { Nats } from '../rig/nats.ts';
import type { Rig } from '../rig/rig.ts';
import type { Run } from './load.ts';
import { closedLoop } from './load.ts';
import { cpuUsOf } from './processes.ts';

const SET = 9;
const PASSWORD = 'peer';
const CENTS = 100;
/** Many, so that no wallet is a hot row: to the peer's advantage. */
const WALLETS = 10_000;
const ROWS_A_STATEMENT = 1_000;
const STREAM = 'credits';

const SCHEMA = `
  CREATE TABLE wallet (
    user VARBINARY(64) NOT NULL PRIMARY KEY,
    cents BIGINT NOT NULL
  ) ENGINE=InnoDB;
  CREATE TABLE credit (
    packet_id BIGINT UNSIGNED NOT NULL,
    user VARBINARY(64) NOT NULL,
    cents BIGINT NOT NULL,
    at BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (packet_id, user)
  ) ENGINE=InnoDB;
  CREATE PROCEDURE credit_one(IN packet BIGINT UNSIGNED, IN person VARBINARY(64), IN now BIGINT UNSIGNED)
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
    START TRANSACTION;
    INSERT INTO credit VALUES (packet, person, ${CENTS}, now);
    UPDATE wallet SET cents = cents + ${CENTS} WHERE user = person;
    COMMIT;
  END`;

/**
 * How a service with a queue settles: each record is published to JetStream (acknowledged, file
 * storage), and credited by one transaction of its own, idempotent by its key, in one round trip to
 * one MariaDB. The way back from the queue to the database is left out, to the peer's advantage.
 */
export class QueuePeer {
  readonly #server: MariaDb;
  readonly #nats: Nats;
  readonly #queue: NatsConnection;
  readonly #stream: JetStreamClient;
  readonly #connections: Connection[];
  #next = 1;

  private constructor(args: {
    server: MariaDb;
    nats: Nats;
    queue: NatsConnection;
    connections: Connection[];
  }) {
    this.#server = args.server;
    this.#nats = args.nats;
    this.#queue = args.queue;
    this.#stream = args.queue.jetstream();
    this.#connections = args.connections;
  }

  static async start(args: { rig: Rig; connections: number }): Promise<QueuePeer> {
    const { rig } = args;
    const options = { rig, name: 'peer', wholeLog: true };
    const server = await MariaDb.start({ ...options, args: ['--innodb-deadlock-detect=OFF'] });
    const uri = await server.createSet({ setId: SET, password: PASSWORD });
    const open = (): Promise<Connection> => createConnection({ uri, multipleStatements: true });
    const connections = await Promise.all(Array.from({ length: args.connections }, open));
    await connections[0]?.query(SCHEMA);
    for (let at = 0; at < WALLETS; at += ROWS_A_STATEMENT) {
      const rows = Array.from({ length: ROWS_A_STATEMENT }, (_, index) => [
        walletOf(at + index),
        0,
      ]);
      await connections[0]?.query('INSERT INTO wallet VALUES ?', [rows]);
    }
    const nats = await Nats.start({ rig, name: 'queue' });
    const queue = await connect({ servers: nats.url });
    const manager = await queue.jetstreamManager();
    await manager.streams.add({ name: STREAM, subjects: [STREAM], storage: StorageType.File });
    return new QueuePeer({ server, nats, queue, connections });
  }

  /** So many callers for so long, each with one record on its way. */
  async run({ connections, seconds }: { connections: number; seconds: number }): Promise<Run> {
    const free = this.#connections.slice(0, connections);
    assert(free.length === connections, 'so many connections are open');
    const call = async (): Promise<number> => {
      const connection = free.pop();
      assert(connection !== undefined, 'a caller has its connection');
      try {
        await this.#settle(connection, this.#next++);
        return 1;
      } finally {
        free.push(connection);
      }
    };
    const pids = [this.#server.pid, this.#nats.pid].filter((pid) => pid !== null);
    assert(pids.length === 2, 'the peer runs');
    return closedLoop({ seconds, width: connections, call, serverCpuUs: () => cpuUsOf(pids) });
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.#queue.close();
    await this.#nats.kill();
    await this.#server.kill();
  }

  async #settle(connection: Connection, number: number): Promise<void> {
    const user = walletOf(number % WALLETS);
    const record = JSON.stringify({ packetId: number, user, cents: CENTS });
    await this.#stream.publish(STREAM, Buffer.from(record));
    await connection.execute('CALL credit_one(?, ?, ?)', [number, user, Date.now()]);
  }
}

function walletOf(number: number): string {
  return `member-${number}`;
}
