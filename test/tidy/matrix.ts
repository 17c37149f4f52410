/**
 * Who may import what, as data. Folders are those of docs/ARCHITECTURE.md; a path that ends in `.ts`
 * stands for that file alone; `*` in a pattern stands for anything but a slash, `**` for anything.
 */

interface Zone {
  readonly folder: string;
  /** Folders and files of this repository that it may import, besides itself. */
  readonly imports: readonly string[];
  /** Whether `node:` modules are at hand; not where a browser runs the code too. */
  readonly node: boolean;
}

const LIBRARY = ['lib/core', 'lib/port', 'lib/runtime', 'proto'];
const TIERS = ['set-node', 'access', 'reconciler'];

/** The most specific folder holds; a file outside all of them is a violation. */
const ZONES: readonly Zone[] = [
  { folder: 'lib/core', imports: [], node: false },
  { folder: 'lib/port', imports: ['lib/core'], node: false },
  { folder: 'lib/adapter', imports: ['lib/core', 'lib/port'], node: true },
  { folder: 'lib/runtime', imports: ['lib/core', 'lib/port', 'proto'], node: true },
  { folder: 'proto', imports: [], node: true },
  { folder: 'router', imports: LIBRARY, node: true },
  { folder: 'set-node', imports: LIBRARY, node: true },
  { folder: 'access', imports: [...LIBRARY, 'router'], node: true },
  { folder: 'reconciler', imports: [...LIBRARY, 'router'], node: true },
  {
    folder: 'ops',
    imports: [
      ...LIBRARY,
      'lib/adapter',
      'router',
      'client',
      ...TIERS.flatMap((tier) => [`${tier}/server.ts`, `${tier}/config.ts`]),
    ],
    node: true,
  },
  { folder: 'client', imports: ['lib/core'], node: false },
  { folder: 'client/web', imports: ['lib/core', 'client'], node: false },
  {
    folder: 'test',
    imports: ['lib', 'proto', 'router', ...TIERS, 'ops', 'client'],
    node: true,
  },
];

/** What single files may import beyond their zone. */
export const GRANTS: readonly { files: string; imports: readonly string[]; why: string }[] = [
  {
    files: 'set-node/main.ts',
    imports: ['lib/adapter', 'router'],
    why: 'binds the ports; reads the topology',
  },
  {
    files: 'set-node/open-replica.ts',
    imports: ['lib/adapter'],
    why: 'opens a replica by its DSN: for the node and for who makes a Set larger',
  },
  { files: 'access/main.ts', imports: ['lib/adapter'], why: 'binds the ports' },
  { files: 'reconciler/main.ts', imports: ['lib/adapter'], why: 'binds the ports' },
  {
    files: 'ops/snapshot-worker.ts',
    imports: ['set-node/log/snapshotter.ts'],
    why: 'binds its store',
  },
  {
    files: 'ops/set/grow.ts',
    imports: ['set-node/log', 'set-node/open-replica.ts'],
    why: 'leads a Set for the moment in which it grows',
  },
  {
    files: 'ops/**',
    imports: ['reconciler/audit'],
    why: 'one set of books judges journals of production, of proofs and of the simulator',
  },
  {
    files: 'ops/sim/**',
    imports: ['set-node', 'access', 'reconciler'],
    why: 'runs the real tiers in a false world, without their shells',
  },
  { files: 'ops/bench*', imports: ['set-node'], why: 'measures the driver alone' },
  { files: 'ops/bench/**', imports: ['set-node'], why: 'measures the driver alone' },
];

/** What single files may not import although their zone may, directly or through their own tier. */
export const DENIALS: readonly { files: string; imports: readonly string[]; why: string }[] = [
  {
    files: 'ops/sim/check/**',
    imports: ['set-node', 'router', 'access'],
    why: 'judges what these told people, by SPEC alone',
  },
  {
    files: 'reconciler/audit/**',
    imports: [
      'lib/core/command.ts',
      'lib/core/batch.ts',
      'lib/core/outcome.ts',
      'lib/core/transfer.ts',
      'lib/core/allocation.ts',
      'lib/core/account.ts',
      'lib/core/packet.ts',
      'lib/core/ids.ts',
      'set-node',
      'router',
      'access',
    ],
    why: 'a bug that the audit shares with what it judges would confirm itself; it goes by SPEC',
  },
];

