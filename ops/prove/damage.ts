import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../lib/port/log.ts';
import { runAudit } from '../audit/audit.ts';
import type { AuditReport } from '../audit/audit.ts';
import { findingText } from '../audit/findings.ts';
import type { Result } from '../cli.ts';
import { figure, resultOf } from '../cli.ts';
import { Rig } from '../rig/rig.ts';
import type { Item } from './damage-item.ts';
import { ITEMS, Stage } from './damage-item.ts';
import { embeddedWorld, mariaWorld } from './damage-world.ts';
import type { DamageWorld, WorldSize } from './damage-world.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
/** One in so many damages is done to the Set on MariaDB. */
const MARIA_EVERY = 5;
const SAY_EVERY = 50;
const SIZE: WorldSize = { people: 12, packets: 64 };
const MARIA_SIZE: WorldSize = { people: 12, packets: 24 };

export type DamageOptions = {
  readonly damages: number;
  readonly seed: number;
  /** How many of them are looked for by `./hongbao audit` in a process of its own as well. */
  readonly byVerb: number;
  /** Also a Set on three MariaDB servers. */
  readonly hasMaria: boolean;
  readonly size?: WorldSize;
  readonly say: (line: string) => void;
};

export type DamageProof = {
  readonly result: Result;
  readonly findings: readonly string[];
  readonly keptDir: null;
};

type Tried = { readonly kind: string; readonly found: boolean; readonly ms: number };

/**
 * Damages real data again and again, one thing at a time, and asks the full audit whether it sees
 * it; each is undone afterwards. Undamaged data must give no finding, before and after.
 */
export async function proveDamage(options: DamageOptions): Promise<DamageProof> {
  const { say } = options;
  const dir = await mkdtemp(join(tmpdir(), 'hongbao-damage-'));
  const rig = options.hasMaria ? await Rig.open() : null;
  const worlds: DamageWorld[] = [];
  const log: Log = {
    info: () => undefined,
    warn: () => undefined,
    error: (event, fields) => say(`${event} ${JSON.stringify(fields)}`),
  };
  try {
    const size = options.size ?? SIZE;
    worlds.push(await embeddedWorld({ dir, size, log }));
    if (rig !== null) worlds.push(await mariaWorld({ rig, size: MARIA_SIZE, log, say }));
    return await new Proof(worlds, options).run();
  } finally {
    for (const world of worlds) await world.close();
    await rig?.close();
    await rm(dir, { recursive: true, force: true });
  }
}

class Proof {
  readonly #worlds: readonly DamageWorld[];
  readonly #options: DamageOptions;
  readonly #tried: Tried[] = [];
  readonly #findings: string[] = [];
  readonly #impossible = new Set<string>();
  readonly #clean: AuditReport[] = [];
  #seenByVerb = 0;
  #askedOfVerb = 0;

  constructor(worlds: readonly DamageWorld[], options: DamageOptions) {
    this.#worlds = worlds;
    this.#options = options;
  }

  async run(): Promise<DamageProof> {
    const { damages, say } = this.#options;
    const stages = this.#worlds.map((world) => new Stage(world));
    await this.#undamaged('before');
    for (let number = 0; this.#tried.length < damages; number++) {
      // Some kinds have no place in some worlds; never all of them.
      if (number > 4 * damages + ITEMS.length) throw new Error('there is too little to damage');
      const isMaria = stages.length > 1 && number % MARIA_EVERY === MARIA_EVERY - 1;
      const stage = stages[isMaria ? 1 : 0];
      const item = ITEMS[(number * STEP) % ITEMS.length];
      if (stage === undefined || item === undefined) continue;
      await this.#try({ stage, item, seed: this.#options.seed + number });
      if (this.#tried.length % SAY_EVERY === 0) {
        say(`${this.#tried.length} damages, ${this.#missed} not found`);
      }
    }
    await this.#undamaged('after');
    return this.#proof();
  }

