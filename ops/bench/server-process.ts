/** A real embedded process for benches: the start verb with the rate limits of one person raised. */
import { makeJsonLog } from '../../lib/adapter/json-log.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { startEmbedded } from '../start.ts';

export type ServerJob = {
  readonly dataDir: string;
  readonly sets: number;
  readonly replicas: number;
};

const RATE = 1_000_000;

async function run(job: ServerJob): Promise<void> {
  const log = makeJsonLog({ clock: new SystemClock(), level: 'error' });
  const running = await startEmbedded({
    ...job,
    port: 0,
    host: '127.0.0.1',
    demoCents: 100_000_000,
    pageDir: job.dataDir,
    log,
    limits: { requestsPerSecond: RATE, requestsBurst: RATE },
  });
  process.send?.({ port: running.port });
  process.on('message', (message) => {
    if (message === 'cpu') process.send?.({ cpu: process.cpuUsage() });
    if (message === 'stop') void running.lifecycle.end().then(() => process.exit(0));
  });
  process.on('disconnect', () => process.exit(1));
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '{}') as ServerJob);
