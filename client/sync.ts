import { fullJitterMs, sleep } from './backoff.ts';
import { HongbaoError } from './errors.ts';
import type { Platform } from './platform.ts';
import type { Hello, Inputs, Message, Outputs } from './protocol.ts';
import { GroupStream } from './stream.ts';
import type { SeqRange } from './stream.ts';

/** Rulings 18: marks in one hello or ping. */
const MARKS_MAX = 200;
const PULL_PAGE = 100;
/** A longer absence is not replayed message by message: the application reads history instead. */
const PULL_MESSAGES_MAX = 1_000;
/** A read may be stale (R=1), so an empty answer is asked for again before it is believed. */
const EMPTY_PULLS_MAX = 6;

export type SyncOptions = {
  readonly platform: Platform;
  readonly history: (d: Inputs['message.history']) => Promise<Outputs['message.history']>;
  readonly deliver: (message: Message) => void;
  /** Messages that will not be delivered: read the history of that range. */
  readonly gap: (gap: { groupId: string; fromSeq: number; toSeq: number }) => void;
};

/** Keeps every group in order over pushes, lost pushes and reconnects. */
export class Sync {
  readonly #options: SyncOptions;
  /** In order of last use, so that the marks that are sent are those of the liveliest groups. */
  readonly #streams = new Map<string, GroupStream>();
  readonly #pulling = new Set<string>();
  #stopped = false;

  constructor(options: SyncOptions) {
    this.#options = options;
  }

  /** group → last seq handed out; at most 200. */
  marks(): Record<string, number> {
    const latest = [...this.#streams].slice(-MARKS_MAX);
    return Object.fromEntries(latest.map(([groupId, stream]) => [groupId, stream.known]));
  }

  /** A session began, first or again. */
  greeted(hello: Hello): void {
    const present = new Set(hello.groups.map((group) => group.groupId));
    for (const groupId of [...this.#streams.keys()]) {
      if (!present.has(groupId)) this.#streams.delete(groupId);
    }
    const begun = new Set(this.#streams.keys());
    for (const group of hello.groups) this.follow(group.groupId, group.lastSeq);
    for (const message of hello.missed) {
      if (begun.has(message.groupId)) this.accept(message);
    }
    for (const group of hello.groups) {
      if (begun.has(group.groupId)) this.behind(group.groupId, group.lastSeq);
    }
  }

  /** Begins with what comes after `lastSeq`; does nothing when the group is followed already. */
  follow(groupId: string, lastSeq: number): void {
    if (!this.#streams.has(groupId)) this.#streams.set(groupId, new GroupStream(lastSeq));
  }

  forget(groupId: string): void {
    this.#streams.delete(groupId);
  }

  accept(message: Message): void {
    const { groupId } = message;
    // A group that nobody told us of begins here: we have just become a member.
    const stream = this.#streams.get(groupId) ?? new GroupStream(message.seq - 1);
    this.#streams.delete(groupId);
    this.#streams.set(groupId, stream);
    this.#deliver(stream.accept(message));
    this.#pull(groupId);
  }

  behind(groupId: string, lastSeq: number): void {
    this.#streams.get(groupId)?.aim(lastSeq);
    this.#pull(groupId);
  }

  stop(): void {
    this.#stopped = true;
    this.#streams.clear();
  }

  #deliver(messages: readonly Message[]): void {
    for (const message of messages) this.#options.deliver(message);
  }

  #pull(groupId: string): void {
    if (this.#pulling.has(groupId) || this.#hole(groupId) === null) return;
    this.#pulling.add(groupId);
    void this.#fill(groupId).finally(() => {
      this.#pulling.delete(groupId);
      // What was said while the last page was on its way.
      if (!this.#stopped) this.#pull(groupId);
    });
  }

  #hole(groupId: string): SeqRange | null {
    return this.#streams.get(groupId)?.missing() ?? null;
  }

  /** One pull at a time per group. Never rejects; ends with no hole, or with a reported gap. */
  async #fill(groupId: string): Promise<void> {
    const { platform } = this.#options;
    let empty = 0;
    for (;;) {
      const stream = this.#streams.get(groupId);
      const hole = stream?.missing() ?? null;
      if (stream === undefined || hole === null) return;
      const surplus = hole.to - hole.from + 1 - PULL_MESSAGES_MAX;
      if (surplus > 0) {
        this.#giveUp(stream, { groupId, from: hole.from, to: hole.from + surplus - 1 });
        continue;
      }
      const found = await this.#page(groupId, hole);
      if (this.#stopped || this.#streams.get(groupId) !== stream) return;
      if (found !== null && found.length > 0) {
        const before = stream.known;
        for (const message of found) this.#deliver(stream.accept(message));
        if (stream.known > before) {
          empty = 0;
          continue;
        }
      }
      empty += 1;
      if (found === null || empty >= EMPTY_PULLS_MAX) {
        this.#giveUp(stream, { groupId, ...hole });
        return;
      }
      await sleep(platform, fullJitterMs({ attempt: empty, random: platform.random(), minMs: 50 }));
    }
  }

  /** null: there will be no answer (not a member any more, the client was closed). */
  async #page(groupId: string, hole: SeqRange): Promise<Message[] | null> {
    const { from: fromSeq, to: toSeq } = hole;
    const limit = Math.min(PULL_PAGE, toSeq - fromSeq + 1);
    try {
      const { messages } = await this.#options.history({ groupId, fromSeq, toSeq, limit });
      return messages.toSorted((a, b) => a.seq - b.seq);
    } catch (error) {
      if (error instanceof HongbaoError) return error.final ? null : [];
      throw error;
    }
  }

  #giveUp(stream: GroupStream, gap: SeqRange & { groupId: string }): void {
    const ready = stream.skipTo(gap.to);
    this.#options.gap({ groupId: gap.groupId, fromSeq: gap.from, toSeq: gap.to });
    this.#deliver(ready);
  }
}