  get #missed(): number {
    return this.#tried.filter(({ found }) => !found).length;
  }

  async #try(args: { stage: Stage; item: Item; seed: number }): Promise<void> {
    const { stage, item, seed } = args;
    const { world } = stage;
    const kind = `${world.name}, ${item.kind}`;
    try {
      if (!(await stage.damage(item, seed))) {
        this.#impossible.add(kind);
        return;
      }
      const began = performance.now();
      const { findings } = await runAudit({ plans: world.plans });
      const ms = performance.now() - began;
      const found = findings.total > 0;
      this.#tried.push({ kind: item.kind, found, ms });
      if (!found) this.#findings.push(`not found: ${kind}, seed ${seed}`);
      const every = Math.max(
        1,
        Math.floor(this.#options.damages / Math.max(1, this.#options.byVerb)),
      );
      const isAsked = this.#askedOfVerb < this.#options.byVerb && this.#tried.length % every === 0;
      if (isAsked) await this.#ask({ world, kind });
    } finally {
      await stage.undo();
    }
  }

  /** The same question as a person asks it. */
  async #ask({ world, kind }: { world: DamageWorld; kind: string }): Promise<void> {
    this.#askedOfVerb += 1;
    const { status, output } = await verb(world);
    const hasSaid = output.includes('the first of ') && output.includes('expected ');
    if (status === 1 && hasSaid) this.#seenByVerb += 1;
    else this.#findings.push(`./hongbao audit ended with ${status} on: ${kind}`);
  }

  async #undamaged(when: string): Promise<void> {
    for (const world of this.#worlds) {
      const report = await runAudit({ plans: world.plans });
      this.#clean.push(report);
      const { findings, rows, entries } = report;
      this.#options.say(`${world.name} ${when}: ${rows} rows, ${entries} entries, no damage`);
      for (const finding of findings.kept) {
        this.#findings.push(`a false alarm ${when}: ${findingText(finding)}`);
      }
      for (const note of findings.notes) this.#findings.push(`not looked at ${when}: ${note}`);
    }
  }

  #proof(): DamageProof {
    const tried = this.#tried;
    const times = tried.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const { damages, byVerb } = this.#options;
    const alarms = this.#clean.reduce((sum, { findings }) => sum + findings.total, 0);
    const rows = this.#clean.reduce((sum, report) => sum + report.rows, 0);
    const seconds = this.#clean.reduce((sum, report) => sum + report.seconds, 0);
    const kinds = Map.groupBy(tried, ({ kind }) => kind);
    const found = tried.length - this.#missed;
    const result = resultOf({
      name: 'audit-damage',
      figures: [
        figure({ name: 'damages', value: tried.length, unit: '1', goal: { atLeast: damages } }),
        figure({ name: 'damages found', value: found, unit: '1', goal: { atLeast: tried.length } }),
        figure({ name: 'kinds of damage', value: kinds.size, unit: '1' }),
        figure({ name: 'false alarms', value: alarms, unit: '1', goal: { atMost: 0 } }),
        figure({
          name: 'found by ./hongbao audit',
          value: this.#seenByVerb,
          unit: '1',
          goal: { atLeast: byVerb },
        }),
        figure({
          name: 'time of finding, median',
          value: Math.round(times[times.length >> 1] ?? 0),
          unit: 'ms',
        }),
        figure({
          name: 'time of finding, worst',
          value: Math.round(times.at(-1) ?? 0),
          unit: 'ms',
        }),
        figure({
          name: 'rows a second, undamaged',
          value: Math.round(rows / seconds),
          unit: '1/s',
        }),
      ],
      conditions: {
        worlds: this.#worlds.map(({ name }, at) => {
          const { sets = [], rows: read, entries } = this.#clean[at] ?? {};
          return { name, rows: read, entries, sets };
        }),
        seed: this.#options.seed,
        kinds: Object.fromEntries(
          [...kinds]
            .toSorted(([a], [b]) => (a < b ? -1 : 1))
            .map(([kind, all]) => [
              kind,
              `${all.filter((one) => one.found).length} of ${all.length}`,
            ]),
        ),
        withoutPlace: [...this.#impossible].toSorted(),
      },
      held: this.#findings.length === 0,
    });
    return { result, findings: this.#findings, keptDir: null };
  }
}

/** Neighbours in the list are alike: a step that meets all of them mixes what comes first. */
const STEP = 37;

function verb(world: DamageWorld): Promise<{ status: number | null; output: string }> {
  const args = ['--disable-warning=ExperimentalWarning', MAIN, 'audit', ...world.auditArgs];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...world.auditEnv },
    timeout: 60_000,
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}
