import { assert, unreachable } from '../lib/core/assert.ts';
import { toHex, utf8 } from '../lib/core/bytes.ts';
import { SLOT_MAP_BYTES } from '../lib/core/command.ts';
import { sha256 } from '../lib/core/sha256.ts';
import type { SetId } from '../lib/core/units.ts';
import { SET_ID_MAX, setId } from '../lib/core/units.ts';
import { SLOT_COUNT } from '../lib/core/user.ts';

export const SET_STATES = ['active', 'draining', 'masked', 'retired'] as const;
/**
 * `active` takes new things; `draining` and `masked` serve what they have (one on its way out, one
 * for now); `retired` serves nothing, for ever: its number is never used again.
 */
export type SetState = (typeof SET_STATES)[number];

export type TopologySet = {
  readonly id: SetId;
  readonly state: SetState;
  /** Share of new things, 0..100; 0 takes none. */
  readonly weight: number;
  readonly region: string;
  /** By node slot. One of them leads; the others stand by. */
  readonly nodes: readonly TopologyNode[];
  /** Where the replicas live, in the words of their adapter, without passwords. */
  readonly replicas: readonly string[];
};

/** Address of a node's first line, and of its other one or ''. Embedded mode uses symbolic names. */
export type TopologyNode = { readonly primary: string; readonly backup: string };

/** The versioned document that every tier routes by (design 2, rulings 15). */
export type Topology = {
  readonly version: number;
  /** Hash of the version before; 64 zeros for the first. */
  readonly prevHash: string;
  /** SHA-256 of the canonical text of everything else. */
  readonly hash: string;
  /** 32 hex digits. */
  readonly clusterId: string;
  /** In order of number. */
  readonly sets: readonly TopologySet[];
  /** Set number of each of the 1,024 slots. */
  readonly slots: readonly SetId[];
};

/** What one new version may change. Slots do not move (rulings 15: later). */
export type TopologyChange =
  | { kind: 'set.add'; set: TopologySet }
  | { kind: 'set.state'; id: SetId; state: SetState }
  | { kind: 'set.weight'; id: SetId; weight: number }
  | { kind: 'set.nodes'; id: SetId; nodes: readonly TopologyNode[] }
  | { kind: 'set.replicas'; id: SetId; replicas: readonly string[] };

/** A document or a change that may not be used; the message says why. Bad input, not a bug. */
export class TopologyError extends Error {
  override readonly name = 'TopologyError';
}

const WEIGHT_MAX = 100;
const REPLICAS_MAX = 3;
/** One leads; more than a few standbys only read the same journal again. */
const NODES_MAX = 8;
const TEXT_MAX = 256;
const NO_HASH = '0'.repeat(64);

type Body = Omit<Topology, 'hash'>;

/** Deals the slots once over the first Sets of a cluster, in equal contiguous ranges. */
export function firstTopology(args: { clusterId: string; sets: readonly TopologySet[] }): Topology {
  const { clusterId, sets } = args;
  assert(sets.length >= 1 && sets.length <= SLOT_COUNT, 'a cluster starts with 1..1024 Sets');
  const ordered = sets.toSorted((a, b) => a.id - b.id);
  const slots = Array.from({ length: SLOT_COUNT }, (_, slot) => {
    const owner = ordered[Math.floor((slot * ordered.length) / SLOT_COUNT)];
    assert(owner !== undefined, 'every slot has an owner');
    return owner.id;
  });
  return seal({ version: 1, prevHash: NO_HASH, clusterId, sets: ordered, slots });
}

/** The next version. Throws {@link TopologyError} when the change is not allowed. */
export function extend(old: Topology, change: TopologyChange): Topology {
  const sets = changed(old, change).toSorted((a, b) => a.id - b.id);
  const next = seal({ ...old, version: old.version + 1, prevHash: old.hash, sets });
  const reason = whyNotExtends(old, next);
  assert(reason === null, `a change extends: ${reason}`);
  return next;
}

