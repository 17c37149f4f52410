import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { assert } from '../../lib/core/assert.ts';
import { fromHex } from '../../lib/core/bytes.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { schema } from '../../set-node/read/projection.ts';
import { figure } from '../cli.ts';
import { MariaDb } from '../rig/mariadb.ts';
import { Rig } from '../rig/rig.ts';
import type { Bench } from './bench.ts';
import { BenchSet } from './bench-set.ts';
import { makeBusySet } from './busy-set.ts';
import { fillReplicas } from './fill-replicas.ts';
import type { Run } from './load.ts';
import { closedLoop, medianRun } from './load.ts';
import { cpuUsOf } from './processes.ts';
import { SetMaker } from './set-maker.ts';
import { median, rounded } from './statistics.ts';

const PACKETS = 2_000;
const CLAIMS = 50;
const PEOPLE = 2_000;
const CONNECTIONS = [1, 16, 64];
const PROBE_SECONDS = 1;
const SET = 9;
const PASSWORD = 'peer';

const RECORD = `CREATE TABLE record (
  packet_id BIGINT UNSIGNED NOT NULL,
  claim_order BIGINT UNSIGNED NOT NULL,
  claimer VARBINARY(64) NOT NULL,
  amount_cents BIGINT NOT NULL,
  at BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (packet_id, claim_order)
) ENGINE=InnoDB`;

/** Tables filled by the projector, against a row a transaction that waits for two servers. */
export const projectionBench: Bench = {
  seconds: 5,
  runs: 3,
  conditions: ({ percent }) => ({
    durability: {
      ours: 'innodb_flush_log_at_trx_commit=1 on three MariaDB servers; tables and projected_lsn in one transaction',
      peer: 'innodb_flush_log_at_trx_commit=1 on two MariaDB servers; each row is a transaction on both',
    },
    processes:
      'a thread of this process reads the journal, verifies it once and projects it to each server',
    rows: `the real projection of ${packetsOf(percent) * CLAIMS} settled opens; a row counts once for its three copies`,
    peers: `best of ${CONNECTIONS.join(', ')} rows on their way at once`,
  }),
  run: async (flags, log) => {
    const rig = await Rig.open();
    try {
      const peer = await RowPeer.start(rig);
      const tried: { width: number; run: Run }[] = [];
      for (const width of CONNECTIONS) {
        tried.push({ width, run: await peer.run({ width, seconds: PROBE_SECONDS }) });
      }
      const { width } = tried.reduce((a, b) => (b.run.opensPerS > a.run.opensPerS ? b : a));
      const ours: Projected[] = [];
      const theirs: Run[] = [];
      for (let run = 0; run < flags.runs; run++) {
        const projected = await projectOnce(packetsOf(flags.percent));
        log(
          `  ours: ${projected.rowsPerS.toFixed(0)} rows/s, ${projected.cpuUs.toFixed(1)} µs CPU each`,
        );
        ours.push(projected);
        const rows = await peer.run({ width, seconds: flags.seconds });
        log(`  row by row, ${width} at once: ${rows.opensPerS.toFixed(0)} rows/s`);
        theirs.push(rows);
      }
      await peer.close();
      return figuresOf({ ours, theirs: medianRun(theirs), width });
    } finally {
      await rig.close();
    }
  },
};

function packetsOf(percent: number): number {
  return Math.ceil((PACKETS * percent) / 100);
}

type Projected = { rowsPerS: number; touchedPerS: number; cpuUs: number; entriesPerS: number };

function figuresOf(args: { ours: readonly Projected[]; theirs: Run; width: number }) {
  const { ours, theirs, width } = args;
  const of = (pick: (one: Projected) => number): number => median(ours.map(pick));
  const rowsPerS = of((one) => one.rowsPerS);
  const peer = `row by row on two servers, ${width} at once`;
  return [
    figure({
      name: 'rows projected to three replicas',
      value: Math.round(rowsPerS),
      unit: 'rows/s',
    }),
    figure({
      name: 'with those that are changed, not made',
      value: Math.round(of((one) => one.touchedPerS)),
      unit: 'rows/s',
    }),
    figure({ name: 'entries', value: Math.round(of((one) => one.entriesPerS)), unit: 'entries/s' }),
    figure({
      name: 'CPU of three servers and the projector',
      value: rounded(
        of((one) => one.cpuUs),
        2,
      ),
      unit: 'µs a row',
    }),
    figure({ name: peer, value: Math.round(theirs.opensPerS), unit: 'rows/s' }),
    figure({ name: `${peer}, p99`, value: rounded(theirs.p99Ms, 2), unit: 'ms' }),
    figure({
      name: `${peer}, CPU of servers and client`,
      value: rounded(theirs.serverCpuUs + theirs.clientCpuUs, 2),
      unit: 'µs a row',
    }),
    figure({
      name: 'projected to row by row',
      value: rounded(rowsPerS / theirs.opensPerS, 2),
      unit: '×',
      goal: { atLeast: 20 },
    }),
  ];
}

