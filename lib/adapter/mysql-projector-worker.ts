import { parentPort, workerData } from 'node:worker_threads';
import { AssertionFailed, assert, unreachable } from '../core/assert.ts';
import type { Lsn } from '../core/units.ts';
import { lsn, setId } from '../core/units.ts';
import type { Schema } from '../port/replica-store.ts';
import { MysqlChunks } from './mysql-chunks.ts';
import { prepareDatabase } from './mysql-database.ts';
import { toStoreError } from './mysql-errors.ts';
import { MysqlFence } from './mysql-fence.ts';
import { MysqlJournal } from './mysql-journal.ts';
import { MysqlProjection } from './mysql-projection.ts';
import type { ProjectorCall, ProjectorReply, ProjectorSetup } from './mysql-protocol.ts';
import { MysqlServer } from './mysql-server.ts';
import type { MysqlAddress } from './mysql-session.ts';
import { SystemClock } from './system-clock.ts';

assert(parentPort !== null, 'this file runs as a worker');
const port = parentPort;
const setup = workerData as ProjectorSetup;

function reply(message: ProjectorReply): void {
  port.postMessage(message);
}

async function loadSchema(): Promise<Schema> {
  const module = (await import(setup.schema)) as { schema?: Schema };
  assert(module.schema !== undefined, 'the schema module exports `schema`');
  return module.schema;
}

const set = setId(setup.set);
const clock = new SystemClock();
const schema = await loadSchema();
const chunks = new MysqlChunks(clock);

/** One replica's own connections and place; what a chunk comes to is shared. */
class Replica {
  readonly #number: number;
  readonly #projection: MysqlProjection;
  readonly #close: () => Promise<unknown>;
  readonly #running = new Set<Promise<void>>();

  constructor(replica: number, address: MysqlAddress) {
    this.#number = replica;
    const server = new MysqlServer({
      address,
      clock,
      prepare: (session) => prepareDatabase(session, { ...setup, schema }),
      onId: (sessionId, isOpen) => reply({ kind: 'session', replica, sessionId, isOpen }),
    });
    const reads = server.line();
    const writes = server.line();
    const fence = new MysqlFence({ set, user: server.user, owns: (id) => server.owns(id) });
    const journal = new MysqlJournal(set, fence);
    this.#projection = new MysqlProjection({ set, schema, journal, clock, reads, writes, chunks });
    this.#close = () => Promise.all([reads.close(), writes.close()]);
  }

  project(id: number, to: Lsn): void {
    const work = this.#answer(id, to);
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  async #answer(id: number, to: Lsn): Promise<void> {
    const replica = this.#number;
    try {
      reply({ kind: 'projected', replica, id, lsn: await this.#projection.project(to) });
    } catch (error) {
      const known = toStoreError(error, { writes: true, sent: true });
      const code = known instanceof AssertionFailed ? 'assertion' : known.code;
      reply({ kind: 'failed', replica, id, failure: { code, message: known.message } });
    }
  }

  async close(): Promise<void> {
    this.#projection.stop();
    await Promise.all(this.#running);
    await this.#close();
    reply({ kind: 'closed', replica: this.#number });
  }
}

const replicas = new Map<number, Replica>();

function replicaOf(number: number): Replica {
  const replica = replicas.get(number);
  assert(replica !== undefined, 'a replica is opened first');
  return replica;
}

port.on('message', (call: ProjectorCall) => {
  switch (call.kind) {
    case 'open':
      replicas.set(call.replica, new Replica(call.replica, call.address));
      return;
    case 'project':
      return replicaOf(call.replica).project(call.id, lsn(call.to));
    case 'close':
      void replicaOf(call.replica).close();
      replicas.delete(call.replica);
      return;
    default:
      unreachable(call);
  }
});
