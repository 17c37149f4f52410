import type { Command } from '../../lib/core/command.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { decodeOps, demandReadable } from '../../lib/core/journal-entry.ts';
import { RULES_MAX } from '../../lib/core/rules.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { askAll } from './ask-all.ts';
import type { SetConfig } from '../machine/state.ts';
import { TakeoverFailed } from './takeover.ts';

type Configure = Extract<Command, { type: 'set.configure' }>;

/** The Set was made with another cluster, N, Q or slots than it is started with. Final. */
export class WrongConfiguration extends Error {
  override readonly name = 'WrongConfiguration';
}

type Expected = { readonly setId: SetId; readonly configuration: Configure };

/** Rulings 13, 15. Throws {@link WrongConfiguration}; a Set without any is about to get one. */
export function assertConfiguration(
  { setId, configuration }: Expected,
  found: SetConfig | null,
): void {
  const wrong = found === null ? null : whatIsWrong(configuration, found);
  if (wrong !== null) throw new WrongConfiguration(`Set ${setId} ${wrong}`);
}

function whatIsWrong(wanted: Configure, found: SetConfig): string | null {
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
  if (found.replicas !== wanted.replicas || found.quorum !== wanted.quorum) {
    return `was made with N=${found.replicas}, Q=${found.quorum}`;
  }
  if (!same(found.clusterId, wanted.clusterId)) return 'is of another cluster';
  return same(found.slots, wanted.slots) ? null : 'owns other slots';
}

/**
 * When the adopted chain is known, and before anything is repaired. A chain without the CONFIG that
 * made the Set larger is that of two new replicas: their elder has it, and is away just now.
 */
export function assertAdopted(args: Expected, found: SetConfig | null): void {
  if (found !== null && found.replicas < args.configuration.replicas) {
    throw new TakeoverFailed('the replica that knows of the new configuration does not answer');
  }
  assertConfiguration(args, found);
}

/**
 * The configuration after these entries: that of the last CONFIG among them, or what was before.
 * Throws NodeTooOld when one of them is of rules that this build cannot read.
 */
export function configurationAfter(
  before: SetConfig | null,
  entries: readonly Entry[],
): SetConfig | null {
  let config = before;
  for (const entry of entries) {
    if (entry.kind !== 'CONFIG') continue;
    demandReadable({ ...entry, rules: entry.format, rulesMax: RULES_MAX });
    for (const { command } of decodeOps(entry)) {
      if (command.type === 'set.configure') config = command;
    }
  }
  return config;
}

/**
 * Before anybody is fenced: the journal decides, also above its commit point. A CONFIG that a Set
 * of one replica has stored ends the old configuration there and then; one that only some of three
 * have stored is adopted by their next leader. Throws WrongConfiguration, or TakeoverFailed when a
 * replica that may know better did not answer.
 */
export async function demandConfiguration(
  args: Expected & {
    readonly replicas: readonly ReplicaStore[];
    readonly quorum: number;
    readonly clock: Clock;
    readonly applied: { readonly lsn: Lsn; readonly config: SetConfig | null };
  },
): Promise<void> {
  const { applied, clock, configuration, replicas } = args;
  const { config } = applied;
  if (config === null) return;
  const isRight = whatIsWrong(configuration, config) === null;
  // Three replicas never become one: what lies above changes nothing.
  if (isRight && configuration.replicas > 1) return;
  const tails = await askAll({
    clock,
    calls: replicas.map((store) => readTail(store, applied.lsn)),
    isEnough: () => false,
  });
  let found: SetConfig | null = config;
  for (const tail of tails) found = configurationAfter(found, tail ?? []);
  if (tails.includes(null) && found === config && !isRight) {
    throw new TakeoverFailed('not every replica tells of its configuration');
  }
  assertConfiguration(args, found);
}

/** Entries above a commit point: a batch or a few. */
async function readTail(store: ReplicaStore, after: Lsn): Promise<Entry[]> {
  const tail: Entry[] = [];
  let at = after;
  for (;;) {
    const more = await store.read({ after: at, limitBytes: 1_048_576 });
    const last = more.at(-1);
    if (last === undefined) return tail;
    tail.push(...more.filter(({ kind }) => kind === 'CONFIG'));
    at = last.lsn;
  }
}
