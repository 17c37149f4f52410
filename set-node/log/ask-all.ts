import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import { StoreError } from '../../lib/port/replica-store.ts';

/** What is still on its way when enough have answered gets this long: nobody waits for the dead. */
const GRACE_MS = 100;

/**
 * Asks all at once: the answers in order, null for whoever failed or was late. Goes on when all have
 * answered, or 100 ms after `isEnough` of the answers so far held. What comes later is not heard.
 * Rejects with what is no StoreError: a bug, or damage that the caller must see.
 */
export function askAll<T>(args: {
  calls: readonly Promise<T>[];
  isEnough: (answers: readonly (T | null)[]) => boolean;
  clock: Clock;
  onError?: (index: number, error: StoreError) => void;
}): Promise<(T | null)[]> {
  const { calls, isEnough, clock, onError } = args;
  const answers: (T | null)[] = calls.map(() => null);
  let open = calls.length;
  let waiting = false;
  return new Promise((resolve, reject) => {
    const done = (): void => resolve([...answers]);
    const settle = (): void => {
      open -= 1;
      if (open === 0) return done();
      if (waiting || !isEnough(answers)) return;
      waiting = true;
      clock.after(GRACE_MS, done);
    };
    if (open === 0) done();
    for (const [index, call] of calls.entries()) {
      call.then(
        (answer) => {
          answers[index] = answer;
          settle();
        },
        (error: unknown) => {
          if (!(error instanceof StoreError)) return reject(asError(error));
          onError?.(index, error);
          settle();
        },
      );
    }
  });
}

/**
 * The answer of `call`, or StoreError `unavailable` after `ms`: for a reader who has somebody else
 * to ask. A write that is late may still be done.
 */
export function within<T>(args: { clock: Clock; ms: number; call: Promise<T> }): Promise<T> {
  const { clock, ms, call } = args;
  return new Promise((resolve, reject) => {
    const late = clock.after(ms, () => {
      reject(new StoreError('unavailable', `no answer within ${ms} ms`));
    });
    call.then(resolve, (error: unknown) => reject(asError(error))).finally(() => late.cancel());
  });
}

/** Resolves when `done` does, or the grace after `enough` does. */
export async function doneOrEnough(args: {
  clock: Clock;
  done: Promise<void>;
  enough: Promise<void>;
}): Promise<void> {
  const { clock, done, enough } = args;
  await Promise.race([done, enough.then(() => sleep(clock, GRACE_MS))]);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
