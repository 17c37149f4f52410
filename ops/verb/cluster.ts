import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockData } from '../../lib/adapter/data-lock.ts';
import { JSON_FLAG, parseArgs, UsageError, usageOf, type Verb } from '../cli.ts';
import { buildPage } from '../page.ts';
import { ProvisionError } from '../provision/command.ts';
import type { ClusterRecord, Recorded } from '../rig/cluster-record.ts';
import { isAlive, readRecord, record, removeRecord, writeRecord } from '../rig/cluster-record.ts';
import { LocalCluster } from '../rig/local-cluster.ts';
import { ProcessFailed } from '../rig/process.ts';
import { Rig } from '../rig/rig.ts';

const NAME = 'cluster';
const SUMMARY = 'run the tiers as processes of their own on real servers of this machine';
const FLAGS = {
  'replicas-only': { kind: 'switch', help: "up: three MariaDB servers with the Sets' databases" },
  'set-only': {
    kind: 'switch',
    help: 'up: those, a leader and a standby per Set, and a reconciler',
  },
  sets: { kind: 'integer', help: 'Sets of a new data directory', fallback: 2, min: 1, max: 16 },
  data: { kind: 'text', value: 'DIR', help: 'directory of all data', fallback: '.data/cluster' },
  json: JSON_FLAG,
} as const;
/** An orderly end of everything; longer than its slowest server may take. */
const DOWN_WITHIN_MS = 90_000;
const LOOK_MS = 50;

type Scope = 'replicas' | 'sets' | 'all';

/** `./hongbao cluster up`, `status`, `down`: for development, on 127.0.0.1 only. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['ACTION'],
    notes: [
      'up starts MariaDB ×3, NATS, a leader and a standby per Set, two reconcilers, an auditor and two',
      'access nodes, whose addresses it prints; anybody who reaches them may sign in as anybody.',
      'Ctrl-C ends all of it in order; the data stays. A second Ctrl-C kills what is left.',
      'status says what runs from the directory (exit 1 unless all of it does); down ends it.',
      'MariaDB is taken from HONGBAO_MARIADBD and HONGBAO_MARIADB, else from PATH, else fetched',
      'into the runtime directory; HONGBAO_RUNTIME=private does not look at PATH. NATS likewise.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['ACTION'] });
    const dir = resolve(flags.data);
    switch (positionals[0]) {
      case 'up': {
        if (flags['replicas-only'] && flags['set-only']) {
          throw new UsageError('say --replicas-only or --set-only, not both');
        }
        const scope = flags['replicas-only'] ? 'replicas' : flags['set-only'] ? 'sets' : 'all';
        return explained(() => up({ dir, sets: flags.sets, scope }));
      }
      case 'status':
        return explained(() => status({ dir, json: flags.json }));
      case 'down':
        return explained(() => down(dir));
      default:
        throw new UsageError(`up, status or down, not '${positionals[0]}'`);
    }
  },
};

async function up({ dir, sets, scope }: { dir: string; sets: number; scope: Scope }) {
  // Heard from the first moment: a start is ended in order, too.
  const stopped = stopSignal();
  const rig = await Rig.open({ keepIn: dir });
  try {
    const lock = lockData(dir);
    rig.own({ close: async () => lock.release() });
    const log = (line: string): void => console.error(line);
    const cluster = await LocalCluster.start({ rig, sets, log });
    if (scope === 'sets') await cluster.startSets();
    if (scope === 'all') await cluster.startAll({ pageDir: await buildPage({ log }) });
    let isStopping = false;
    await writeRecord(dir, recordOf(cluster));
    report({ cluster, dir, isWanted: () => isStopping });
    await stopped;
    isStopping = true;
    console.error('stopping');
    await cluster.stop();
    await removeRecord(dir);
    return 0;
  } finally {
    await rig.close();
  }
}

function recordOf(cluster: LocalCluster): ClusterRecord {
  return {
    supervisor: record({ pid: process.pid, name: 'cluster up', address: '' }),
    processes: cluster.running.map(({ process: one, address }) =>
      record({ pid: one.pid ?? 0, name: one.name, address }),
    ),
  };
}

async function status({ dir, json }: { dir: string; json: boolean }): Promise<number> {
  const found = await readRecord(dir);
  const all = found === null ? [] : [found.supervisor, ...found.processes];
  const lines = all.map((one) => ({ ...one, running: isAlive(one) }));
  const ok = lines.length > 0 && lines.every(({ running }) => running);
  if (json) console.log(JSON.stringify({ ok, name: 'cluster status', processes: lines }));
  else {
    if (lines.length === 0) console.log(`nothing was started from ${dir}, or it was ended`);
    for (const { running, pid, name, address } of lines) {
      console.log([running ? 'running' : 'ended  ', pid, name, address].join(' ').trim());
    }
  }
  return ok ? 0 : 1;
}

/** Tells `cluster up` to end, which ends the others in order. */
async function down(dir: string): Promise<number> {
  const found = await readRecord(dir);
  const all = found === null ? [] : [found.supervisor, ...found.processes];
  const living = (): readonly Recorded[] => all.filter(isAlive);
  if (living().length === 0) {
    console.log(`nothing runs from ${dir}`);
    await removeRecord(dir);
    return 0;
  }
  const [first] = all;
  // Without it the others should be gone, too: what is left ends by itself, each in its order.
  const told = first !== undefined && isAlive(first) ? [first] : living();
  for (const { pid } of told) process.kill(pid, 'SIGTERM');
  const lateMs = performance.now() + DOWN_WITHIN_MS;
  while (living().length > 0 && performance.now() < lateMs) await sleep(LOOK_MS);
  const left = living();
  for (const { pid, name } of left) console.error(`still runs: ${pid} ${name}`);
  if (left.length > 0) return 1;
  await removeRecord(dir);
  console.log(`ended what ran from ${dir}; the data stays`);
  return 0;
}

/** Prints what runs where, and later what ended although nobody wanted it to. */
function report(args: { cluster: LocalCluster; dir: string; isWanted: () => boolean }): void {
  const { cluster, dir, isWanted } = args;
  for (const { setId, dsns } of cluster.dsns) {
    for (const [replica, dsn] of dsns.entries())
      console.log(`set ${setId} replica ${replica} ${dsn}`);
  }
  for (const { process: one, address } of cluster.running) {
    console.log(['process', one.pid, one.name, address].join(' ').trim());
    void one.ended.then((ended) => {
      if (isWanted()) return;
      const how = ended.signal ?? `status ${ended.status}`;
      console.error(`${one.name} ended (${how}); its log: ${one.logFile}`);
    });
  }
  console.log(`Hongbao's cluster is ready; everything is in ${dir}`);
}

/** Resolves at the first Ctrl-C or SIGTERM; the second ends this process and so all others. */
function stopSignal(): Promise<void> {
  return new Promise((resolveStop) => {
    let heard = 0;
    const onSignal = (): void => {
      heard += 1;
      if (heard > 1) process.exit(1);
      resolveStop();
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
}

async function explained(act: () => Promise<number>): Promise<number> {
  try {
    return await act();
  } catch (error) {
    const reason = explain(error);
    if (reason === null) throw error;
    console.error(`hongbao ${NAME}: ${reason}`);
    return 1;
  }
}

/** What a person can mend, in a line; null for what is a bug of ours. */
function explain(error: unknown): string | null {
  if (error instanceof ProvisionError) {
    return `${error.message} A server in a container does not do: it is ended by its process id.`;
  }
  if (error instanceof ProcessFailed) return error.message;
  if (error instanceof Error && 'code' in error) return `${String(error.code)}: ${error.message}`;
  return null;
}
