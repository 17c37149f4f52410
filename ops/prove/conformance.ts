import { performance } from 'node:perf_hooks';
import type { Result } from '../cli.ts';
import { figure, resultOf } from '../cli.ts';
import { Rig } from '../rig/rig.ts';
import { compareScript, describe, shorten } from '../sim/conformance/compare.ts';
import { makeScript } from '../sim/conformance/make-script.ts';
import { MEMORY } from '../sim/conformance/memory-world.ts';
import { MysqlWorlds } from '../sim/conformance/mysql-world.ts';
import type { WorldSource } from '../sim/conformance/replica-world.ts';
import { SqliteWorlds } from '../sim/conformance/sqlite-world.ts';
import { ANSWERS, Tally } from '../sim/conformance/tally.ts';

/** In one script of so many the server of MariaDB is really killed at every incident. */
const KILLED_EVERY = 12;
const KILLS_MIN = 60;
/** In so many scripts every answer of the port comes up this often at the least. */
const ANSWERS_TIMES = 10;
/** One waits for its disk while the other computes. */
const LANES = 2;
const DIFFERENCES_MAX = 5;
const SAY_EVERY = 100;

export type ConformanceOptions = {
  readonly scripts: number;
  /** Of the first script; the others follow. */
  readonly seed: number;
  readonly say: (line: string) => void;
};

export type ConformanceProof = {
  readonly result: Result;
  readonly findings: readonly string[];
  readonly keptDir: null;
};

/**
 * Random scripts of calls on the replica of the simulator, on SQLite files and on a real MariaDB:
 * what they answer, and the whole visible state at the end, is the same. A difference is told with
 * its seed and the fewest steps that show it.
 */
export async function proveConformance(options: ConformanceOptions): Promise<ConformanceProof> {
  const began = performance.now();
  const run: Progress = { next: options.seed, tally: new Tally(), findings: [], differences: 0 };
  const rig = await Rig.open();
  const sqlite = new SqliteWorlds();
  const servers: MysqlWorlds[] = [];
  try {
    await Promise.all(
      Array.from({ length: LANES }, async (_, lane) => {
        const mysql = await MysqlWorlds.start(rig, `conformance_${lane}`);
        servers.push(mysql);
        await runLane({ run, sources: [MEMORY, sqlite, mysql], mysql, options });
      }),
    );
  } finally {
    await sqlite.close();
    for (const server of servers) await server.close();
    await rig.close();
  }
  const { tally, findings } = run;
  const kills = servers.reduce((sum, { killed }) => sum + killed, 0);
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  for (const answer of tally.missing(ANSWERS, ANSWERS_TIMES)) {
    findings.push(`seen less than ${ANSWERS_TIMES} times: ${answer}`);
  }
  const result = resultOf({
    name: 'conformance',
    figures: figuresOf({ run, kills, seconds, options }),
    conditions: {
      stores: ['memory', 'sqlite', `mysql (MariaDB ${servers[0]?.version ?? '?'})`],
      firstSeed: options.seed,
      killedEvery: KILLED_EVERY,
      otherRestarts: 'sessions end, the MEMORY table `alive` is emptied; a wipe empties the tables',
    },
    held: findings.length === 0,
  });
  return { result, findings, keptDir: null };
}

type Progress = {
  next: number;
  readonly tally: Tally;
  readonly findings: string[];
  differences: number;
};

async function runLane(args: {
  run: Progress;
  sources: readonly WorldSource[];
  /** One of the sources. */
  mysql: MysqlWorlds;
  options: ConformanceOptions;
}): Promise<void> {
  const { run, sources, mysql, options } = args;
  const end = options.seed + options.scripts;
  while (run.next < end && run.differences < DIFFERENCES_MAX) {
    const seed = run.next++;
    const script = await makeScript(seed);
    mysql.restarts = seed % KILLED_EVERY === 0 ? 'killed' : 'emulated';
    const { runs, difference } = await compareScript(sources, script);
    const [first] = runs;
    if (first !== undefined) run.tally.add(script, first);
    if (difference !== null) {
      run.differences += 1;
      // Found by its real restarts or without: what shows it with fewer steps shows it faster.
      mysql.restarts = 'emulated';
      run.findings.push(...describe(await shorten(sources, difference)));
    }
    if (run.tally.scripts % SAY_EVERY === 0) {
      options.say(`${run.tally.scripts} scripts, ${run.differences} differences`);
    }
  }
}

function figuresOf(args: {
  run: Progress;
  kills: number;
  seconds: number;
  options: ConformanceOptions;
}) {
  const { run, kills, seconds, options } = args;
  const { tally } = run;
  const each = (unit: string, of: ReadonlyMap<string, number>) =>
    [...of]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => figure({ name, value, unit }));
  return [
    figure({
      name: 'scripts on all three',
      value: tally.scripts,
      unit: '1',
      goal: { atLeast: options.scripts },
    }),
    figure({ name: 'differences', value: run.differences, unit: '1', goal: { atMost: 0 } }),
    figure({ name: 'calls of each store', value: tally.calls, unit: '1' }),
    figure({ name: 'restarts and other incidents', value: tally.incidents, unit: '1' }),
    figure({ name: 'kill -9 of MariaDB', value: kills, unit: '1', goal: { atLeast: KILLS_MIN } }),
    figure({ name: 'seconds', value: seconds, unit: 's' }),
    ...each('steps', tally.kinds),
    ...each('outcomes', tally.outcomes),
  ];
}