/** A new Set's whole journal into the tables of three new replicas, all at once. */
async function projectOnce(packets: number): Promise<Projected> {
  const set = await BenchSet.create();
  try {
    const entries: Entry[] = [];
    const clusterId = fromHex(set.topology.clusterId);
    const maker = new SetMaker({
      onEntry: (entry) => entries.push(entry),
      replicas: 3,
      keys: set.keys,
      clusterId,
    });
    makeBusySet({ maker, size: { packets, claims: CLAIMS, people: PEOPLE } });
    const stores = await set.stores();
    await fillReplicas({ stores, entries, owner: maker.owner, clusterId });
    const changes = schema.project(entries);
    const made = changes.filter(({ kind }) => kind === 'put').length;
    const head = entries.length;
    const cpuBefore = set.serverCpuUs();
    const ownBefore = process.cpuUsage();
    const startMs = performance.now();
    await Promise.all(
      stores.map(async (store) => {
        for (let at = 0; at < head; at = await store.project(maker.state.lsn));
      }),
    );
    const seconds = (performance.now() - startMs) / 1_000;
    const own = process.cpuUsage(ownBefore);
    const cpuUs = set.serverCpuUs() - cpuBefore + own.user + own.system;
    return {
      rowsPerS: made / seconds,
      touchedPerS: changes.length / seconds,
      entriesPerS: head / seconds,
      cpuUs: cpuUs / made,
    };
  } finally {
    await set.close();
  }
}

/** A row of a claim, one transaction each, on two servers at once. */
class RowPeer {
  readonly #servers: readonly MariaDb[];
  readonly #connections: readonly (readonly Connection[])[];
  #next = 0;

  private constructor(servers: readonly MariaDb[], connections: readonly Connection[][]) {
    this.#servers = servers;
    this.#connections = connections;
  }

  static async start(rig: Rig): Promise<RowPeer> {
    const servers = await Promise.all(
      ['peer0', 'peer1'].map((name) => MariaDb.start({ rig, name, wholeLog: true })),
    );
    const urls = await Promise.all(
      servers.map((server) => server.createSet({ setId: SET, password: PASSWORD })),
    );
    const connections = await Promise.all(
      urls.map((uri) =>
        Promise.all(Array.from({ length: Math.max(...CONNECTIONS) }, () => createConnection(uri))),
      ),
    );
    for (const [connection] of connections) await connection?.query(RECORD);
    return new RowPeer(servers, connections);
  }

  run({ width, seconds }: { width: number; seconds: number }): Promise<Run> {
    const free = Array.from({ length: width }, (_, index) => index);
    const call = async (): Promise<number> => {
      const place = free.pop();
      assert(place !== undefined, 'a caller has its connections');
      const row = this.#next++;
      const values = [Math.floor(row / 100), row % 100, `member-${row % 500}`, 100, Date.now()];
      await Promise.all(
        this.#connections.map((list) => {
          const connection = list[place];
          assert(connection !== undefined, 'a caller has a connection to each server');
          return connection.execute('INSERT INTO record VALUES (?, ?, ?, ?, ?)', values);
        }),
      );
      free.push(place);
      return 1;
    };
    const pids = this.#servers.flatMap(({ pid }) => (pid === null ? [] : [pid]));
    return closedLoop({ seconds, width, call, serverCpuUs: () => cpuUsOf(pids) });
  }

  async close(): Promise<void> {
    for (const connection of this.#connections.flat()) connection.destroy();
    for (const server of this.#servers) await server.kill();
  }
}
