import { assert } from '../../lib/core/assert.ts';
import { Writer } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { rulesOf } from '../../lib/core/command.ts';
import type { Entry, EntryKind, Sha256Function } from '../../lib/core/journal-entry.ts';
import { seal, writeOp } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import type { Epoch, Lsn } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Findings, World } from './context.ts';
import type { Routed } from './events.ts';
import { eventsOf, packetEvent } from './events.ts';
import { execute } from './machine.ts';
import type { Message } from './messages.ts';
import { messagesOf } from './messages.ts';
import type { SetState } from './state.ts';

/** What the leader writes into every entry of its epoch. */
export type Stamp = {
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  readonly commitLsn: Lsn;
  readonly acked: readonly [Lsn, Lsn, Lsn];
};

/** What becomes known when the batch is committed. */
export type Batch = {
  readonly entry: Entry;
  readonly events: Routed[];
  /** The newest state of packets that somebody opened and that go on: told now and then. */
  readonly progress: ReadonlyMap<Id, Routed>;
  readonly messages: Message[];
  readonly sends: boolean;
};

/**
 * Gathers commands into ONE entry: stamps, decides, applies, encodes (design 3). Pure but for the
 * state it changes: a leader that cannot commit the entry throws the state away.
 */
export class Batcher {
  readonly #state: SetState;
  readonly #hash: Sha256Function;
  #prev: Uint8Array;
  /** The Set's rules before this batch: a CONFIG that raises them is still written in the old ones. */
  #rules: number;
  readonly #payload = new Writer(LIMITS.batchBytesMax / 8);
  #opCount = 0;
  #events: Routed[] = [];
  #progress = new Set<Id>();
  #messages: Message[] = [];
  #sends = false;

  constructor(args: { state: SetState; prev: Uint8Array; hash: Sha256Function }) {
    this.#state = args.state;
    this.#prev = args.prev;
    this.#rules = args.state.rules;
    this.#hash = args.hash;
  }

  /** Checksum of the last entry sealed. */
  get prev(): Uint8Array {
    return this.#prev;
  }

  get opCount(): number {
    return this.#opCount;
  }

  get isFull(): boolean {
    return (
      this.#opCount >= LIMITS.batchOpsMax ||
      this.#payload.length + 4 * LIMITS.commandBytesMax > LIMITS.batchBytesMax
    );
  }

  /** Decides one command in log time `world.ts`. True when it became part of the batch. */
  add(args: { bytes: Uint8Array; command: Command; found: Findings; world: World }): {
    outcome: Outcome;
    effects: boolean;
  } {
    const { bytes, command, world } = args;
    const state = this.#state;
    const place = { lsn: lsn(state.lsn + 1), ts: world.ts };
    const { outcome, postings, sends, effects } = execute({ ...args, state, place });
    if (!effects) return { outcome, effects };
    assert(rulesOf(command) <= this.#rules, 'an entry holds no command of later rules');
    writeOp(this.#payload, { command: bytes, outcome, postings, sends });
    this.#opCount += 1;
    if (sends.length > 0) this.#sends = true;
    const isProgress = outcome.type === 'packet.open' && 'left' in outcome && outcome.left > 0;
    if (isProgress && command.type === 'packet.open') {
      // The most frequent op by far says nothing by itself.
      this.#progress.add(command.packetId);
    } else {
      const op = { command, outcome, postings, sends };
      this.#events.push(...eventsOf({ state, op, lsn: place.lsn, ts: place.ts }));
      this.#messages.push(...messagesOf(op, world.ts));
    }
    return { outcome, effects };
  }

  /** Closes the batch as the next entry. The state now stands at its LSN. */
  seal(args: { kind: EntryKind; stamp: Stamp; ts: World['ts'] }): Batch {
    const { kind, stamp, ts } = args;
    const state = this.#state;
    assert(kind !== 'OPS' || this.#opCount > 0, 'no empty entry is written');
    assert(ts >= state.ts, 'rulings 7: log time never falls');
    const head = {
      setId: state.setId,
      lsn: lsn(state.lsn + 1),
      epoch: stamp.epoch,
      leaderId: stamp.owner,
      kind,
      prev: this.#prev,
      ts,
      commitLsn: stamp.commitLsn,
      acked: stamp.acked,
      format: this.#rules,
      opCount: this.#opCount,
      money: state.money(),
    };
    const entry = seal({ head, payload: this.#payload.finish(), hash: this.#hash });
    state.lsn = entry.lsn;
    state.ts = ts;
    this.#prev = entry.sum;
    this.#rules = state.rules;
    const progress = new Map<Id, Routed>();
    for (const packetId of this.#progress) {
      const packet = state.packets.get(packetId);
      if (packet === undefined || packet.end !== null) continue;
      progress.set(packetId, packetEvent({ packet, phase: 'progress', lsn: entry.lsn, ts }));
    }
    const batch = {
      entry,
      events: this.#events,
      progress,
      messages: this.#messages,
      sends: this.#sends,
    };
    this.#payload.reset();
    this.#opCount = 0;
    this.#events = [];
    this.#progress = new Set();
    this.#messages = [];
    this.#sends = false;
    return batch;
  }
}
