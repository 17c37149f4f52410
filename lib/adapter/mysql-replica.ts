import { assert } from '../core/assert.ts';
import type { Lsn, SetId } from '../core/units.ts';
import type { Clock } from '../port/clock.ts';
import type { Log } from '../port/log.ts';
import type { ReplicaStore, Schema } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { APPEND_PREPARED, MysqlAppender } from './mysql-append.ts';
import { MysqlChunks } from './mysql-chunks.ts';
import { prepareDatabase } from './mysql-database.ts';
import { MysqlFence } from './mysql-fence.ts';
import { MysqlJournal } from './mysql-journal.ts';
import type { MysqlLine } from './mysql-line.ts';
import type { Migration } from './mysql-migrations.ts';
import { loadMigrations } from './mysql-migrations.ts';
import { MysqlProjection } from './mysql-projection.ts';
import { MysqlProjectors } from './mysql-projector.ts';
import { MysqlScanner } from './mysql-scan.ts';
import { MysqlServer, refusedAccess } from './mysql-server.ts';
import type { MysqlSession } from './mysql-session.ts';
import { parseAddress } from './mysql-session.ts';
import { readSnapshot, writeSnapshot } from './mysql-snapshot.ts';
import { assertEntries, assertOwner, assertPlace } from './replica-arguments.ts';
import { SystemClock } from './system-clock.ts';

export type MysqlReplicaOptions = {
  /** `mysql://user@host:port/database`: one database per replica and Set, one user per Set and role. */
  readonly url: string;
  /** Where the url holds none. */
  readonly password?: string;
  readonly setId: SetId;
  /** Module that exports `schema: Schema`; a thread of its own imports it too, to project there. */
  readonly schemaModule: URL;
  /** The directory of `NNNN-name.sql` files, or what {@link loadMigrations} made of it. */
  readonly migrations: URL | readonly Migration[];
  /**
   * The thread that the replicas of this Set share; 'thread' is one of its own (default). The
   * caller's own spares that where little is projected.
   */
  readonly projectIn?: MysqlProjectors | 'thread' | 'caller';
  readonly clock?: Clock;
  readonly log?: Log;
};

type Projector = { project(to: Lsn): Promise<Lsn>; close(): Promise<void> };

/** Late is `unknown` for writes, `unavailable` for reads, and the connection is dropped. */
const SHORT_MS = 1_000;
const TAKE_OVER_MS = 2_000;
const LONG_MS = 10_000;
/** A first start makes the tables; a server that stands still must not hold up the others' start. */
const OPEN_MS = 5_000;
/** A MEDIUMBLOB and a packet hold 16 MiB; a batch has 1 MiB (rulings 14). */
const PAYLOAD_BYTES_MAX = 15 * 1_048_576;
const READ_LINES = 2;

/**
 * One replica in one database of a MariaDB or MySQL server (SPEC section RS). Makes or checks the
 * schema. Rejects with a StoreError `rejected` (ReplicaRefused, with a reason) where the server must
 * not serve a replica; a server that does not answer is no reason to fail: calls are `unavailable`
 * until it does.
 */
export async function openMysqlReplica(options: MysqlReplicaOptions): Promise<ReplicaStore> {
  const { migrations, schemaModule } = options;
  const module = (await import(schemaModule.href)) as { schema?: Schema };
  assert(module.schema !== undefined, 'the schema module exports `schema`');
  const replica = new MysqlReplica({
    ...options,
    schema: module.schema,
    migrations: migrations instanceof URL ? await loadMigrations(migrations) : migrations,
  });
  await replica.opened();
  return replica;
}

