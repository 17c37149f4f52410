import type { Id } from '../lib/core/ids.ts';
import type { UserId } from '../lib/core/user.ts';
import type { Event } from '../proto/gen/hongbao/Event.ts';
import type { Routed } from './events.ts';

/** One access node's stream: what it wants to hear, and how to send to it. */
export interface Subscriber {
  readonly groups: ReadonlySet<Id>;
  readonly users: ReadonlySet<UserId>;
  send(events: readonly Event[]): void;
}

/** Committed events to the access nodes that want them; packet events go to all (rulings 2, 17). */
export class Publisher {
  readonly #subscribers = new Set<Subscriber>();

  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
  }

  remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  get size(): number {
    return this.#subscribers.size;
  }

  publish(events: readonly Routed[]): void {
    if (events.length === 0) return;
    for (const subscriber of this.#subscribers) {
      const wanted = events.filter((routed) => wants(subscriber, routed)).map(({ event }) => event);
      if (wanted.length > 0) subscriber.send(wanted);
    }
  }
}

function wants(subscriber: Subscriber, { event, groupId, user }: Routed): boolean {
  if (event.packet) return true;
  if (groupId !== null && subscriber.groups.has(groupId)) return true;
  return user !== null && subscriber.users.has(user);
}
