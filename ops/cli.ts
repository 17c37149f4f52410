/**
 * What every verb of the command line shares: typed flags, help, and the one JSON line that a
 * machine reads. Nothing here acts on import.
 */

/** One verb, found in `ops/verb/NAME.ts` as `export const verb`. */
export interface Verb {
  readonly name: string;
  /** One line without a full stop; the overview shows it. */
  readonly summary: string;
  /** The whole text of `hongbao NAME --help`; see `usageOf`. */
  readonly usage: string;
  /**
   * @param args what stands after the verb's name
   * @returns the exit status: 0 when everything that was checked holds
   * @throws UsageError when the arguments are wrong (the entry prints help, exit status 2)
   */
  run(args: readonly string[]): Promise<number>;
}

/** The caller's mistake: printed with the verb's help on standard error, exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface SwitchFlag {
  readonly kind: 'switch';
  readonly help: string;
}
interface NumberFlagOf<Kind extends string> {
  readonly kind: Kind;
  /** What it sets, with the unit. */
  readonly help: string;
  readonly min: number;
  readonly max: number;
  readonly fallback?: number;
}
/** Two members, not one with two kinds: the compiler narrows only the former. */
type NumberFlag = NumberFlagOf<'integer'> | NumberFlagOf<'number'>;
interface TextFlag {
  readonly kind: 'text';
  readonly help: string;
  /** How the help calls the value, for example `PATH`. */
  readonly value: string;
  readonly choices?: readonly string[];
  readonly fallback?: string;
}
/** May be given several times; the values keep their order. */
interface ListFlag {
  readonly kind: 'list';
  readonly help: string;
  readonly value: string;
  readonly choices?: readonly string[];
}

export type FlagSpec = SwitchFlag | NumberFlag | TextFlag | ListFlag;
/** Keys are the flags' names without dashes: `{ 'data-dir': { kind: 'text', … } }`. */
export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

type Absent<S> = S extends { readonly fallback: string | number } ? never : undefined;
type FlagValue<S> = S extends SwitchFlag
  ? boolean
  : S extends ListFlag
    ? readonly string[]
    : S extends NumberFlag
      ? number | Absent<S>
      : string | Absent<S>;
export type FlagValues<S extends FlagSpecs> = { readonly [K in keyof S]: FlagValue<S[K]> };

/** The flag of every verb that has figures or findings to report; see `printResult`. */
export const JSON_FLAG = {
  kind: 'switch',
  help: 'end with one line of JSON for machines',
} as const satisfies SwitchFlag;

export interface ParseOptions<S extends FlagSpecs> {
  readonly args: readonly string[];
  readonly flags: S;
  /** Names in order, `'AMOUNT'` required, `'[NAME]'` optional (optional ones last). */
  readonly positionals?: readonly string[];
}

/**
 * Reads `--flag value`, `--flag=value`, switches, and positionals; `--` ends the flags.
 * @throws UsageError naming the flag, what was given, and what would be right
 */
export function parseArgs<const S extends FlagSpecs>(
  options: ParseOptions<S>,
): { readonly flags: FlagValues<S>; readonly positionals: readonly string[] } {
  const values = new Map<string, string | number | boolean | string[]>();
  const positionals: string[] = [];
  const queue = [...options.args];
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    if (arg === '--') {
      positionals.push(...queue.splice(0));
    } else if (arg.startsWith('--')) {
      readFlag({ arg, queue, specs: options.flags, values });
    } else if (arg.startsWith('-') && arg.length > 1 && Number.isNaN(Number(arg))) {
      throw new UsageError(`unknown flag ${arg}`);
    } else {
      positionals.push(arg);
    }
  }
  checkPositionals(positionals, options.positionals ?? []);
  for (const [name, spec] of Object.entries(options.flags)) {
    if (values.has(name)) continue;
    const fallback = fallbackOf(spec);
    if (fallback !== undefined) values.set(name, fallback);
  }
  // The loop above gave every flag the type its spec states: the one cast of this file.
  return { flags: Object.fromEntries(values) as FlagValues<S>, positionals };
}

interface FlagReading {
  readonly arg: string;
  /** The arguments behind `arg`; a value is taken from its front. */
  readonly queue: string[];
  readonly specs: FlagSpecs;
  readonly values: Map<string, string | number | boolean | string[]>;
}

function readFlag({ arg, queue, specs, values }: FlagReading): void {
  const equals = arg.indexOf('=');
  const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
  const inline = equals < 0 ? undefined : arg.slice(equals + 1);
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
  if (spec === undefined) throw new UsageError(`unknown flag --${name}`);
  if (spec.kind === 'switch') {
    if (inline !== undefined) throw new UsageError(`--${name} takes no value`);
    values.set(name, true);
    return;
  }
  const given = inline ?? (queue[0]?.startsWith('--') === true ? undefined : queue.shift());
  if (given === undefined || given === '') throw new UsageError(`--${name} needs a value`);
  if (spec.kind === 'list') {
    const list = values.get(name);
    const text = checkChoice({ name, given, choices: spec.choices });
    if (Array.isArray(list)) list.push(text);
    else values.set(name, [text]);
    return;
  }
  if (values.has(name)) throw new UsageError(`--${name} is given twice`);
  if (spec.kind === 'text') {
    values.set(name, checkChoice({ name, given, choices: spec.choices }));
  } else {
    values.set(name, readNumber({ name, given, spec }));
  }
}

