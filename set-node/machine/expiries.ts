import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import type { TimeMs } from '../../lib/core/units.ts';
import { dueAtOf } from './payments.ts';
import type { SetState } from './state.ts';

/** A packet or a payment: their ids come from one sequence of this Set, so that none is both. */
type Due = { readonly id: Id; readonly at: TimeMs };

/** What its leader ends by log time: a binary heap, rebuilt from the state after a takeover. */
export class Expiries {
  readonly #state: SetState;
  readonly #heap: Due[] = [];

  constructor(state: SetState) {
    this.#state = state;
    for (const packetId of state.packets.keys()) this.#addPacket(packetId);
    for (const { paymentId } of state.payments.values()) this.#addPayment(paymentId);
  }

  /** Notes what a command that was just applied began; what was not due yet is still owed. */
  note(args: { command: Command; outcome: Outcome; effects: boolean }): void {
    const { command, outcome, effects } = args;
    if (outcome.status === 'packet_not_due') {
      // The clock stepped back meanwhile.
      if (command.type === 'packet.expire') this.#addPacket(command.packetId);
      if (command.type === 'payment.expire') this.#addPayment(command.paymentId);
    } else if (effects && command.type === 'transfer.deliver') {
      for (const transfer of command.transfers) {
        if (transfer.kind === 'packet.create') this.#addPacket(transfer.definition.packetId);
      }
    } else if (effects && succeeded(outcome)) {
      const isPayment = outcome.type === 'wallet.topup' || outcome.type === 'packet.pay';
      if (isPayment) this.#addPayment(outcome.paymentId);
    }
  }

  /** Removes what is due at log time `ts`, the earliest first, and returns how to end it. */
  commandsDue(ts: TimeMs): Command[] {
    return this.#due(ts).flatMap((id): Command[] => {
      if (this.#state.packets.get(id)?.end === null)
        return [{ type: 'packet.expire', packetId: id }];
      const isPending = this.#state.payments.get(id)?.end === null;
      return isPending ? [{ type: 'payment.expire', paymentId: id }] : [];
    });
  }

  #addPacket(packetId: Id): void {
    const packet = this.#state.packets.get(packetId);
    if (packet?.end === null) this.#add({ id: packetId, at: packet.expiresAt });
  }

  #addPayment(paymentId: Id): void {
    const payment = this.#state.payments.get(paymentId);
    if (payment === undefined || payment.end !== null) return;
    const at = dueAtOf(payment);
    if (at !== null) this.#add({ id: paymentId, at });
  }

  #add(item: Due): void {
    const heap = this.#heap;
    let index = heap.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= item.at) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = item;
  }

  /** At most 1,000 a call. */
  #due(ts: TimeMs): Id[] {
    const ids: Id[] = [];
    while (ids.length < 1_000) {
      const first = this.#heap[0];
      if (first === undefined || first.at > ts) break;
      ids.push(first.id);
      this.#removeFirst();
    }
    return ids;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = heap[index * 2 + 1];
      const right = heap[index * 2 + 2];
      const child = right !== undefined && left !== undefined && right.at < left.at ? 2 : 1;
      const below = child === 2 ? right : left;
      if (below === undefined || below.at >= last.at) break;
      heap[index] = below;
      index = index * 2 + child;
    }
    heap[index] = last;
  }
}