function changed(old: Topology, change: TopologyChange): TopologySet[] {
  const known = (id: SetId): TopologySet => {
    const set = old.sets.find((each) => each.id === id);
    if (set === undefined) throw new TopologyError(`there is no Set ${id}`);
    if (set.state === 'retired') throw new TopologyError(`Set ${id} is retired for ever`);
    return set;
  };
  const replace = (set: TopologySet): TopologySet[] =>
    old.sets.map((each) => (each.id === set.id ? set : each));
  switch (change.kind) {
    case 'set.add':
      if (old.sets.some((each) => each.id === change.set.id)) {
        throw new TopologyError(`Set number ${change.set.id} was used before`);
      }
      return [...old.sets, change.set];
    case 'set.state':
      if (change.state === 'retired' && old.slots.includes(change.id)) {
        throw new TopologyError(`Set ${change.id} owns slots: it cannot retire`);
      }
      return replace({ ...known(change.id), state: change.state });
    case 'set.weight':
      return replace({ ...known(change.id), weight: change.weight });
    case 'set.nodes':
      return replace({ ...known(change.id), nodes: change.nodes });
    case 'set.replicas':
      return replace({ ...known(change.id), replicas: change.replicas });
    default:
      return unreachable(change);
  }
}

/** Why `next` is not the very next version after `old`, or null. What a file and a Set demand. */
export function whyNotExtends(old: Topology, next: Topology): string | null {
  if (next.version !== old.version + 1) {
    return `version ${next.version} does not follow version ${old.version}`;
  }
  if (next.prevHash !== old.hash) return `version ${next.version} was made from another document`;
  return whyNotSuccessor(old, next);
}

/** Why `next` cannot be any later version of `old`, or null. For those who missed some between. */
export function whyNotSuccessor(old: Topology, next: Topology): string | null {
  if (next.clusterId !== old.clusterId) return 'it is of another cluster';
  if (next.version <= old.version) return `version ${next.version} is not newer`;
  if (old.slots.some((owner, slot) => next.slots[slot] !== owner)) return 'a slot has moved';
  for (const set of old.sets) {
    const later = next.sets.find((each) => each.id === set.id);
    if (later === undefined) return `Set ${set.id} is gone`;
    if (set.state === 'retired' && later.state !== 'retired') return `Set ${set.id} was retired`;
  }
  return null;
}

export function ownerOfSlot(topology: Topology, slot: number): SetId {
  const owner = topology.slots[slot];
  assert(owner !== undefined, 'a slot is 0..1023');
  return owner;
}

/** Slots of one Set as its journal stores them: slot s is bit `s & 7` of byte `s >> 3`. */
export function slotBitmap(topology: Topology, set: SetId): Uint8Array {
  const bits = new Uint8Array(SLOT_MAP_BYTES);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    if (topology.slots[slot] !== set) continue;
    bits[slot >> 3] = (bits[slot >> 3] ?? 0) | (1 << (slot & 7));
  }
  return bits;
}

/** The document as people and files see it: slots as runs of [Set number, how many]. */
export function encodeTopology(topology: Topology): string {
  const { hash, ...body } = topology;
  return `${JSON.stringify({ hash, ...plain(body) }, null, 2)}\n`;
}

/** Throws {@link TopologyError} that says what is wrong and where. */
export function parseTopology(text: string): Topology {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TopologyError('the topology is not JSON', { cause: error });
  }
  const root = record(value, 'the topology');
  const sets = list(root['sets'], 'sets').map((set, index) => parseSet(set, `sets[${index}]`));
  const body: Body = {
    version: integer(root['version'], { name: 'version', min: 1, max: Number.MAX_SAFE_INTEGER }),
    prevHash: hex(root['prevHash'], 'prevHash', 64),
    clusterId: hex(root['clusterId'], 'clusterId', 32),
    sets,
    slots: parseSlots(root['slots']),
  };
  const topology = seal(body);
  if (topology.hash !== hex(root['hash'], 'hash', 64)) {
    throw new TopologyError('the topology was changed by hand: its hash does not match');
  }
  return topology;
}

function parseSet(value: unknown, name: string): TopologySet {
  const set = record(value, name);
  const state = SET_STATES.find((each) => each === set['state']);
  if (state === undefined)
    throw new TopologyError(`${name}.state is one of ${SET_STATES.join(', ')}`);
  return {
    id: setId(integer(set['id'], { name: `${name}.id`, min: 0, max: SET_ID_MAX })),
    state,
    weight: integer(set['weight'], { name: `${name}.weight`, min: 0, max: WEIGHT_MAX }),
    region: words(set['region'], `${name}.region`),
    nodes: list(set['nodes'], `${name}.nodes`).map((each, slot) =>
      parseNode(each, `${name}.nodes[${slot}]`),
    ),
    replicas: list(set['replicas'], `${name}.replicas`).map((each) =>
      words(each, `${name}.replicas`),
    ),
  };
}

