/** A bug in our own code: the process must not go on with the state it has. Never used for bad input. */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed';
}

/** Stays on in production: money depends on it. Throws {@link AssertionFailed} when `condition` is falsy. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** Ends a switch over a closed union: a new tag does not compile. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${String(value)}`);
}
