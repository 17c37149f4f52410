import type { Log } from '../port/log.ts';

/** One thing that a process runs. Each verb may be absent; none may be called twice. */
export type Part = {
  readonly name: string;
  /** Takes nothing new and finishes what it has. */
  drain?(): Promise<void>;
  /** Abandons what is left. */
  stop?(): Promise<void>;
  /** Frees what it holds: files, sockets. */
  close?(): Promise<void>;
};

const VERBS = ['drain', 'stop', 'close'] as const;
type Verb = (typeof VERBS)[number];

/** A part that hangs must not keep the others from ending: these bound each verb of each part. */
const LIMITS_MS: Readonly<Record<Verb, number>> = { drain: 10_000, stop: 3_000, close: 3_000 };

/**
 * What a process started, in order. It ends in the opposite order: all drain, then all stop, then
 * all close, so that nobody is asked by a part that outlives it.
 */
export class Lifecycle {
  readonly #parts: Part[] = [];
  readonly #log: Log;
  readonly #limitsMs: Readonly<Record<Verb, number>>;
  #ending: Promise<boolean> | null = null;

  /** `limitsMs`: how long each part may take for each verb. */
  constructor(args: { log: Log; limitsMs?: Partial<Record<Verb, number>> }) {
    this.#log = args.log;
    this.#limitsMs = { ...LIMITS_MS, ...args.limitsMs };
  }

  get isEnding(): boolean {
    return this.#ending !== null;
  }

  /** Starts a part and remembers it; parts that come later may use it. */
  async start<T extends Part>(make: () => T | Promise<T>): Promise<T> {
    const part = await make();
    this.#parts.push(part);
    return part;
  }

  /** Ends all parts, once. false when one failed or took too long; the others ended all the same. */
  end(): Promise<boolean> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #endAll(): Promise<boolean> {
    let clean = true;
    for (const verb of VERBS) {
      for (const part of this.#parts.toReversed()) {
        if (!(await this.#call(part, verb))) clean = false;
      }
    }
    return clean;
  }

  async #call(part: Part, verb: Verb): Promise<boolean> {
    if (part[verb] === undefined) return true;
    const limitMs = this.#limitsMs[verb];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`took over ${limitMs} ms`)), limitMs);
    });
    try {
      await Promise.race([part[verb](), late]);
      return true;
    } catch (error) {
      this.#log.error('part_failed', { part: part.name, verb, reason: String(error) });
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The part of `process` that is needed here; a test brings its own. */
export type ProcessLike = {
  on(event: string, listener: (...args: never[]) => void): unknown;
  exit(code: number): void;
};

/**
 * SIGTERM or SIGINT ends the parts and exits with 0, or 1 when one failed; a second signal exits at
 * once. A rejection or exception that nobody handles is a bug: one clear line, and exit 1 at once,
 * because a process in an unknown state must not go on with other people's money (P8).
 */
export function guardProcess(args: {
  lifecycle: Lifecycle;
  log: Log;
  process?: ProcessLike;
}): void {
  const { lifecycle, log, process: host = process } = args;
  const onSignal = (signal: string): void => {
    if (lifecycle.isEnding) {
      log.warn('exit_at_once', { signal });
      host.exit(1);
      return;
    }
    log.info('ending', { signal });
    void lifecycle.end().then((clean) => host.exit(clean ? 0 : 1));
  };
  host.on('SIGTERM', () => onSignal('SIGTERM'));
  host.on('SIGINT', () => onSignal('SIGINT'));
  const crash = (event: string) => (error: unknown) => {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error(event, { reason });
    host.exit(1);
  };
  host.on('unhandledRejection', crash('unhandled_rejection'));
  host.on('uncaughtException', crash('uncaught_exception'));
}