/** One room per library: the only files that import a package. Packages not named: lib/adapter. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'uWebSockets.js': ['access/server*.ts'],
  zod: ['access/schema*.ts'],
  sharp: ['access/media*.ts'],
  '@grpc/grpc-js': ['lib/runtime/grpc*.ts'],
  '@grpc/proto-loader': ['lib/runtime/grpc*.ts'],
  hashring: ['router/*.ts'],
  opossum: ['router/*.ts'],
  'prom-client': ['lib/runtime/metrics*.ts'],
  preact: ['client/web/**'],
  vite: ['client/web/vite.config.ts', 'ops/*.ts'],
  mysql2: [
    'lib/adapter/mysql*.ts',
    'ops/rig/mariadb*.ts',
    // Peers of the benches, and readers that share nothing with what they judge.
    'ops/bench/peer-mariadb.ts',
    'ops/bench/peer-queue.ts',
    'ops/bench/projection.ts',
    'ops/prove/set/disk-rows.ts',
    'ops/audit/mysql-reader.ts',
  ],
  ioredis: ['lib/adapter/redis*.ts', 'ops/bench/peer-redis.ts'],
  nats: ['lib/adapter/nats*.ts', 'ops/bench/peer-queue.ts'],
  'playwright-core': ['ops/screenshots*.ts'],
};
export const ROOM_OF_THE_REST = ['lib/adapter/*.ts'];
/** Tools, not code that ships: any package. */
export const ANY_PACKAGE = ['test/**', '*.config.ts'];

/** Where clocks, chance and environment may be touched; everyone else takes them from a port. */
export const SHELL = [
  'lib/adapter/**',
  'lib/runtime/**',
  'ops/**',
  'client/web/**',
  'client/platform.ts',
  'test/**',
  '*.config.ts',
];
/** A process entry: exit status, signals and arguments, yet neither environment nor clock. */
export const PROCESS_ENTRIES = TIERS.map((tier) => `${tier}/main.ts`);
/** Programs that talk to a person; all others write to a Log. */
export const CONSOLE = ['ops/**', 'test/**'];

/** Folders whose files are PURE (no await, no node:, no runtime) unless listed as shell. */
export const PURE: readonly { folder: string; shell: readonly string[] }[] = [
  {
    folder: 'set-node',
    shell: [
      'set-node/*.ts',
      'set-node/lead/**',
      'set-node/log/**',
      'set-node/read/journal.ts',
      'set-node/read/lists.ts',
      'set-node/read/lookups.ts',
      'set-node/read/packet-view.ts',
      'set-node/read/projections.ts',
      'set-node/read/query-stream.ts',
      'set-node/read/replica-lists.ts',
      'set-node/read/replica-reads.ts',
      'set-node/read/statement.ts',
      'set-node/read/table-rows.ts',
    ],
  },
  { folder: 'lib/core', shell: [] },
];

/** Files that another program writes. */
export const GENERATED = ['proto/gen/**'];
/** The one door; every other file that only re-exports is a barrel. */
export const DOORS = ['client/index.ts'];

export const FOLDERS_DEEP_MAX = 3;
export const LINES_MAX = 500;
/** Longer files, each with its reason. */
export const LONG_FILES: readonly { files: string; why: string }[] = [
  { files: 'test/golden/**', why: 'golden tables' },
];

/** Whether a path fits one of the patterns. */
export function fits(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => expression(pattern).test(path));
}

/** Whether a path lies in (or is) one of the folders and files. */
export function within(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || path.startsWith(`${place}/`));
}

/** The zone of a path: the one with the longest folder that holds it. */
export function zoneOf(path: string): Zone | undefined {
  return ZONES.filter((zone) => within(path, [zone.folder])).toSorted(
    (a, b) => b.folder.length - a.folder.length,
  )[0];
}

const expressions = new Map<string, RegExp>();

function expression(pattern: string): RegExp {
  const known = expressions.get(pattern);
  if (known !== undefined) return known;
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((piece) => {
      if (piece === '**') return '.*';
      if (piece === '*') return '[^/]*';
      return piece.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
    })
    .join('');
  const made = new RegExp(`^${source}$`);
  expressions.set(pattern, made);
  return made;
}
