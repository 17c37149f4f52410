import { DecodeError, Reader } from '../../../lib/core/bytes.ts';
import type { Command } from '../../../lib/core/command.ts';
import type { Grant } from '../../../lib/core/grant.ts';
import { readGrant } from '../../../lib/core/grant.ts';
import type { CommandId, Id } from '../../../lib/core/ids.ts';
import { asId, makeCommandId, setOfId } from '../../../lib/core/ids.ts';
import type { Outcome, Success } from '../../../lib/core/outcome.ts';
import { succeeded } from '../../../lib/core/outcome.ts';
import { retryOf } from '../../../lib/core/status.ts';
import type { SetId } from '../../../lib/core/units.ts';
import { cents, timeMs } from '../../../lib/core/units.ts';
import type { UserId } from '../../../lib/core/user.ts';
import { parseUserId } from '../../../lib/core/user.ts';
import type { Random } from '../../../lib/port/random.ts';
import type { CommandAnswer, Router } from '../../../router/api.ts';
import { pause } from '../member.ts';
import type { Doubt, History } from './history.ts';

/** A grant lives 60 s at the Set: renewed long before, so that one that cannot be is no trouble yet. */
const GRANT_USED_MS = 25_000;
/** Between two tries: doubling, so that thousands who wait do not starve those who would serve. */
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 500;
const ASKED_AT_ONCE = 20;
/** A command that has no final answer after this long never gets one. */
const FINAL_WITHIN_MS = 60_000;
/** Waits below the router's own answer for a Set in doubt (rulings 16b). */
const DEADLINE_MS = 5_000;

export type Person = { readonly user: UserId; grant: Grant | null; grantAt: number };

/** What a client hears of one asking. */
export type Asked = {
  readonly answer: CommandAnswer;
  /** Answers before the final one. */
  readonly doubts: readonly Doubt[];
};

/** People of one group, and how they ask: as an access node does for them. */
export class People {
  readonly router: Router;
  readonly all: readonly Person[];
  readonly history: History;
  readonly #random: Random;
  groupId: Id = asId(0n);
  #stopped = false;

  constructor(args: { router: Router; history: History; random: Random; count: number }) {
    this.router = args.router;
    this.history = args.history;
    this.#random = args.random;
    this.all = Array.from({ length: args.count }, (_, index) => {
      const user = parseUserId(`member-${index + 1}`);
      if (user === null) throw new Error('a member has a name');
      return { user, grant: null, grantAt: 0 };
    });
  }

  /** No more retries: what has no final answer stays without one. */
  stop(): void {
    this.#stopped = true;
  }

