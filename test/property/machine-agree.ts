/** What the two sides of a property say to each other: facts, and that they disagree. */

/** The machine and the model do not agree; the message says on what. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

export function agree(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [show(actual), show(expected)];
  if (a !== b) throw new Disagreement(`${what}: the machine says ${a}, the model says ${b}`);
}

export function show(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? String(each) : each,
  );
}

/** What the test knows of a command besides its bytes. */
export type Facts = {
  readonly ts: number;
  /** Made with the right key for the right person; its age is in the command. */
  readonly genuineGrant: boolean;
  readonly genuineInvite: boolean;
};

export function setOf(id: bigint): number {
  return Number((id / 4096n) % 1024n);
}
