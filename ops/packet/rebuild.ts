/** A packet rebuilt from its owner's journal, and what its revealed seed must have given. */
import type { Definition } from '../../reconciler/audit/parts.ts';
import { SHARE_RULES, seedHashOf, sha256, shareOf } from '../../reconciler/audit/shares.ts';
import type { Change } from './changes.ts';

const SEED_BYTES = 32;

export type RebuiltClaim = {
  readonly user: string;
  readonly order: number;
  readonly amountCents: number;
  readonly at: number;
  /** What its own entry said was left. */
  readonly left: number;
};

/** The packet after the steps that were applied. */
export type Rebuilt = {
  readonly definition: Definition;
  readonly seedHash: string;
  readonly announcedHash: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly claims: RebuiltClaim[];
  phase: 'live' | 'drained' | 'refunded';
  /** Cents that are still in it. */
  restCents: number;
  refundCents: number;
  endedAt: number;
  /** Empty until the end reveals it. */
  seed: Uint8Array;
};

/** Applies a change; null before the first create. What cannot follow is said to `wrong`. */
export function applyChange(
  packet: Rebuilt | null,
  change: Change,
  wrong: (what: string) => void,
): Rebuilt | null {
  if (change.kind === 'create') {
    if (packet !== null) wrong('M7 it was created a second time');
    const { definition, seedHash, announcedHash, at } = change;
    return {
      definition,
      seedHash,
      announcedHash,
      createdAt: at,
      expiresAt: at + definition.lifetimeMs,
      claims: [],
      phase: 'live',
      restCents: definition.totalCents,
      refundCents: 0,
      endedAt: 0,
      seed: new Uint8Array(0),
    };
  }
  if (packet === null) {
    wrong(`M7 ${change.kind} before it was created`);
    return null;
  }
  if (packet.phase !== 'live') wrong(`M7 ${change.kind} after its end`);
  if (change.kind === 'open') {
    const { user, order, amountCents, at, left, seed } = change;
    packet.claims.push({ user, order, amountCents, at, left });
    packet.restCents -= amountCents;
    if (at >= packet.expiresAt) wrong(`M6 share ${order} was opened after the expiry`);
    if (left === 0) end(packet, { phase: 'drained', at, seed });
    else if (seed.length > 0) wrong('A7 the seed is shown before the end');
  } else {
    const { refundCents, at, seed } = change;
    if (at < packet.expiresAt) wrong('M7 it expired before its time');
    packet.refundCents = refundCents;
    packet.restCents -= refundCents;
    end(packet, { phase: 'refunded', at, seed });
  }
  return packet;
}

function end(
  packet: Rebuilt,
  args: { phase: 'drained' | 'refunded'; at: number; seed: Uint8Array },
): void {
  packet.phase = args.phase;
  packet.endedAt = args.at;
  packet.seed = args.seed;
}

/** What the journal says of it up to an LSN; null when it was not created by then. */
export function rebuild(
  steps: readonly { readonly lsn: number; readonly change: Change | null }[],
  args: { readonly throughLsn: number; readonly wrong: (what: string) => void },
): Rebuilt | null {
  let packet: Rebuilt | null = null;
  for (const { lsn, change } of steps) {
    if (change === null || lsn > args.throughLsn) continue;
    packet = applyChange(packet, change, args.wrong);
  }
  return packet;
}

/**
 * Everything that must hold of a packet by its own words, and of an ended one every share from the
 * revealed seed (SPEC M4, M5, A1 to A7): the broken rules, first ones first; none: it is as promised.
 */
export function faultsOf(packet: Rebuilt): string[] {
  const faults: string[] = [];
  const wrong = (what: string): void => void faults.push(what);
  const { definition, claims, phase, restCents } = packet;
  const { totalCents, count } = definition;
  if (packet.announcedHash !== packet.seedHash) {
    wrong('A7 the group was told another seed hash than the one of its receipt');
  }
  for (const [index, { user, order, amountCents, left }] of claims.entries()) {
    if (order !== index + 1) wrong(`M5 place ${index + 1} (${user}) has order ${order}`);
    if (left !== count - order) wrong(`M4 share ${order}: ${left} left of ${count}`);
    if (amountCents < 1) wrong(`M4 share ${order} (${user}) is ${amountCents} cents`);
  }
  if (new Set(claims.map(({ user }) => user)).size !== claims.length) {
    wrong('M5 somebody has two shares');
  }
  if (definition.kind === 'exclusive') {
    const strangers = claims.filter(({ user }) => !definition.receivers.includes(user));
    for (const { user } of strangers) wrong(`M6 it is not for ${user}`);
  }
  if (phase === 'live') {
    if (restCents < count - claims.length) wrong(`M4 ${restCents} cents stay for the others`);
    return faults;
  }
  if (restCents !== 0) wrong(`M4 claims and refund are ${totalCents - restCents} of ${totalCents}`);
  if (phase === 'drained' && claims.length !== count) {
    wrong(`M4 drained after ${claims.length} of ${count} shares`);
  }
  return [...faults, ...seedFaults(packet)];
}

function seedFaults({ definition, seedHash, seed, claims }: Rebuilt): string[] {
  const { packetId, strategy, totalCents, count } = definition;
  if (seed.length !== SEED_BYTES) return ['A7 its end shows no seed'];
  const faults: string[] = [];
  const definitionHash = sha256(definition.bytes);
  if (seedHashOf({ packetId, definitionHash, seed }) !== seedHash) {
    faults.push('A7 seed and definition are not those of the seed hash that was published');
  }
  let remaining = totalCents;
  for (const [index, { user, amountCents }] of claims.entries()) {
    const order = index + 1;
    const left = count - index;
    // A share that takes too much leaves nothing to compute the next ones from.
    if (left < 1 || remaining < left) break;
    const due = shareOf({ strategy, seed, order, remaining, left });
    if (amountCents !== due) {
      faults.push(
        `${SHARE_RULES[strategy]} share ${order} (${user}): ${amountCents} cents, not ${due}`,
      );
    }
    remaining -= amountCents;
  }
  return faults;
}