  /** Wallets with money, one group, everybody in it with a grant. */
  async gather(): Promise<void> {
    const { history } = this;
    await this.#each(async ({ user }) => {
      const welcomeCents = cents(history.welcomeCents);
      await this.need(this.router.homeOf(user), { type: 'wallet.open', user, welcomeCents });
      history.people.push(user);
    });
    const [owner, ...others] = this.all;
    if (owner === undefined) throw new Error('nobody is here');
    const groupId = await this.newId(owner.user);
    this.groupId = groupId;
    const commandId = this.newCommandId();
    const { user } = owner;
    const founding = { commandId, user, groupId, name: 'proof', history: 'all' } as const;
    await this.need(this.router.homeOf(user), { type: 'group.create', ...founding });
    const invite = await this.#invite(owner);
    await this.#each(async (one) => {
      await this.need(setOfId(groupId), { type: 'group.join', user: one.user, invite });
    }, others);
    await this.#each((one) => this.renew(one));
  }

  /** Sends the same bytes until the answer is final. Rejects when that takes too long or all stops. */
  async ask(set: SetId, command: Command): Promise<Asked> {
    const doubts: Doubt[] = [];
    const { recorder } = this.history;
    const endMs = this.history.now() + FINAL_WITHIN_MS;
    for (;;) {
      const operation = recorder.invoke(invocationOf(command));
      const answer = await this.router.command(set, command, { deadlineMs: DEADLINE_MS });
      const { outcome } = answer;
      const ok = succeeded(outcome);
      recorder.end(operation, outcome.status === 'unknown' ? null : { ok, ...plainOf(outcome) });
      if (ok) return { answer, doubts };
      // An old grant is the one refusal that other bytes cure: the caller renews it.
      if (retryOf(outcome.status) === 'final' || outcome.status === 'grant_expired') {
        return { answer, doubts };
      }
      doubts.push({ code: outcome.status, atMs: this.history.now() });
      if (this.#stopped || this.history.now() > endMs) {
        throw new Error(`${command.type}: no final answer, last ${outcome.status}`);
      }
      await pause(this.#retryMs(doubts.length));
    }
  }

  /** {@link ask}; the answer has to be yes. */
  async need<T extends Command['type']>(
    set: SetId,
    command: Extract<Command, { type: T }>,
  ): Promise<Extract<Success, { type: T }>> {
    const { outcome } = (await this.ask(set, command)).answer;
    if (!succeeded(outcome)) throw new Error(`${command.type} was refused: ${outcome.status}`);
    // An outcome has the type of its command: `decodeOutcome` reads it by that.
    return outcome as unknown as Extract<Success, { type: T }>;
  }

  /** A grant that the Set still takes; renewed when it is old and the Set answers. */
  async grantOf(person: Person): Promise<Grant> {
    const isOld = this.history.now() - person.grantAt > GRANT_USED_MS;
    if (person.grant === null || isOld) await this.renew(person);
    if (person.grant === null) throw new Error(`${person.user} has no grant`);
    return person.grant;
  }

  /** Asks once when there is a grant, for ever when there is none. */
  async renew(person: Person): Promise<void> {
    const { groupId } = this;
    const membership = { user: person.user, groupIds: [String(groupId)] };
    const endMs = this.history.now() + FINAL_WITHIN_MS;
    while (!this.#stopped) {
      const asked = this.history.now();
      const { reply } = await this.router.query(setOfId(groupId), { membership });
      const grant = readWhole(reply?.membership?.memberships[0]?.grant);
      if (grant !== null) {
        person.grant = grant;
        person.grantAt = asked;
        return;
      }
      if (person.grant !== null) return;
      if (asked > endMs) throw new Error(`${person.user} gets no grant`);
      await pause(this.#retryMs(0));
    }
  }

  async newId(user: UserId): Promise<Id> {
    const set = this.router.place(user);
    if (set === null) throw new Error('no Set takes new things');
    const endMs = this.history.now() + FINAL_WITHIN_MS;
    while (!this.#stopped && this.history.now() < endMs) {
      const id = await this.router.takeId(set);
      if (id !== null) return id;
      await pause(RETRY_MS_MIN);
    }
    throw new Error('no id');
  }

  newCommandId(): CommandId {
    return makeCommandId(timeMs(Date.now()), this.#random.bytes(10));
  }

  #retryMs(tries: number): number {
    const ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** tries);
    return ms / 2 + this.#random.below(ms);
  }

  /** The group arrives by the courier: asked until it is there. */
  async #invite(owner: Person) {
    const ask = {
      invite: { user: owner.user, groupId: String(this.groupId), lifetimeMs: '3600000' },
    };
    const endMs = this.history.now() + FINAL_WITHIN_MS;
    while (!this.#stopped && this.history.now() < endMs) {
      const { reply } = await this.router.query(setOfId(this.groupId), ask);
      const invite = reply?.invite;
      if (invite !== null && invite !== undefined) {
        return {
          groupId: this.groupId,
          inviter: owner.user,
          expiresAt: timeMs(Number(invite.expiresAt)),
          mac: new Uint8Array(invite.mac),
        };
      }
      await pause(RETRY_MS_MIN);
    }
    throw new Error('the group does not arrive');
  }

  async #each(
    run: (person: Person) => Promise<void>,
    people: readonly Person[] = this.all,
  ): Promise<void> {
    const waiting = [...people];
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await run(next);
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, work));
  }
}

/** What is kept of a command: small, and without the grant, which changes between tries. */
function invocationOf(command: Command): { user: string; op: string; input: unknown } {
  const { type: op } = command;
  if (command.type === 'packet.open') {
    return { user: command.user, op, input: { packetId: String(command.packetId) } };
  }
  if (command.type === 'packet.send') {
    const { packetId, sender, totalCents, count } = command.definition;
    return { user: sender, op, input: { packetId: String(packetId), totalCents, count } };
  }
  return { user: 'user' in command ? command.user : '', op, input: null };
}

/** What an answer promises for ever. */
function plainOf(outcome: Outcome): object {
  if (!succeeded(outcome)) return { status: outcome.status };
  if (outcome.type !== 'packet.open') return {};
  const { amountCents, order, at } = outcome;
  return { amountCents, order, at };
}

function readWhole(bytes: Uint8Array | undefined): Grant | null {
  if (bytes === undefined || bytes.length === 0) return null;
  const reader = new Reader(new Uint8Array(bytes));
  const grant = readGrant(reader);
  reader.end();
  if (grant === null) throw new DecodeError('a member has a grant');
  return grant;
}
