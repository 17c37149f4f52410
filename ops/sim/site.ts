import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import type { MemoryDisk } from '../../lib/adapter/memory-disk.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type {
  AppendReply,
  Fence,
  Place,
  ReplicaStore,
  Schema,
} from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { History } from './log/history.ts';
import { holdChain } from './log/history.ts';
import type { Trace } from './trace.ts';
import { hold } from './trace.ts';

const ALL_BYTES = 2 ** 40;
/** What a full disk refuses. */
const GROWS = new Set(['append', 'restore', 'project', 'writeSnapshot', 'truncate']);
type Copy = {
  readonly disk: MemoryDisk;
  readonly journal: readonly Entry[];
  readonly proved: boolean;
  /** How often it had been re-admitted when the copy was made. */
  readonly admissions: number;
};

/** A replica's server: its disk, and an observer's own picture of the journal on it. */
export class Site {
  readonly replica: number;
  /** `set.replica`, for the trace. */
  readonly name: string;
  readonly disk: MemoryReplica;
  /** What nodes talk to. */
  readonly store: ReplicaStore;
  readonly #history: History;
  readonly #trace: Trace;
  #journal: Entry[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #fence = { incarnation: 0, epoch: 0 };
  #copies: Copy[] = [];
  /** Wiped or set back, and not re-admitted since. */
  damage: 'none' | 'old' | 'reverted' | 'wiped' = 'none';
  #incarnation = 0;
  /** Counted here, whatever the code under test calls its incarnations. */
  #admissions = 0;
  /** Epoch of whoever re-admitted it last. */
  #admittedBy = 0;

  /** Its disk takes nothing more; it still answers. */
  full = false;

  /** Resolves when a stopped server goes on; null while it runs. */
  frozen: Promise<void> | null = null;

  constructor(args: {
    replica: number;
    setId: SetId;
    schema: Schema;
    clock: Clock;
    history: History;
    trace: Trace;
  }) {
    this.replica = args.replica;
    this.name = `${args.setId}.${args.replica}`;
    this.disk = new MemoryReplica(args.setId, args.schema, () => args.clock.now());
    this.store = this.disk;
    this.#history = args.history;
    this.#trace = args.trace;
  }

  get journal(): readonly Entry[] {
    return this.#journal;
  }

  /** The highest epoch that it has promised itself to, as far as was seen. */
  get fence(): number {
    return this.#fence.epoch;
  }

  get admissions(): number {
    return this.#admissions;
  }

  /** One call after the other: what goes on at once after a stop must not blur the picture. */
  run(name: string, args: readonly unknown[]): Promise<unknown> {
    const done = this.#last.then(() => this.#run(name, args));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Runs one call of a node; looks at what it did before anybody hears of it. */
  async #run(name: string, args: readonly unknown[]): Promise<unknown> {
    if (name === 'setCommit') {
      const { lsn: at } = args[0] as Place;
      this.#history.announce(at, 'a commit point');
    }
    if (this.full && GROWS.has(name)) {
      throw new StoreError('unavailable', `${name}: the disk of replica ${this.replica} is full`);
    }
    const method: unknown = Reflect.get(this.store, name);
    if (typeof method !== 'function') throw new Error(`a store has no ${name}`);
    try {
      return await this.#observed(name, args, (await method.apply(this.store, args)) as unknown);
    } finally {
      if (name === 'restore') await this.#look(0);
    }
  }

