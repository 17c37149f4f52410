import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Id } from '../../../lib/core/ids.ts';
import { succeeded } from '../../../lib/core/outcome.ts';
import type { Trace } from '../trace.ts';
import { hold } from '../trace.ts';
import type { Clients } from './clients.ts';
import type { History } from './history.ts';
import type { SimNode } from './node.ts';

const SESSIONS = 3;
/** One slice of time in so many has a read. */
const SLICES_PER_READ = 3;

/** What somebody knew when he asked: an answer must not show less (I9). */
type Known = {
  /** Everything up to here was announced to somebody. */
  readonly committedLsn: number;
  /** What this session was shown before. */
  readonly shownLsn: number;
  /** The last message of each group that somebody was told of. */
  readonly seqs: ReadonlyMap<Id, number>;
};

/**
 * People who ask a leader what there is (rulings 16): it answers from memory when what it shows is
 * committed, and Q replicas say after the question came that it still leads.
 */
export class Reads {
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #history: History;
  readonly #clients: Clients;
  /** What each session was shown last. */
  readonly #shown: number[] = Array.from({ length: SESSIONS }, () => 0);
  #asked = 0;
  answered = 0;

  /** `chance` is its own: reads draw nothing from the dice of others. */
  constructor(args: { chance: SeededRandom; trace: Trace; history: History; clients: Clients }) {
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#history = args.history;
    this.#clients = args.clients;
  }

  /** Now and then somebody asks one of those who believe that they lead. */
  ask(nodes: readonly SimNode[]): void {
    if (this.#chance.below(SLICES_PER_READ) > 0) return;
    const leading = nodes.filter(({ leads }) => leads);
    const node = leading[this.#chance.below(Math.max(1, leading.length))];
    if (node !== undefined) this.#read(node, this.#chance.below(SESSIONS));
  }

  #read(node: SimNode, session: number): void {
    const number = this.#asked++;
    const known: Known = {
      committedLsn: this.#history.committed.length,
      shownLsn: this.#shown[session] ?? 0,
      seqs: this.#seqsTold(),
    };
    const { driver } = node.engine;
    if (driver === null) return;
    // As set-node/read does it: before anything is waited for.
    const shown = driver.state.lsn;
    const wrong = this.#lessThan(known, {
      shown,
      seqOf: (groupId) => driver.state.groups.get(groupId)?.seq ?? 0,
    });
    void driver.settled().then((isTrue) => {
      if (!isTrue || node.dead) return;
      this.answered += 1;
      this.#trace.note(`${node.name} answers read ${number}: LSN ${shown}`);
      this.#trace.guard(() => hold(wrong === null, `I9 a read of ${node.name} ${wrong}`));
      this.#history.announce(shown, `read ${number}`);
      this.#shown[session] = Math.max(shown, this.#shown[session] ?? 0);
    });
  }

  /** null: all that was known is shown. */
  #lessThan(
    { committedLsn, shownLsn, seqs }: Known,
    found: { shown: number; seqOf: (groupId: Id) => number },
  ): string | null {
    const { shown, seqOf } = found;
    if (shown < committedLsn) return `shows LSN ${shown}, and ${committedLsn} was answered before`;
    if (shown < shownLsn) return `shows LSN ${shown}, and the session has seen ${shownLsn}`;
    for (const [groupId, seq] of seqs) {
      if (seqOf(groupId) < seq)
        return `shows seq ${seqOf(groupId)}, and ${seq} was answered before`;
    }
    return null;
  }

  #seqsTold(): Map<Id, number> {
    const seqs = new Map<Id, number>();
    for (const { command, answers } of this.#clients.wishes) {
      const outcome = answers[0]?.outcome;
      if (command.type !== 'message.send' || outcome === undefined) continue;
      if (!succeeded(outcome) || outcome.type !== command.type) continue;
      seqs.set(command.groupId, Math.max(outcome.seq, seqs.get(command.groupId) ?? 0));
    }
    return seqs;
  }
}
