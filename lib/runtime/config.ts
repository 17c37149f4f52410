import { readFileSync } from 'node:fs';
import { assert } from '../core/assert.ts';
import type { Log } from '../port/log.ts';

/** Settings that cannot be used; the message names the setting and where its value came from. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** From the weakest to the strongest. */
export const ORIGINS = ['default', 'file', 'environment', 'flag'] as const;
export type Origin = (typeof ORIGINS)[number];

/** One setting: its default, what it means, and how its text is read. */
export type Setting<T> = {
  readonly fallback: T;
  readonly help: string;
  /** Shown as `(secret)` wherever settings are printed. */
  readonly secret: boolean;
  /** Throws an Error that says what is allowed. */
  readonly read: (text: string) => T;
};

export type Settings = Readonly<Record<string, Setting<unknown>>>;
export type Values<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

export type ConfigLine = {
  readonly name: string;
  /** As people may see it. */
  readonly value: string;
  readonly origin: Origin;
  readonly help: string;
};

export type Config<S extends Settings> = {
  readonly values: Values<S>;
  /** One line a setting, for the `config` verb and the log at start. Secrets are hidden. */
  readonly lines: readonly ConfigLine[];
  /** HONGBAO_ variables that no setting here knows: a typing error, or another tier's. */
  readonly unknownVariables: readonly string[];
};

export function text(fallback: string, help: string): Setting<string> {
  return { fallback, help, secret: false, read: (given) => given };
}

/** Never printed. The default is empty: what needs a secret refuses to start without one. */
export function secret(help: string): Setting<string> {
  return { fallback: '', help, secret: true, read: (given) => given };
}

/** A whole number within its range, both ends included. The unit ends the setting's name. */
export function whole(
  fallback: number,
  range: { min: number; max: number; help: string },
): Setting<number> {
  const { min, max, help } = range;
  assert(fallback >= min && fallback <= max, 'a default is allowed');
  return {
    fallback,
    help,
    secret: false,
    read: (given) => {
      const value = /^-?[0-9]{1,15}$/.test(given) ? Number(given) : Number.NaN;
      if (value >= min && value <= max) return value;
      throw new Error(`is a whole number, ${min}..${max}`);
    },
  };
}

export function yesNo(fallback: boolean, help: string): Setting<boolean> {
  return {
    fallback,
    help,
    secret: false,
    read: (given) => {
      if (given === 'true' || given === 'false') return given === 'true';
      throw new Error('is true or false');
    },
  };
}

export function oneOf<const T extends string>(
  fallback: T,
  options: { of: readonly T[]; help: string },
): Setting<T> {
  const { of, help } = options;
  return {
    fallback,
    help,
    secret: false,
    read: (given) => {
      const found = of.find((each) => each === given);
      if (found !== undefined) return found;
      throw new Error(`is one of ${of.join(', ')}`);
    },
  };
}

/**
 * Reads settings: defaults < file < environment < flags. `dataDir` is `dataDir` in the JSON file,
 * `HONGBAO_DATA_DIR` in the environment and `--data-dir` (`--data-dir=x` or `--data-dir x`) on the
 * command line. Throws {@link ConfigError} on a bad value and on keys or flags that nobody knows.
 */
export function readConfig<const S extends Settings>(args: {
  settings: S;
  /** Path of a JSON object; absent: no file. */
  file?: string | undefined;
  environment?: Readonly<Record<string, string | undefined>>;
  flags?: readonly string[];
}): Config<S> {
  const { settings, environment = process.env, flags = [] } = args;
  const fromFile = args.file === undefined ? new Map<string, string>() : readFile(args.file);
  const fromFlags = readFlags(flags);
  const names = Object.keys(settings);
  demandKnown({ given: fromFile, names, of: `${args.file}` });
  demandKnown({ given: fromFlags, names, of: 'the command line' });

  const values: Record<string, unknown> = {};
  const lines: ConfigLine[] = [];
  for (const [name, setting] of Object.entries(settings)) {
    const candidates: [Origin, string | undefined][] = [
      ['flag', fromFlags.get(name)],
      ['environment', environment[variableOf(name)]],
      ['file', fromFile.get(name)],
    ];
    const found = candidates.find(([, given]) => given !== undefined);
    const origin = found?.[0] ?? 'default';
    values[name] = found?.[1] === undefined ? setting.fallback : parse(name, setting, found);
    const value = setting.secret ? '(secret)' : String(values[name]);
    lines.push({ name, value, origin, help: setting.help });
  }
  const known = new Set(names.map(variableOf));
  const unknownVariables = Object.keys(environment)
    .filter((name) => name.startsWith('HONGBAO_') && !known.has(name))
    .toSorted();
  // Every name of the settings was given a value of its own type above.
  return { values: values as Values<S>, lines, unknownVariables };
}

/** `dataDir` → `HONGBAO_DATA_DIR`. */
export function variableOf(name: string): string {
  return `HONGBAO_${words(name).join('_').toUpperCase()}`;
}

/** `dataDir` → `--data-dir`. */
export function flagOf(name: string): string {
  return `--${words(name).join('-')}`;
}

function words(name: string): string[] {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ');
}

function parse(
  name: string,
  setting: Setting<unknown>,
  [origin, given]: [Origin, string | undefined],
): unknown {
  try {
    return setting.read(given ?? '');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const shown = setting.secret ? '' : `, not ${JSON.stringify(given)}`;
    throw new ConfigError(`${name} ${reason}${shown} (from the ${origin})`, { cause: error });
  }
}

function readFile(path: string): Map<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${path} cannot be read: ${reason}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`${path} is not a JSON object`);
  }
  const found = new Map<string, string>();
  for (const [name, given] of Object.entries(value)) {
    if (!['string', 'number', 'boolean'].includes(typeof given)) {
      throw new ConfigError(`${path}: ${name} is text, a number, true or false`);
    }
    found.set(name, String(given));
  }
  return found;
}

function readFlags(flags: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < flags.length; at++) {
    const match = /^--([a-z0-9-]+)(?:=(.*))?$/s.exec(flags[at] ?? '');
    if (match?.[1] === undefined) throw new ConfigError(`${flags[at]} is not a flag`);
    const name = match[1].replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const value = match[2] ?? flags[(at += 1)];
    if (value === undefined) throw new ConfigError(`--${match[1]} needs a value`);
    found.set(name, value);
  }
  return found;
}

function demandKnown(args: {
  given: ReadonlyMap<string, string>;
  names: readonly string[];
  of: string;
}): void {
  for (const name of args.given.keys()) {
    if (!args.names.includes(name))
      throw new ConfigError(`${args.of}: no setting is called ${name}`);
  }
}

/** The first line of every process: each setting, and where it came from. Secrets are masked. */
export function logConfig(
  log: Log,
  config: { lines: readonly ConfigLine[]; unknownVariables: readonly string[] },
): void {
  const { lines, unknownVariables } = config;
  log.info('starting', {
    settings: lines.map(({ name, value, origin }) => `${name}=${value} (${origin})`),
  });
  if (unknownVariables.length > 0) log.warn('unknown_variables', { names: unknownVariables });
}
