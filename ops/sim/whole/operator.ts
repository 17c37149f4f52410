import type { Command } from '../../../lib/core/command.ts';
import { makeCommandId } from '../../../lib/core/ids.ts';
import type { Outcome } from '../../../lib/core/outcome.ts';
import { succeeded } from '../../../lib/core/outcome.ts';
import { retryOf } from '../../../lib/core/status.ts';
import { cents } from '../../../lib/core/units.ts';
import type { UserId } from '../../../lib/core/user.ts';
import { parseUserId } from '../../../lib/core/user.ts';
import type { TopologyRouter } from '../../../router/router.ts';
import { SimProcess } from '../process.ts';
import { hold } from '../trace.ts';
import type { Shared } from './shared.ts';
import { routerOf } from './tiers.ts';

/** One of so many ticks begins something. */
const SELDOM = 40;
const FROZEN_MS_MAX = 6_000;
const AGAIN_MS = 300;
const HIS_NAME = 'operator';

type Hand = Extract<Command, { type: 'wallet.freeze' | 'wallet.adjust' }>;

/** Somebody at a router of his own who freezes wallets for a while, and adjusts them. */
export class Operator {
  readonly process: SimProcess;
  /** `operator commandId` of what he was told was done. */
  readonly done: string[] = [];
  readonly #shared: Shared;
  readonly #router: TopologyRouter;
  readonly #users: readonly UserId[];
  readonly #me: UserId;
  /** When they are to be thawed, monotonic ms. */
  readonly #frozen = new Map<UserId, number>();
  #isBusy = false;
  #isOver = false;

  constructor(shared: Shared, users: readonly UserId[]) {
    const me = parseUserId(HIS_NAME);
    if (me === null) throw new Error('not a user id');
    this.#me = me;
    this.#shared = shared;
    this.#users = users;
    this.process = new SimProcess({ name: 'op', clock: shared.clock });
    this.#router = routerOf(this.process, shared);
  }

  /** Now and then something, one thing after another. */
  tick(): void {
    if (this.#isBusy) return;
    const now = this.#shared.clock.monotonicMs();
    for (const [user, untilMs] of this.#frozen) {
      if (untilMs > now && !this.#isOver) continue;
      this.#frozen.delete(user);
      void this.#do(this.#freeze(user, false));
      return;
    }
    const { chance } = this.#shared;
    if (this.#isOver || chance.below(SELDOM) > 0) return;
    const user = this.#users[chance.below(this.#users.length)];
    if (user === undefined) return;
    if (chance.below(2) === 0) {
      this.#frozen.set(user, now + chance.below(FROZEN_MS_MAX));
      void this.#do(this.#freeze(user, true));
    } else void this.#do(this.#adjust(user));
  }

  /** From now on he only undoes. */
  settle(): void {
    this.#isOver = true;
  }

  get settled(): boolean {
    return !this.#isBusy && this.#frozen.size === 0;
  }

  #freeze(user: UserId, frozen: boolean): Hand {
    const reason = frozen ? 'suspicion' : 'cleared';
    return { type: 'wallet.freeze', ...this.#signed(), user, frozen, reason };
  }

  /** A little more or less, now and then more than there is. */
  #adjust(user: UserId): Hand {
    const { chance } = this.#shared;
    const size = 1 + chance.below(chance.below(4) === 0 ? 200_000 : 2_000);
    const amountCents = cents(chance.below(2) === 0 ? size : -size);
    return { type: 'wallet.adjust', ...this.#signed(), user, amountCents, reason: 'a mistake' };
  }

  #signed(): Pick<Hand, 'commandId' | 'operator'> {
    const { clock, chance } = this.#shared;
    return { commandId: makeCommandId(clock.now(), chance.bytes(10)), operator: this.#me };
  }

  /** The same bytes until there is an answer; now and then once more, for the same answer (M9). */
  async #do(command: Hand): Promise<void> {
    this.#isBusy = true;
    const { chance, trace } = this.#shared;
    const first = await this.#answer(command);
    const what = `${command.type} ${command.commandId} of ${command.user}`;
    trace.note(`${HIS_NAME}: ${what}: ${first.status}`);
    // A clock of theirs may be behind ours.
    const isRight =
      succeeded(first) ||
      first.status === 'id_in_future' ||
      (command.type === 'wallet.adjust' && first.status === 'insufficient_funds');
    trace.guard(() => hold(isRight, `C1 ${what} is refused with ${first.status}`));
    // Who could not be thawed is thawed under another id.
    if (command.type === 'wallet.freeze' && !command.frozen && !succeeded(first)) {
      this.#frozen.set(command.user, 0);
    }
    if (succeeded(first)) this.done.push(`${this.#me} ${command.commandId}`);
    if (first.status !== 'id_in_future' && chance.below(3) === 0) {
      const again = await this.#answer(command);
      const isSame = textOf(first) === textOf(again);
      trace.guard(() => hold(isSame, `M9 ${what}: ${textOf(first)}, then ${textOf(again)}`));
    }
    this.#isBusy = false;
  }

  async #answer(command: Hand): Promise<Outcome> {
    const { clock } = this.#shared;
    for (;;) {
      const { outcome } = await this.#router.command(this.#router.homeOf(command.user), command);
      if (succeeded(outcome) || retryOf(outcome.status) === 'final') return outcome;
      await new Promise<void>((resolve) => void clock.after(AGAIN_MS, resolve));
    }
  }
}

function textOf(outcome: Outcome): string {
  return JSON.stringify(outcome);
}