function parseNode(value: unknown, name: string): TopologyNode {
  const node = record(value, name);
  return {
    primary: words(node['primary'], `${name}.primary`),
    backup: words(node['backup'], `${name}.backup`),
  };
}

function parseSlots(value: unknown): SetId[] {
  const slots: SetId[] = [];
  for (const run of list(value, 'slots')) {
    const [id, count] = list(run, 'a run of slots');
    const owner = setId(integer(id, { name: 'a slot owner', min: 0, max: SET_ID_MAX }));
    const length = integer(count, { name: 'a run length', min: 1, max: SLOT_COUNT });
    if (slots.length + length > SLOT_COUNT) break;
    for (let index = 0; index < length; index++) slots.push(owner);
  }
  if (slots.length !== SLOT_COUNT) throw new TopologyError('the runs do not cover 1,024 slots');
  return slots;
}

/** Checks what must hold of any version and adds its hash. */
function seal(body: Body): Topology {
  const { clusterId, prevHash, sets, slots, version } = body;
  const known = new Map(sets.map((set) => [set.id, set]));
  if (known.size !== sets.length) throw new TopologyError('two Sets have one number');
  for (const set of sets) {
    if (!Number.isInteger(set.weight) || set.weight < 0 || set.weight > WEIGHT_MAX) {
      throw new TopologyError(`the weight of Set ${set.id} is 0..${WEIGHT_MAX}`);
    }
    if (set.replicas.length > REPLICAS_MAX) {
      throw new TopologyError(`Set ${set.id} has at most ${REPLICAS_MAX} replicas`);
    }
    if (set.nodes.length < 1 || set.nodes.length > NODES_MAX) {
      throw new TopologyError(`Set ${set.id} has 1..${NODES_MAX} nodes`);
    }
  }
  for (const owner of new Set(slots)) {
    const state = known.get(owner)?.state;
    if (state === undefined)
      throw new TopologyError(`slots belong to Set ${owner}, which is missing`);
    if (state === 'retired') throw new TopologyError(`slots belong to the retired Set ${owner}`);
  }
  const exact: Body = { version, prevHash, clusterId, sets, slots };
  return { ...exact, hash: toHex(sha256(utf8(JSON.stringify(plain(exact))))) };
}

/** Keys in the order of the alphabet: the text of one document is always the same. */
function plain(body: Body): Record<string, unknown> {
  return {
    clusterId: body.clusterId,
    prevHash: body.prevHash,
    sets: body.sets.map((set) => ({
      id: set.id,
      nodes: set.nodes.map(({ backup, primary }) => ({ backup, primary })),
      region: set.region,
      replicas: set.replicas,
      state: set.state,
      weight: set.weight,
    })),
    slots: runs(body.slots),
    version: body.version,
  };
}

function runs(slots: readonly SetId[]): [SetId, number][] {
  const result: [SetId, number][] = [];
  for (const owner of slots) {
    const last = result.at(-1);
    if (last !== undefined && last[0] === owner) last[1] += 1;
    else result.push([owner, 1]);
  }
  return result;
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TopologyError(`${name} is an object`);
  }
  return value as Record<string, unknown>;
}

function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw new TopologyError(`${name} is a list`);
  return value;
}

function integer(value: unknown, range: { name: string; min: number; max: number }): number {
  const fits = typeof value === 'number' && Number.isSafeInteger(value);
  if (!fits || value < range.min || value > range.max) {
    throw new TopologyError(`${range.name} is a whole number, ${range.min}..${range.max}`);
  }
  return value;
}

function hex(value: unknown, name: string, digits: number): string {
  if (typeof value !== 'string' || value.length !== digits || !/^[0-9a-f]*$/.test(value)) {
    throw new TopologyError(`${name} is ${digits} hex digits`);
  }
  return value;
}

function words(value: unknown, name: string): string {
  if (typeof value !== 'string' || value.length > TEXT_MAX) {
    throw new TopologyError(`${name} is text of at most ${TEXT_MAX} characters`);
  }
  return value;
}
