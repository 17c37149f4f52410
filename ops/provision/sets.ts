/** What can be provisioned: one line a set. Package names are Debian's. */

/** A set of packages unpacked into one root, and the programs in it. */
type SetSpec = {
  readonly packages: readonly string[];
  readonly binaries: Readonly<Record<string, BinarySpec>>;
  /** Files below the root (or below `/`) that prove that the set is there. */
  readonly files: readonly string[];
  /** Library directories below usr/lib/<triplet> that the loader does not search by itself. */
  readonly libraryDirs: readonly string[];
};

type BinarySpec = {
  /** Path below the unpacked root. */
  readonly file: string;
  /** Names on PATH, best first. */
  readonly names: readonly [string, ...string[]];
};

const FONT_FILES = [
  'usr/share/fonts/truetype/wqy/wqy-microhei.ttc',
  'usr/share/fonts/truetype/noto/NotoColorEmoji.ttf',
];

const SETS = {
  // The binary itself, not the wrapper in usr/bin: the wrapper reads /etc and /usr, not the root.
  chromium: {
    packages: ['chromium'],
    binaries: {
      chromium: {
        file: 'usr/lib/chromium/chromium',
        names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
      },
    },
    files: [],
    libraryDirs: ['pulseaudio'],
  },
  // Bare servers have neither a Chinese nor an emoji font: without this set 红包 is two boxes.
  fonts: {
    packages: ['fonts-wqy-microhei', 'fonts-noto-color-emoji'],
    binaries: {},
    files: FONT_FILES,
    libraryDirs: [],
  },
  mariadb: {
    packages: ['mariadb-server-core', 'mariadb-client-core'],
    binaries: {
      mariadbd: { file: 'usr/sbin/mariadbd', names: ['mariadbd'] },
      mariadb: { file: 'usr/bin/mariadb', names: ['mariadb'] },
    },
    files: [],
    libraryDirs: [],
  },
  redis: {
    packages: ['redis-server', 'redis-tools'],
    binaries: { 'redis-server': { file: 'usr/bin/redis-server', names: ['redis-server'] } },
    files: [],
    libraryDirs: [],
  },
  nats: {
    packages: ['nats-server'],
    binaries: { 'nats-server': { file: 'usr/sbin/nats-server', names: ['nats-server'] } },
    files: [],
    libraryDirs: [],
  },
  prometheus: {
    packages: ['prometheus'],
    binaries: {
      prometheus: { file: 'usr/bin/prometheus', names: ['prometheus'] },
      promtool: { file: 'usr/bin/promtool', names: ['promtool'] },
    },
    files: [],
    libraryDirs: [],
  },
} as const satisfies Record<string, SetSpec>;

export type SetName = keyof typeof SETS;
/** What a caller may ask for; fonts come along with Chromium. */
export type Want = Exclude<SetName, 'fonts'>;
export type BinaryOf<W extends Want> = keyof (typeof SETS)[W]['binaries'] & string;

export function specOf(set: SetName): SetSpec {
  return SETS[set];
}

/** `mariadb-server` → `HONGBAO_MARIADB_SERVER`. */
export function variableOf(binary: string): string {
  return `HONGBAO_${binary.toUpperCase().replaceAll('-', '_')}`;
}
