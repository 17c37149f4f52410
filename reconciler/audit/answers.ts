import type { Place } from './place.ts';

/** SPEC C3: a command id may be stamped so far ahead of log time. */
const AHEAD_MS_MAX = 5 * 60_000;

/** What the journal says of a command with an id. */
export type Answer = {
  readonly type:
    | 'packet.send'
    | 'group.create'
    | 'group.leave'
    | 'message.send'
    | 'packet.pay'
    | 'wallet.topup'
    | 'wallet.withdraw'
    | 'wallet.freeze'
    | 'wallet.adjust';
  readonly user: string;
  readonly commandId: string;
  /** `ok`, or a refusal that is remembered. */
  readonly status: string;
  /** The packet, group or payment that it was about; 0 for none. */
  readonly about: bigint;
  /** Of the message; 0 for the others. */
  readonly seq: number;
  /** Text of the message, greeting of the packet, name of the group. */
  readonly words: string;
  readonly lsn: number;
  /** Log time of its entry. */
  readonly at: number;
};

/** What M9 needs of an answer. */
type Done = Pick<Answer, 'type' | 'status' | 'lsn' | 'at'>;

export type AnswersDump = ReadonlyMap<string, Done>;

/** Every command id stands in a journal once (M9). */
export class Answers {
  #byKey = new Map<string, Done>();
  /** null: what was said is not kept, which is most of an answer. */
  readonly #whole: Map<string, Answer> | null;

  constructor({ whole }: { whole: boolean }) {
    this.#whole = whole ? new Map() : null;
  }

  dump(): AnswersDump {
    return this.#byKey;
  }

  restore(dump: AnswersDump): void {
    this.#byKey = new Map(dump);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Those from before this log time leave memory: a repeat of one is not seen any more. */
  forget(before: number): void {
    // In the order in which they were added, and log time does not fall.
    for (const [key, { at }] of this.#byKey) {
      if (at >= before) return;
      this.#byKey.delete(key);
      this.#whole?.delete(key);
    }
  }

  /** undefined also where only M9 is held. */
  get(key: { user: string; commandId: string }): Answer | undefined {
    return this.#whole?.get(key.commandId + key.user);
  }

  add(answer: Omit<Answer, 'lsn' | 'at'>, place: Place): void {
    const { type, user, commandId } = answer;
    // Ids have one length, so that the pair is one text only.
    const key = commandId + user;
    const earlier = this.#byKey.get(key);
    if (earlier !== undefined) {
      const first = `${earlier.type} ${earlier.status} at LSN ${earlier.lsn}`;
      throw place.broken('M9', `${type} ${commandId} of ${user} is done again, after ${first}`);
    }
    const stampedAt = Number.parseInt(commandId.slice(0, 8) + commandId.slice(9, 13), 16);
    if (stampedAt > place.ts + AHEAD_MS_MAX) {
      throw place.broken('C3', `${type} ${commandId} of ${user} is stamped in the future`);
    }
    const { status } = answer;
    const { lsn, ts: at } = place;
    this.#byKey.set(key, { type, status, lsn, at });
    this.#whole?.set(key, { ...answer, lsn, at });
  }
}