class MysqlReplica implements ReplicaStore {
  readonly #set: SetId;
  readonly #log: Log | undefined;
  readonly #fence: MysqlFence;
  readonly #journal: MysqlJournal;
  readonly #appender: MysqlAppender;
  readonly #scanner: MysqlScanner;
  readonly #projector: Projector;
  // One connection for each thing that must not wait for another.
  readonly #appendLine: MysqlLine;
  readonly #control: MysqlLine;
  readonly #pulse: MysqlLine;
  /** The leader's sign of life waits for no reader. */
  readonly #beats: MysqlLine;
  readonly #small: MysqlLine;
  readonly #snapshots: MysqlLine;
  readonly #reads: readonly MysqlLine[];
  #running = 0;
  #whenIdle: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  constructor(
    options: Omit<MysqlReplicaOptions, 'migrations'> & {
      schema: Schema;
      migrations: readonly Migration[];
    },
  ) {
    const { url, password, setId: set, schema, schemaModule, migrations, log } = options;
    const address = parseAddress(url, password);
    const clock = options.clock ?? new SystemClock();
    const server = new MysqlServer({
      address,
      clock,
      log,
      prepare: (session) => prepareDatabase(session, { set, migrations, schema }),
    });
    this.#set = set;
    this.#log = log;
    this.#fence = new MysqlFence({ set, user: server.user, owns: (id) => server.owns(id) });
    this.#journal = new MysqlJournal(set, this.#fence);
    this.#appender = new MysqlAppender(set, (session) => this.#fence.head(session));
    this.#scanner = new MysqlScanner(set, schema.tables);
    const onSession = (id: number, isOpen: boolean): void => server.note(id, isOpen);
    const { projectIn = 'thread' } = options;
    const projectors =
      projectIn === 'thread' ? new MysqlProjectors({ setId: set, schemaModule }) : projectIn;
    this.#projector =
      projectors === 'caller'
        ? projectHere({ server, set, schema, journal: this.#journal, clock })
        : projectors.replica({ address, migrations, onSession });
    this.#appendLine = server.line((session) => session.prepare(APPEND_PREPARED));
    this.#control = server.line();
    this.#pulse = server.line();
    this.#beats = server.line();
    this.#small = server.line();
    this.#snapshots = server.line();
    this.#reads = Array.from({ length: READ_LINES }, () => server.line());
  }

  /** Connects once, so that a refusal shows at the start. */
  async opened(): Promise<void> {
    try {
      await this.#control.run({ withinMs: OPEN_MS, writes: false, work: async () => undefined });
    } catch (error) {
      const refused = refusedAccess(error) ?? error;
      if (refused instanceof StoreError && refused.code === 'unavailable') {
        this.#log?.warn('replica_unavailable', { set: this.#set, reason: refused.message });
        return;
      }
      await this.close();
      throw refused;
    }
  }

  readonly bootstrap: ReplicaStore['bootstrap'] = async (args) => {
    assert(args.replicaId >= 0 && args.replicaId < args.replicas, 'a replica is 0 .. replicas - 1');
    return this.#write(this.#control, LONG_MS, (session) => this.#fence.bootstrap(session, args));
  };

  readonly takeOver: ReplicaStore['takeOver'] = async (args) => {
    assertOwner(args.owner);
    return this.#write(this.#control, TAKE_OVER_MS, (s) => this.#fence.takeOver(s, args));
  };

  readonly append: ReplicaStore['append'] = async ({ fence, entries }) => {
    const first = entries[0];
    assert(first !== undefined, 'an append has entries');
    assertOwner(fence.owner);
    assertEntries({ setId: this.#set, after: first.lsn - 1, epoch: fence.epoch, entries });
    for (const { lsn, payload } of entries) {
      if (payload.length > PAYLOAD_BYTES_MAX) {
        throw new StoreError('rejected', `LSN ${lsn} has ${payload.length} bytes`);
      }
    }
    // What the fence was asked before is settled before: nothing of an earlier owner follows.
    const before = this.#control.waiting > 0 ? this.#control.idle() : null;
    return this.#write(this.#appendLine, SHORT_MS, async (session, renew) => {
      if (before !== null) await before;
      return this.#appender.append(session, { fence, entries, renew });
    });
  };

  readonly truncate: ReplicaStore['truncate'] = async (args) => {
    assertPlace(args.head);
    return this.#write(this.#control, LONG_MS, (s) => this.#journal.truncate(s, args));
  };

  readonly read: ReplicaStore['read'] = async (args) =>
    this.#read(this.#reader(), LONG_MS, (session) => this.#journal.read(session, args));

  readonly fenceRow: ReplicaStore['fenceRow'] = async () =>
    this.#read(this.#pulse, SHORT_MS, (session) => this.#fence.fenceRow(session));

  readonly recordIncarnation: ReplicaStore['recordIncarnation'] = async (args) =>
    this.#write(this.#control, LONG_MS, (s) => this.#fence.recordIncarnation(s, args));

  readonly unprove: ReplicaStore['unprove'] = async (args) =>
    this.#write(this.#control, LONG_MS, (session) => this.#fence.unprove(session, args));

  readonly restore: ReplicaStore['restore'] = async (args) => {
    assertOwner(args.owner);
    assertEntries({ ...args, setId: this.#set });
    return this.#write(this.#control, LONG_MS, (session, renew) =>
      this.#journal.restore(session, { ...args, renew }),
    );
  };

  readonly admit: ReplicaStore['admit'] = async (args) => {
    assertOwner(args.owner);
    assertPlace(args.head);
    return this.#write(this.#control, LONG_MS, (session) => this.#fence.admit(session, args));
  };

  readonly setCommit: ReplicaStore['setCommit'] = async (at) => {
    assertPlace(at);
    return this.#write(this.#small, LONG_MS, (session) => this.#fence.setCommit(session, at));
  };

  readonly commitLsn: ReplicaStore['commitLsn'] = async () =>
    this.#read(this.#small, LONG_MS, (session) => this.#fence.commitLsn(session));

  readonly beat: ReplicaStore['beat'] = async (epoch) =>
    this.#write(this.#beats, SHORT_MS, (session) => this.#fence.beat(session, epoch));

  readonly resign: ReplicaStore['resign'] = async (epoch) =>
    this.#write(this.#beats, SHORT_MS, (session) => this.#fence.resign(session, epoch));

  readonly readBeat: ReplicaStore['readBeat'] = async () =>
    this.#read(this.#beats, SHORT_MS, (session) => this.#fence.readBeat(session));

  readonly probe: ReplicaStore['probe'] = async () =>
    this.#read(this.#beats, SHORT_MS, (session) => this.#fence.probe(session));

  readonly project: ReplicaStore['project'] = async (to) =>
    this.#count(() => this.#projector.project(to));

  readonly projectedLsn: ReplicaStore['projectedLsn'] = async () =>
    this.#read(this.#small, LONG_MS, (session) => this.#fence.projectedLsn(session));

  readonly scan: ReplicaStore['scan'] = async (query) =>
    this.#read(this.#reader(), LONG_MS, (session) => this.#scanner.scan(session, query));

  readonly writeSnapshot: ReplicaStore['writeSnapshot'] = async (args) =>
    this.#write(this.#snapshots, LONG_MS, (session, renew) => {
      const snapshot = { ...args, chunks: [...args.chunks] };
      return writeSnapshot(session, { set: this.#set, snapshot, renew });
    });

  readonly readSnapshot: ReplicaStore['readSnapshot'] = async () =>
    this.#read(this.#reader(), LONG_MS, (session, renew) =>
      readSnapshot(session, { set: this.#set, renew }),
    );

  /** What was asked before is answered before; then the connections end. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    // Not at once: calls of this very turn still count.
    await Promise.resolve();
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    const lines = [this.#appendLine, this.#control, this.#pulse, this.#beats];
    lines.push(this.#small, this.#snapshots);
    await Promise.all([...lines, ...this.#reads].map((line) => line.close()));
    await this.#projector.close();
  }

  #reader(): MysqlLine {
    return this.#reads.reduce((best, line) => (line.waiting < best.waiting ? line : best));
  }

  #write<T>(
    line: MysqlLine,
    withinMs: number,
    work: (session: MysqlSession, renew: () => void) => Promise<T>,
  ): Promise<T> {
    return this.#count(() => line.run({ withinMs, writes: true, work }));
  }

  #read<T>(
    line: MysqlLine,
    withinMs: number,
    work: (session: MysqlSession, renew: () => void) => Promise<T>,
  ): Promise<T> {
    return this.#count(() => line.run({ withinMs, writes: false, work }));
  }

  async #count<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed !== null) throw new StoreError('unavailable', 'the replica is closed');
    this.#running += 1;
    try {
      return await call();
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#whenIdle?.();
    }
  }
}

function projectHere(args: {
  server: MysqlServer;
  set: SetId;
  schema: Schema;
  journal: MysqlJournal;
  clock: Clock;
}): Projector {
  const reads = args.server.line();
  const writes = args.server.line();
  const chunks = new MysqlChunks(args.clock);
  const projection = new MysqlProjection({ ...args, reads, writes, chunks });
  return {
    project: (to) => projection.project(to),
    close: async () => {
      await Promise.all([reads.close(), writes.close()]);
    },
  };
}