interface ChoiceCheck {
  readonly name: string;
  readonly given: string;
  readonly choices: readonly string[] | undefined;
}

function checkChoice({ name, given, choices }: ChoiceCheck): string {
  if (choices === undefined || choices.includes(given)) return given;
  throw new UsageError(`--${name} is one of ${choices.join(', ')}; not '${given}'`);
}

interface NumberReading {
  readonly name: string;
  readonly given: string;
  readonly spec: NumberFlag;
}

function readNumber({ name, given, spec }: NumberReading): number {
  const decimal = /^-?\d+(\.\d+)?$/.test(given);
  const value = decimal ? Number(given) : Number.NaN;
  const fits = value >= spec.min && value <= spec.max;
  if (fits && (spec.kind === 'number' || Number.isSafeInteger(value))) return value;
  const kind = spec.kind === 'integer' ? 'a whole number' : 'a number';
  throw new UsageError(`--${name} is ${kind} from ${spec.min} to ${spec.max}; not '${given}'`);
}

function fallbackOf(spec: FlagSpec): string | number | boolean | string[] | undefined {
  if (spec.kind === 'switch') return false;
  if (spec.kind === 'list') return [];
  return spec.fallback;
}

function checkPositionals(given: readonly string[], names: readonly string[]): void {
  const extra = given[names.length];
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}'`);
  const missing = names[given.length];
  if (missing !== undefined && !missing.startsWith('[')) {
    throw new UsageError(`${missing} is missing`);
  }
}

export interface UsageOptions {
  readonly name: string;
  readonly summary: string;
  readonly flags: FlagSpecs;
  readonly positionals?: readonly string[];
  /** Lines that follow the flags: examples, files, exit status. */
  readonly notes?: readonly string[];
}

/** The text of `hongbao NAME --help`, from the same specs that `parseArgs` reads. */
export function usageOf(options: UsageOptions): string {
  const { name, summary, flags, positionals = [], notes = [] } = options;
  const rows = Object.entries(flags).map(([flag, spec]) => [flagLabel(flag, spec), helpOf(spec)]);
  rows.push(['--help', 'print this text']);
  const head = ['./hongbao', name, ...positionals, '[flags]'].join(' ');
  const more = notes.length === 0 ? [] : ['', ...notes];
  return [`${head}\n\n${summary}.\n`, ...columns(rows), ...more].join('\n') + '\n';
}

/** Two columns, the first as wide as its longest cell. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(0, ...rows.map(([left = '']) => left.length));
  return rows.map(([left = '', right = '']) => `  ${left.padEnd(width)}  ${right}`);
}

function flagLabel(name: string, spec: FlagSpec): string {
  if (spec.kind === 'switch') return `--${name}`;
  if (spec.kind === 'integer' || spec.kind === 'number') return `--${name} N`;
  return `--${name} ${spec.value}`;
}

function helpOf(spec: FlagSpec): string {
  if (spec.kind === 'switch') return spec.help;
  if (spec.kind === 'integer' || spec.kind === 'number') {
    const usual = spec.fallback === undefined ? '' : `, usually ${spec.fallback}`;
    return `${spec.help} (${spec.min} to ${spec.max}${usual})`;
  }
  const choices = spec.choices === undefined ? [] : [spec.choices.join(', ')];
  if (spec.kind === 'list') return withRemarks(spec.help, [...choices, 'may be repeated']);
  const usual = spec.fallback === undefined ? [] : [`usually ${spec.fallback}`];
  return withRemarks(spec.help, [...choices, ...usual]);
}

function withRemarks(help: string, remarks: readonly string[]): string {
  return remarks.length === 0 ? help : `${help} (${remarks.join('; ')})`;
}

/** One measured number; `goal` and `met` come together, from `figure`. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal?: string;
  readonly met?: boolean;
}

export interface FigureOptions {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number };
}

/** Holds a number against its goal; a value that is not a finite number never meets one. */
export function figure({ name, value, unit, goal }: FigureOptions): Figure {
  if (goal === undefined) return { name, value, unit };
  if ('atLeast' in goal) {
    return { name, value, unit, goal: `>= ${goal.atLeast}`, met: value >= goal.atLeast };
  }
  return { name, value, unit, goal: `<= ${goal.atMost}`, met: value <= goal.atMost };
}

/** What a machine reads of a run: `ok` is false when a check failed or a goal was missed. */
export interface Result {
  readonly ok: boolean;
  readonly name: string;
  readonly figures: readonly Figure[];
  readonly conditions: Readonly<Record<string, unknown>>;
}

export interface ResultOptions {
  readonly name: string;
  readonly figures: readonly Figure[];
  readonly conditions: Readonly<Record<string, unknown>>;
  /** Whether everything that was checked holds, goals aside. Usually true. */
  readonly held?: boolean;
}

/** Puts a run's figures together; a missed goal makes it not ok. */
export function resultOf({ name, figures, conditions, held = true }: ResultOptions): Result {
  return { ok: held && figures.every((one) => one.met !== false), name, figures, conditions };
}

/** Prints the result as the last line of standard output (call it last). */
export function printResult(result: Result): void {
  const { ok, name, figures, conditions } = result;
  process.stdout.write(`${JSON.stringify({ ok, name, figures, conditions })}\n`);
}
