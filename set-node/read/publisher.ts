import type { WalletEvent } from '../../lib/core/batch.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Event } from '../../proto/gen/hongbao/Event.ts';
import type { Routed, RoutedEvent } from '../machine/events.ts';

/** One access node's stream: what it wants to hear, and how to send to it. */
export interface Subscriber {
  readonly groups: ReadonlySet<Id>;
  readonly users: ReadonlySet<UserId>;
  send(news: News): void;
}

/** Committed events of one turn; the wallets stand behind the others. */
export type News = { readonly events: readonly Event[]; readonly wallets: readonly WalletEvent[] };

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
      const news = newsFor(subscriber, events);
      if (news.events.length + news.wallets.length > 0) subscriber.send(news);
    }
  }
}

function newsFor(subscriber: Subscriber, all: readonly Routed[]): News {
  const events: Event[] = [];
  const wallets: WalletEvent[] = [];
  for (const routed of all) {
    if (routed.kind === 'event') {
      if (wants(subscriber, routed)) events.push(routed.event);
    } else if (subscriber.users.has(routed.user)) wallets.push(routed.wallet);
  }
  return { events, wallets };
}

function wants(subscriber: Subscriber, { event, groupId, user }: RoutedEvent): boolean {
  if (event.packet) return true;
  if (groupId !== null && subscriber.groups.has(groupId)) return true;
  return user !== null && subscriber.users.has(user);
}
