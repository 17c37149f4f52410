import type { SetId } from '../lib/core/units.ts';
import type { Timer } from '../lib/port/clock.ts';
import type { BatchStream } from '../lib/runtime/stream.ts';
import type { EventBatch__Output } from '../proto/gen/hongbao/EventBatch.ts';
import type { EventInterest } from '../proto/gen/hongbao/EventInterest.ts';
import type { EventListener } from './api.ts';
import { Backoff } from './backoff.ts';
import type { ChannelPorts } from './channel.ts';
import type { SetNodes } from './nodes.ts';
import { standingOf } from './wire.ts';
import { wireNumber } from './wire-number.ts';

const EVENT_LIMITS = {
  /** Heartbeats come each second at least (rulings 17): three missing ones are a dead stream. */
  silenceMs: 3_000,
  /** Where another node may take over: heartbeats come twice a second. */
  silenceAmongNodesMs: 1_500,
  checkMs: 200,
  /** Names in one message of interest: with 64-byte users it stays below 300 KiB. */
  interestItemsMax: 4_096,
} as const;

/** Groups or users, with what has changed since the Set was last told. */
class Interest {
  readonly all = new Set<string>();
  readonly #added = new Set<string>();
  readonly #removed = new Set<string>();

  /** true when the Set has to be told. */
  add(name: string): boolean {
    if (this.all.has(name)) return false;
    this.all.add(name);
    if (!this.#removed.delete(name)) this.#added.add(name);
    return true;
  }

  remove(name: string): boolean {
    if (!this.all.delete(name)) return false;
    if (!this.#added.delete(name)) this.#removed.add(name);
    return true;
  }

  takeChanges(): { added: string[]; removed: string[] } {
    const changes = { added: [...this.#added], removed: [...this.#removed] };
    this.#added.clear();
    this.#removed.clear();
    return changes;
  }
}

/**
 * The ordered, numbered event stream of one Set (rulings 17). Interest is told again after every
 * reconnect; a hole in the numbers or silence makes a new stream. `gap` is called when the Set has
 * echoed the interest, each message of it by an empty batch: what is asked for then misses nothing.
 */
export class EventLine {
  readonly #set: SetId;
  readonly #ports: ChannelPorts;
  readonly #nodes: SetNodes;
  readonly #topologyVersion: () => number;
  readonly #listener: EventListener;
  readonly #groups = new Interest();
  readonly #users = new Interest();
  readonly #backoff: Backoff;
  readonly #check: Timer;
  #timer: Timer | null = null;
  #stream: BatchStream<EventInterest> | null = null;
  /** The node of the current stream, and since when it has not led. */
  #slot = 0;
  #parkedAt = 0;
  #leads = false;
  /** Left on purpose: the next stream follows at once. */
  #leaving = false;
  #up = false;
  #closed = false;
  #telling = false;
  #heardAt = 0;
  /** null until the first batch of a stream. */
  #expected: number | null = null;
  #epoch: string | null = null;
  /** Something may have been missed since the listener last knew all. */
  #owesGap = false;
  /** Messages of interest of this stream that the Set has not echoed. */
  #echoesDue = 0;

  constructor(args: {
    set: SetId;
    ports: ChannelPorts;
    nodes: SetNodes;
    topologyVersion: () => number;
    listener: EventListener;
  }) {
    this.#set = args.set;
    this.#ports = args.ports;
    this.#nodes = args.nodes;
    this.#topologyVersion = args.topologyVersion;
    this.#listener = args.listener;
    this.#backoff = new Backoff({ random: args.ports.random, firstMs: 50, lastMs: 2_000 });
    this.#heardAt = args.ports.clock.monotonicMs();
    this.#check = args.ports.clock.every(EVENT_LIMITS.checkMs, () => this.#checkSilence());
    this.#open();
  }

  get isUp(): boolean {
    return this.#up;
  }

  watchGroup(groupId: string): void {
    if (this.#groups.add(groupId)) this.#tellSoon();
  }

  unwatchGroup(groupId: string): void {
    if (this.#groups.remove(groupId)) this.#tellSoon();
  }

  watchUser(user: string): void {
    if (this.#users.add(user)) this.#tellSoon();
  }

  unwatchUser(user: string): void {
    if (this.#users.remove(user)) this.#tellSoon();
  }

  close(): void {
    this.#closed = true;
    this.#check.cancel();
    this.#timer?.cancel();
    this.#stream?.abort('router closes');
  }

  #open(): void {
    // An attempt that is never taken ends by silence, like a stream that goes quiet.
    this.#heardAt = this.#ports.clock.monotonicMs();
    this.#parkedAt = this.#heardAt;
    this.#slot = this.#nodes.pick();
    const stream = this.#nodes.client(this.#slot).events({
      opened: () => {
        this.#up = true;
        this.#expected = null;
        this.#echoesDue = 0;
        this.#heardAt = this.#ports.clock.monotonicMs();
        if (this.#groups.all.size + this.#users.all.size > 0) this.#owesGap = true;
        this.#tellAll();
      },
      message: (batch) => this.#receive(batch),
      // More of it may have been waiting for room.
      drained: () => this.#tellSoon(),
      closed: (reason) => this.#lost(reason),
    });
    if (stream.open) this.#stream = stream;
  }

  #lost(reason: string | null): void {
    const { clock, log } = this.#ports;
    this.#stream = null;
    const left = this.#leaving;
    this.#leaving = false;
    if (this.#closed) return;
    if (!left) this.#nodes.lost(this.#slot);
    if (this.#leads) {
      this.#owesGap = true;
      log.warn('events_lost', { set: this.#set, node: this.#slot, reason });
    }
    this.#up = false;
    this.#leads = false;
    if (left) this.#open();
    else this.#timer = clock.after(this.#backoff.next(), () => this.#open());
  }

  #receive(batch: EventBatch__Output): void {
    this.#heardAt = this.#ports.clock.monotonicMs();
    const first = wireNumber(batch.firstNumber);
    if (batch.setId !== this.#set) return this.#break(`Set ${batch.setId} sends events`);
    if (this.#expected !== null && first !== this.#expected)
      return this.#break('events are missing');
    this.#lookAtLeader(batch);
    const count = batch.events.length + batch.walletCount;
    this.#expected = first + count;
    this.#backoff.reset();
    if (count > 0) {
      this.#listener.events(batch);
      return;
    }
    // A heartbeat that comes between counts as an echo: the pull that clients do covers that second.
    if (this.#echoesDue > 0) this.#echoesDue -= 1;
    // A node that does not lead has heard our interest too; what it knows of is old.
    if (!this.#owesGap || this.#echoesDue > 0 || !this.#leads) return;
    this.#owesGap = false;
    this.#listener.gap(this.#set);
  }

  /** The line follows the leader; a new epoch may have begun with events that nobody told us. */
  #lookAtLeader(batch: EventBatch__Output): void {
    const now = this.#ports.clock.monotonicMs();
    const led = this.#leads;
    this.#leads = this.#nodes.heard(this.#slot, standingOf(batch));
    if (led && !this.#leads) [this.#owesGap, this.#parkedAt] = [true, now];
    if (!this.#leads) return this.#leaveForBetter();
    if (this.#epoch !== null && batch.epoch !== this.#epoch) this.#owesGap = true;
    this.#epoch = batch.epoch;
  }

  #leaveForBetter(): void {
    if (this.#stream === null || this.#leaving) return;
    if (!this.#nodes.isBetter(this.#slot, this.#parkedAt)) return;
    this.#leaving = true;
    this.#stream.abort('it does not lead');
  }

  #break(reason: string): void {
    this.#owesGap = true;
    this.#stream?.abort(reason);
  }

  #checkSilence(): void {
    const silentMs = this.#ports.clock.monotonicMs() - this.#heardAt;
    const { silenceMs, silenceAmongNodesMs } = EVENT_LIMITS;
    const patienceMs = this.#nodes.count > 1 ? silenceAmongNodesMs : silenceMs;
    if (this.#stream !== null && silentMs >= patienceMs) return this.#break('silence');
    // Another stream of the Set may have heard of a newer leader.
    const newest = this.#nodes.leaderEpoch;
    if (this.#leads && this.#epoch !== null && newest > wireNumber(this.#epoch)) {
      [this.#leads, this.#owesGap] = [false, true];
    }
    if (this.#up && !this.#leads) this.#leaveForBetter();
  }

  #tellSoon(): void {
    if (this.#telling || !this.#up) return;
    this.#telling = true;
    this.#ports.clock.soon(() => {
      this.#telling = false;
      if (!this.#up) return;
      const groups = this.#groups.takeChanges();
      const users = this.#users.takeChanges();
      this.#tell({
        addGroups: groups.added,
        removeGroups: groups.removed,
        addUsers: users.added,
        removeUsers: users.removed,
      });
    });
  }

  /** At least one message, also when nothing is of interest: its echo is the Set's first word. */
  #tellAll(): void {
    this.#groups.takeChanges();
    this.#users.takeChanges();
    const all = { addGroups: [...this.#groups.all], addUsers: [...this.#users.all] };
    if (all.addGroups.length + all.addUsers.length === 0) this.#send({});
    this.#tell(all);
  }

  #tell(names: Readonly<Record<string, readonly string[]>>): void {
    const { interestItemsMax } = EVENT_LIMITS;
    const longest = Math.max(...Object.values(names).map((list) => list.length));
    for (let at = 0; at < longest; at += interestItemsMax) {
      const part = ([field, list]: [string, readonly string[]]): [string, string[]] => [
        field,
        list.slice(at, at + interestItemsMax),
      ];
      this.#send(Object.fromEntries(Object.entries(names).map(part)));
    }
  }

  #send(interest: EventInterest): void {
    this.#echoesDue += 1;
    const sent = this.#stream?.send({ ...interest, topologyVersion: this.#topologyVersion() });
    // A Set that does not take in what is of interest gets all of it again, on a new stream.
    if (sent === false) this.#break('interest was not taken');
  }
}
