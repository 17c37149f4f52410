import { makeJsonLog } from '../../lib/adapter/json-log.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import { WrongConfiguration } from '../../set-node/server.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { guardProcess } from '../../lib/runtime/lifecycle.ts';
import { parseArgs, UsageError, usageOf, type Verb } from '../cli.ts';
import { buildPage } from '../page.ts';
import { startEmbedded } from '../start.ts';

const NAME = 'start';
const SUMMARY = 'run everything in one process, without a server to install';
const FLAGS = {
  port: {
    kind: 'integer',
    help: 'port of page and WebSocket',
    fallback: 8080,
    min: 0,
    max: 65_535,
  },
  host: { kind: 'text', value: 'ADDRESS', help: 'address to listen on', fallback: '127.0.0.1' },
  data: { kind: 'text', value: 'DIR', help: 'directory of journals and keys', fallback: '.data' },
  sets: { kind: 'integer', help: 'Sets of a new data directory', fallback: 2, min: 1, max: 16 },
  replicas: {
    kind: 'integer',
    help: 'replicas of each Set: 1, or 3 with quorum 2',
    fallback: 1,
    min: 1,
    max: 3,
  },
  'demo-cents': {
    kind: 'integer',
    help: 'money that a new user finds in the wallet',
    fallback: 200_000,
    min: 0,
    max: 100_000_000,
  },
  verbose: { kind: 'switch', help: 'log what goes well, too' },
} as const;

/** `./hongbao start`: embedded mode, with development tokens and demo money. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    notes: ['Anybody who reaches the port may sign in as anybody: this is for development.'],
  }),
  async run(args) {
    const { flags } = parseArgs({ args, flags: FLAGS });
    if (flags.replicas === 2) throw new UsageError('--replicas is 1 or 3');
    const log = makeJsonLog({ clock: new SystemClock(), level: flags.verbose ? 'info' : 'warn' });
    const pageDir = await buildPage({ log: (line) => console.error(line) });
    try {
      const running = await startEmbedded({
        dataDir: flags.data,
        port: flags.port,
        host: flags.host,
        sets: flags.sets,
        replicas: flags.replicas,
        demoCents: flags['demo-cents'],
        pageDir,
        log,
        audit: true,
      });
      guardProcess({ lifecycle: running.lifecycle, log });
      console.log(`Hongbao is ready: ${running.url}`);
    } catch (error) {
      const reason = explain(error);
      if (reason === null) throw error;
      console.error(`hongbao start: ${reason}`);
      return 1;
    }
    return await new Promise<never>(() => undefined);
  },
};

/** What an operator can mend, in a line; null for what is a bug of ours. */
function explain(error: unknown): string | null {
  if (error instanceof CorruptEntry) {
    return `corrupt_journal: ${error.message}. Set ${error.setId} was not changed; nothing is served.`;
  }
  if (error instanceof WrongConfiguration) return `wrong_configuration: ${error.message}.`;
  if (error instanceof StoreError) return `${error.code}: ${error.message}`;
  if (error instanceof Error && 'code' in error) return `${String(error.code)}: ${error.message}`;
  return null;
}
