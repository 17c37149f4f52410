import { parentPort, workerData } from 'node:worker_threads';
import { AssertionFailed, assert } from '../core/assert.ts';
import { lsn, setId } from '../core/units.ts';
import type { Lsn } from '../core/units.ts';
import type { Schema } from '../port/replica-store.ts';
import { prepareDatabase } from './mysql-database.ts';
import { toStoreError } from './mysql-errors.ts';
import { MysqlFence } from './mysql-fence.ts';
import { MysqlJournal } from './mysql-journal.ts';
import { MysqlProjection } from './mysql-projection.ts';
import type { ProjectorCall, ProjectorReply, ProjectorSetup } from './mysql-protocol.ts';
import { MysqlServer } from './mysql-server.ts';
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
const server = new MysqlServer({
  address: setup.address,
  clock,
  prepare: (session) => prepareDatabase(session, { ...setup, schema }),
  onId: (sessionId, isOpen) => reply({ kind: 'session', sessionId, isOpen }),
});
const reads = server.line();
const writes = server.line();
const fence = new MysqlFence({ set, user: server.user, owns: (id) => server.owns(id) });
const journal = new MysqlJournal(set, fence);
const projection = new MysqlProjection({ set, schema, journal, clock, reads, writes });

async function answer(id: number, to: Lsn): Promise<void> {
  try {
    reply({ kind: 'projected', id, lsn: await projection.project(to) });
  } catch (error) {
    const known = toStoreError(error, { writes: true, sent: true });
    const code = known instanceof AssertionFailed ? 'assertion' : known.code;
    reply({ kind: 'failed', id, failure: { code, message: known.message } });
  }
}

const running = new Set<Promise<void>>();

port.on('message', (call: ProjectorCall) => {
  if (call.id === 0) {
    projection.stop();
    void Promise.all(running)
      .then(() => Promise.all([reads.close(), writes.close()]))
      .then(() => port.close());
    return;
  }
  const work = answer(call.id, lsn('to' in call ? call.to : 0));
  running.add(work);
  void work.finally(() => running.delete(work));
});
