import { resolve } from 'node:path';
import { lockData } from '../../lib/adapter/data-lock.ts';
import { parseArgs, UsageError, usageOf, type Verb } from '../cli.ts';
import { ProvisionError } from '../provision/command.ts';
import { LocalCluster } from '../rig/local-cluster.ts';
import { ProcessFailed } from '../rig/process.ts';
import { Rig } from '../rig/rig.ts';

const NAME = 'cluster';
const SUMMARY = 'run Sets as processes of their own on real MariaDB servers of this machine';
const FLAGS = {
  'replicas-only': { kind: 'switch', help: "three MariaDB servers with the Sets' databases" },
  'set-only': { kind: 'switch', help: 'those, a leader and a standby per Set, and the reconciler' },
  sets: { kind: 'integer', help: 'Sets of a new data directory', fallback: 2, min: 1, max: 16 },
  data: { kind: 'text', value: 'DIR', help: 'directory of all data', fallback: '.data/cluster' },
} as const;

/** `./hongbao cluster up`: for development, on 127.0.0.1 only. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['up'],
    notes: [
      'Ctrl-C ends all of it in order; the data stays. A second Ctrl-C kills what is left.',
      'MariaDB is taken from HONGBAO_MARIADBD and HONGBAO_MARIADB, else from PATH, else fetched',
      'into the runtime directory; HONGBAO_RUNTIME=private does not look at PATH.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['up'] });
    if (positionals[0] !== 'up') throw new UsageError(`up, not '${positionals[0]}'`);
    if (flags['replicas-only'] === flags['set-only']) {
      throw new UsageError('say either --replicas-only or --set-only');
    }
    const dir = resolve(flags.data);
    // Heard from the first moment: a start is ended in order, too.
    const stopped = stopSignal();
    const rig = await Rig.open({ keepIn: dir });
    try {
      const lock = lockData(dir);
      rig.own({ close: async () => lock.release() });
      const log = (line: string): void => console.error(line);
      const cluster = await LocalCluster.start({ rig, sets: flags.sets, log });
      if (flags['set-only']) await cluster.startSets();
      let isStopping = false;
      report({ cluster, dir, isWanted: () => isStopping });
      await stopped;
      isStopping = true;
      console.error('stopping');
      await cluster.stop();
      return 0;
    } catch (error) {
      const reason = explain(error);
      if (reason === null) throw error;
      console.error(`hongbao ${NAME}: ${reason}`);
      return 1;
    } finally {
      await rig.close();
    }
  },
};

/** Prints what runs where, and later what ended although nobody wanted it to. */
function report(args: { cluster: LocalCluster; dir: string; isWanted: () => boolean }): void {
  const { cluster, dir, isWanted } = args;
  for (const { setId, dsns } of cluster.dsns) {
    for (const [replica, dsn] of dsns.entries())
      console.log(`set ${setId} replica ${replica} ${dsn}`);
  }
  const addresses = new Map(
    cluster.topology.sets.flatMap(({ id, nodes }) =>
      nodes.map(({ primary }, slot) => [`set${id}-node${slot}`, primary]),
    ),
  );
  for (const one of [...cluster.servers.map((server) => server.process), ...cluster.processes]) {
    console.log(['process', one.pid, one.name, addresses.get(one.name) ?? ''].join(' ').trim());
    void one.ended.then(({ status, signal }) => {
      if (isWanted()) return;
      console.error(`${one.name} ended (${signal ?? `status ${status}`}); its log: ${one.logFile}`);
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

/** What a person can mend, in a line; null for what is a bug of ours. */
function explain(error: unknown): string | null {
  if (error instanceof ProvisionError) {
    return `${error.message} A server in a container does not do: it is ended by its process id.`;
  }
  if (error instanceof ProcessFailed) return error.message;
  if (error instanceof Error && 'code' in error) return `${String(error.code)}: ${error.message}`;
  return null;
}
