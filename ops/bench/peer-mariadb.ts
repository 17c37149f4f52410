import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { assert } from '../../lib/core/assert.ts';
import { MariaDb } from '../rig/mariadb.ts';
import type { Rig } from '../rig/rig.ts';
import type { Run } from './load.ts';
import { closedLoop } from './load.ts';
import { cpuUsOf } from './processes.ts';

const SET = 9;
const PASSWORD = 'peer';
/** Shares of a packet, each opened by another person: as on the other side. */
export const PEER_SHARES = 100;
const SHARE_CENTS = 100;
const ROWS_A_STATEMENT = 1_000;

/**
 * How a service on one database would take a share: `for_update` as every tutorial does it;
 * `procedure` in one round trip, the hot row locked for two statements; `batched` with the claims
 * of a packet gathered in the service and written together.
 */
export const PEER_WAYS = ['for_update', 'procedure', 'batched'] as const;
export type PeerWay = (typeof PEER_WAYS)[number];

const SCHEMA = `
  CREATE TABLE packet (
    packet_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    remain INT NOT NULL,
    rest_cents BIGINT NOT NULL
  ) ENGINE=InnoDB;
  CREATE TABLE record (
    packet_id BIGINT UNSIGNED NOT NULL,
    claimer VARBINARY(64) NOT NULL,
    cents BIGINT NOT NULL,
    at BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (packet_id, claimer)
  ) ENGINE=InnoDB;
  CREATE PROCEDURE claim(IN packet BIGINT UNSIGNED, IN person VARBINARY(64), IN now BIGINT UNSIGNED)
  BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
    START TRANSACTION;
    INSERT INTO record VALUES (packet, person, ${SHARE_CENTS}, now);
    UPDATE packet SET remain = remain - 1, rest_cents = rest_cents - ${SHARE_CENTS}
      WHERE packet_id = packet AND remain > 0;
    IF ROW_COUNT() = 1 THEN COMMIT; ELSE ROLLBACK; END IF;
  END`;

/** One MariaDB, durable at every commit and tuned for a hot row; equal shares, so that it draws nothing. */
export class MariaDbPeer {
  readonly #server: MariaDb;
  readonly #connections: Connection[];
  #firstPacket = 1;

  private constructor(server: MariaDb, connections: Connection[]) {
    this.#server = server;
    this.#connections = connections;
  }

  static async start(args: { rig: Rig; name: string; connections: number }): Promise<MariaDbPeer> {
    const { rig, name } = args;
    const server = await MariaDb.start({
      rig,
      name,
      wholeLog: true,
      args: ['--innodb-deadlock-detect=OFF'],
    });
    const uri = await server.createSet({ setId: SET, password: PASSWORD });
    const open = (): Promise<Connection> => createConnection({ uri, multipleStatements: true });
    const connections = await Promise.all(Array.from({ length: args.connections }, open));
    await connections[0]?.query(SCHEMA);
    return new MariaDbPeer(server, connections);
  }

  get version(): string {
    return this.#server.version;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.#server.kill();
  }

  /**
   * Opens packets for so long with so many connections: one packet after the other, or `spread`
   * packets at once. Packets are made before; when they run out the run ends early.
   */
  async run(args: {
    way: PeerWay;
    connections: number;
    spread: number;
    packets: number;
    seconds: number;
  }): Promise<Run> {
    const { way, connections, spread, packets, seconds } = args;
    const first = this.#firstPacket;
    this.#firstPacket += packets;
    await this.#makePackets(first, packets);
    const free = this.#connections.slice(0, connections);
    assert(free.length === connections, 'so many connections are open');
    const shares = packets * PEER_SHARES;
    const claims = way === 'batched' ? packets : shares;
    const call = async (number: number): Promise<number> => {
      if (number >= claims) return 0;
      const connection = free.pop();
      assert(connection !== undefined, 'a caller has its connection');
      try {
        if (way === 'batched') return await claimTogether(connection, first + number);
        const { packet, person } = placeOf({ number, spread });
        await CLAIMS[way](connection, { packet: first + packet, person: `member-${person}` });
        return 1;
      } finally {
        free.push(connection);
      }
    };
    const { pid } = this.#server;
    assert(pid !== null, 'the peer runs');
    const serverCpuUs = (): number => cpuUsOf([pid]);
    return closedLoop({ seconds, width: connections, call, serverCpuUs });
  }

  async #makePackets(first: number, count: number): Promise<void> {
    const [connection] = this.#connections;
    assert(connection !== undefined, 'there is a connection');
    for (let at = 0; at < count; at += ROWS_A_STATEMENT) {
      const rows = Array.from({ length: Math.min(ROWS_A_STATEMENT, count - at) }, (_, index) => [
        first + at + index,
        PEER_SHARES,
        PEER_SHARES * SHARE_CENTS,
      ]);
      await connection.query('INSERT INTO packet VALUES ?', [rows]);
    }
  }
}

/** The n-th open: of which packet, by whom. `spread` packets go side by side, share by share. */
export function placeOf(of: { number: number; spread: number }): {
  packet: number;
  person: number;
} {
  const { number, spread } = of;
  const round = Math.floor(number / (spread * PEER_SHARES));
  const within = number % (spread * PEER_SHARES);
  return { packet: round * spread + (within % spread), person: Math.floor(within / spread) };
}

type Claim = (connection: Connection, of: { packet: number; person: string }) => Promise<void>;

const CLAIMS: Record<Exclude<PeerWay, 'batched'>, Claim> = {
  for_update: async (connection, { packet, person }) => {
    await connection.query('START TRANSACTION');
    const [rows] = await connection.execute<RowDataPacket[]>(
      'SELECT remain, rest_cents FROM packet WHERE packet_id = ? FOR UPDATE',
      [packet],
    );
    assert(Number(rows[0]?.['remain']) > 0, 'a share is left');
    await connection.execute(
      'UPDATE packet SET remain = remain - 1, rest_cents = rest_cents - ? WHERE packet_id = ?',
      [SHARE_CENTS, packet],
    );
    await connection.execute('INSERT INTO record VALUES (?, ?, ?, ?)', [
      packet,
      person,
      SHARE_CENTS,
      Date.now(),
    ]);
    await connection.query('COMMIT');
  },
  procedure: async (connection, { packet, person }) => {
    await connection.execute('CALL claim(?, ?, ?)', [packet, person, Date.now()]);
  },
};

/** All claims of one packet, as a service would write them that had gathered them: 2 round trips. */
async function claimTogether(connection: Connection, packet: number): Promise<number> {
  const now = Date.now();
  const rows = Array.from({ length: PEER_SHARES }, (_, person) => [
    packet,
    `member-${person}`,
    SHARE_CENTS,
    now,
  ]);
  const [[, found]] = await connection.query<RowDataPacket[][]>(
    'START TRANSACTION; SELECT remain FROM packet WHERE packet_id = ? FOR UPDATE',
    [packet],
  );
  assert(Number(found?.[0]?.['remain']) >= rows.length, 'shares are left');
  const [[made]] = await connection.query<ResultSetHeader[]>(
    `INSERT INTO record VALUES ?;
     UPDATE packet SET remain = remain - ?, rest_cents = rest_cents - ? WHERE packet_id = ?;
     COMMIT`,
    [rows, rows.length, rows.length * SHARE_CENTS, packet],
  );
  assert(made?.affectedRows === rows.length, 'every claim is written');
  return rows.length;
}