  async #observed(name: string, args: readonly unknown[], reply: unknown): Promise<unknown> {
    if (name === 'append') {
      const { fence, entries } = args[0] as { fence: Fence; entries: readonly Entry[] };
      await this.#look((entries[0]?.lsn ?? 1) - 1);
      if ((reply as AppendReply).kind === 'acked') this.#appended(fence, entries);
    } else if (name === 'truncate') {
      await this.#look(0);
    } else if (name === 'takeOver' || name === 'admit') {
      await this.#lookFence();
      if (name === 'admit' && reply === 'done') {
        this.#admissions += 1;
        this.#admittedBy = (args[0] as Pick<Fence, 'epoch'>).epoch;
        this.#history.readmitted(this.replica, this.#journal);
      }
    }
    return reply;
  }

  #appended(fence: Fence, entries: readonly Entry[]): void {
    const { replica } = this;
    this.#trace.guard(() =>
      hold(
        fence.epoch >= this.#fence.epoch,
        `I6 replica ${replica}: epoch ${fence.epoch} wrote below the fence ${this.#fence.epoch}`,
      ),
    );
    // Also when the fence that it should have raised is nowhere to be seen.
    this.#fence = { ...this.#fence, epoch: Math.max(this.#fence.epoch, fence.epoch) };
    for (const entry of entries) {
      this.#history.see(entry);
      const there = this.#journal[entry.lsn - 1];
      const stored = there !== undefined && Buffer.compare(there.sum, entry.sum) === 0;
      if (stored && entry.epoch === fence.epoch)
        this.#history.acknowledge({ replica, entry, journal: this.#journal });
    }
  }

  async #look(after: number): Promise<void> {
    const rows: Entry[] = [];
    for (;;) {
      const more = await this.disk.read({ after: lsn(after + rows.length), limitBytes: ALL_BYTES });
      if (more.length === 0) break;
      rows.push(...more);
    }
    const gone = this.#journal.slice(after).filter((entry) => {
      const now = rows[entry.lsn - 1 - after];
      return now === undefined || Buffer.compare(now.sum, entry.sum) !== 0;
    });
    this.#journal = [...this.#journal.slice(0, after), ...rows];
    this.#trace.guard(() => {
      for (const entry of gone) {
        const rule = `I7 replica ${this.replica}: committed LSN ${entry.lsn} was cut off`;
        hold(!this.#history.isCommitted(entry), rule);
      }
      holdChain(this.#journal, { from: after, name: `replica ${this.replica}` });
    });
    for (const entry of rows) this.#history.see(entry);
  }

  async #lookFence(): Promise<void> {
    const row = await this.disk.fenceRow();
    if (row === null) return;
    const before = this.#fence;
    this.#fence = { incarnation: row.incarnation, epoch: row.fenceEpoch };
    this.#trace.guard(() =>
      hold(
        before.incarnation !== row.incarnation || before.epoch <= row.fenceEpoch,
        `I6 replica ${this.replica}: the fence falls`,
      ),
    );
    // Set back with its memory it is proved all along: only a new incarnation makes it good.
    const isNew = row.incarnation !== this.#incarnation;
    if (row.proved && (isNew || this.damage !== 'reverted')) this.damage = 'none';
    this.#incarnation = row.incarnation;
  }

  // ---- what may happen to a server

  restart(): void {
    this.disk.restart();
  }

  /** As by SIGSTOP and SIGCONT: what is asked meanwhile is done afterwards, in order. */
  freeze(clock: Clock, ms: number): void {
    if (this.frozen !== null) return;
    this.frozen = sleep(clock, ms).then(() => {
      this.frozen = null;
    });
  }

  /**
   * The machine is set back with its memory to a copy that nobody may count on any more: one of an
   * earlier incarnation, or one of this epoch where every other journal has the word of a leader
   * that this replica had more (rulings 6). False when no such copy was kept.
   */
  revert(others: readonly Site[]): boolean {
    const { replica } = this;
    const now = this.disk.diskCopy().take();
    const copy = this.#copies.find(({ disk, journal, proved, admissions }) => {
      const then = disk.take();
      if (!proved || then.state === null || now.state === null) return false;
      if (admissions < this.#admissions) return true;
      const same =
        then.state.fenceEpoch === now.state.fenceEpoch &&
        then.discarded.length === now.discarded.length;
      return (
        same &&
        others.every((other) =>
          knowsMore(other, { replica, head: journal.length, since: this.#admittedBy }),
        )
      );
    });
    if (copy === undefined || this.damage !== 'none') return false;
    this.disk.revert(copy.disk);
    this.#journal = [...copy.journal];
    this.#fence = { incarnation: 0, epoch: 0 };
    this.#incarnation = copy.disk.take().state?.incarnation ?? 0;
    this.damage = 'reverted';
    return true;
  }

  async keepCopy(): Promise<void> {
    // The copy of a lost disk would be another lost disk.
    if (this.damage !== 'none') return;
    const proved = (await this.disk.fenceRow())?.proved === true;
    const disk = this.disk.diskCopy();
    const copy = { disk, journal: this.#journal, proved, admissions: this.#admissions };
    this.#copies = [...this.#copies.slice(-2), copy];
  }

  /** An old copy comes back; false when none was kept. */
  restoreCopy(pick: (count: number) => number): boolean {
    const copy = this.#copies[this.#copies.length === 0 ? 0 : pick(this.#copies.length)];
    if (copy === undefined) return false;
    this.disk.restoreDisk(copy.disk);
    this.#journal = [...copy.journal];
    this.#fence = { incarnation: 0, epoch: 0 };
    this.damage = 'old';
    return true;
  }

  wipe(): void {
    this.disk.wipe();
    this.#journal = [];
    this.#fence = { incarnation: 0, epoch: 0 };
    this.damage = 'wiped';
  }
}

/**
 * Does the newest word in this journal name an LSN of `replica` above `head`, in its last epoch? Of
 * a word of the epoch that re-admitted it only the committed part counts: it may be of before.
 */
function knowsMore(
  site: Site,
  { replica, head, since }: { replica: number; head: number; since: number },
): boolean {
  const entry = site.journal.findLast(({ acked }) => (acked[replica] ?? 0) > 0);
  const fence = site.disk.diskCopy().take().state?.fenceEpoch;
  if (entry === undefined || entry.epoch !== fence || entry.epoch < since) return false;
  const acked = entry.acked[replica] ?? 0;
  return (entry.epoch > since ? acked : Math.min(acked, entry.commitLsn)) > head;
}

/** P0, P3b from outside: has this server a vote as far as all disks together know? */
export async function votes(site: Site, sites: readonly Site[]): Promise<boolean> {
  const row = await site.disk.fenceRow();
  const newest = Math.max(
    ...sites.map(({ disk }) => disk.diskCopy().take().state?.incarnations[site.replica] ?? 0),
  );
  return row !== null && row.proved && row.incarnation >= newest;
}
