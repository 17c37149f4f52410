import { AssertionFailed, unreachable } from '../../../lib/core/assert.ts';
import { lsn } from '../../../lib/core/units.ts';
import type { Bootstrap, Probe, ReplicaStore, Scan } from '../../../lib/port/replica-store.ts';
import { StoreError } from '../../../lib/port/replica-store.ts';
import type { DiskCopy, ReplicaWorld } from './replica-world.ts';
import type { Call, Incident, Script, Step } from './script.ts';
import { isIncident, show } from './script.ts';

/** What a script came to on one store, as texts that are equal where the outcomes are. */
export type Run = {
  /** One for each step. */
  readonly outcomes: readonly string[];
  /** The whole visible state at the end, one part a line. */
  readonly state: readonly string[];
};

/** A replica's clock may be so far from this process's: the same machine. */
const CLOCK_TOLERANCE_MS = 60_000;
const READ_BYTES_MAX = 64 * 1_048_576;
const SCAN_ROWS = 10_000;
/** Everything of every table, by every order that there is. */
const SCANS: readonly Scan[] = [
  { table: 'items', prefix: [], limit: SCAN_ROWS },
  { table: 'items', index: 'by_author', prefix: [], limit: SCAN_ROWS },
  { table: 'items', index: 'by_token', prefix: [], limit: SCAN_ROWS },
  { table: 'totals', prefix: [], limit: SCAN_ROWS },
];

/** Runs a script from its beginning and tells all that can be seen. Does not dispose of the world. */
export async function runScript(world: ReplicaWorld, script: Script): Promise<Run> {
  const runner = new ScriptRunner(world);
  const outcomes: string[] = [];
  for (const step of script.steps) outcomes.push(await runner.take(step));
  return { outcomes, state: await runner.state() };
}

/** Takes steps on one world, one after the other. */
export class ScriptRunner {
  readonly #world: ReplicaWorld;
  readonly #copies = new Map<number, DiskCopy>();
  #directory: string | null = null;
  #isClosed = false;

  constructor(world: ReplicaWorld) {
    this.#world = world;
  }

  /** What the step came to: kind, code, heads, rows; never a message. */
  async take(step: Step): Promise<string> {
    return isIncident(step) ? this.#befall(step) : this.#call(step);
  }

  /** Journal, fence row, commit point, tables, what was discarded, snapshot. */
  async state(): Promise<string[]> {
    const world = this.#world;
    if (this.#isClosed) await world.restart();
    const { store } = world;
    const lines = [
      `fence row ${await told(() => store.fenceRow())}`,
      `commit ${await told(() => store.commitLsn())}`,
      `projected ${await told(() => store.projectedLsn())}`,
      `beat ${await told(() => store.readBeat())}`,
      `snapshot ${await told(() => store.readSnapshot())}`,
      `discarded ${await told(() => world.discarded())}`,
      `journal ${await told(() => store.read({ after: lsn(0), limitBytes: READ_BYTES_MAX }))}`,
    ];
    for (const scan of SCANS) {
      lines.push(`${scan.table} by ${scan.index ?? 'key'} ${await told(() => store.scan(scan))}`);
    }
    return lines;
  }

  async #call(call: Call): Promise<string> {
    const { store } = this.#world;
    switch (call.kind) {
      case 'close':
        this.#isClosed = true;
        return told(() => store.close());
      case 'bootstrap':
        return this.#bootstrap(store, call);
      case 'probe':
        return told(async () => this.#plausible(await store.probe()));
      default: {
        // The pair of the type Call: the arguments are those of the method.
        const method = store[call.kind] as (...args: readonly unknown[]) => Promise<unknown>;
        return told(() => method.apply(store, [...call.args]));
      }
    }
  }

  /** Also tells how often it was asked whether the Set is still new. */
  async #bootstrap(
    store: ReplicaStore,
    { args, stillNew }: Extract<Call, { kind: 'bootstrap' }>,
  ): Promise<string> {
    let asked = 0;
    const ask: Partial<Bootstrap> =
      stillNew === null
        ? {}
        : {
            stillNew: async () => {
              asked += 1;
              return stillNew;
            },
          };
    const outcome = await told(() => store.bootstrap({ ...args[0], ...ask }));
    return stillNew === null ? outcome : `${outcome} asked ${asked}`;
  }

  #plausible({ clockMs, dataDirectory }: Probe): unknown {
    this.#directory ??= dataDirectory;
    const isClockRight =
      Number.isInteger(clockMs) && Math.abs(clockMs - Date.now()) < CLOCK_TOLERANCE_MS;
    return { isClockRight, isSameDirectory: dataDirectory === this.#directory };
  }

  async #befall(incident: Incident): Promise<string> {
    const world = this.#world;
    // Whatever it is, the server comes back after it and the store is open again.
    if (incident.kind !== 'rot') this.#isClosed = false;
    switch (incident.kind) {
      case 'restart':
        return told(() => world.restart());
      case 'wipe':
        return told(() => world.wipe());
      case 'drop-fence-row':
        return told(() => world.dropFenceRow());
      case 'drop-manifest':
        return told(() => world.dropManifest());
      case 'copy-disk':
        return told(async () => {
          this.#copies.set(incident.copy, await world.copyDisk());
        });
      case 'restore-disk': {
        const copy = this.#copies.get(incident.copy);
        return told(() => (copy === undefined ? world.restart() : world.restoreDisk(copy)));
      }
      case 'rot':
        return told(() => this.#rot(incident.at));
      default:
        return unreachable(incident);
    }
  }

  /** Only where there is a byte: a shortened script may have lost the entry. */
  async #rot(at: number): Promise<string> {
    const [entry] = await this.#world.store.read({ after: lsn(at - 1), limitBytes: 1 });
    if (entry?.lsn !== at || entry.payload.length === 0) return 'no byte';
    await this.#world.flipPayloadBit(at);
    return 'done';
  }
}

async function told(work: () => Promise<unknown>): Promise<string> {
  try {
    return show(await work());
  } catch (error) {
    if (error instanceof StoreError) return `throws ${error.code}`;
    if (error instanceof AssertionFailed) return 'throws assertion';
    // Nothing else may come out of a store: the name and text are the finding.
    return `throws ${String(error)}`;
  }
}
