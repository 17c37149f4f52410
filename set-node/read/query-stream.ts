import { DecodeError } from '../../lib/core/bytes.ts';
import type { SetId } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Counter, Metrics } from '../../lib/port/metrics.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { BatchStream, StreamListener } from '../../lib/runtime/stream.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { QueryBatch__Output } from '../../proto/gen/hongbao/QueryBatch.ts';
import type { QueryReply } from '../../proto/gen/hongbao/QueryReply.ts';
import type { QueryReplyBatch } from '../../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Driver } from '../lead/driver.ts';
import type { Engine } from '../lead/engine.ts';
import { readLists } from './lists.ts';
import type { Answer } from './reads.ts';
import { readMemory, refused } from './reads.ts';
import type { ReplicaReads } from './replica-reads.ts';

export type QueryRoom = {
  readonly args: {
    readonly setId: SetId;
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Metrics;
    readonly topologyVersion: () => number;
  };
  readonly engine: Engine;
  /** null: the only node of its Set. */
  readonly reads: ReplicaReads | null;
  readonly counts: ReadCounts;
  /** Streams that want to hear who leads. */
  readonly leaders: Set<() => void>;
};

/** Who answered, and who left it to the leader. */
export class ReadCounts {
  readonly #counter: Counter;
  readonly #set: SetId;

  constructor(args: { metrics: Metrics; setId: SetId }) {
    this.#set = args.setId;
    this.#counter = args.metrics.counter({
      name: 'hongbao_set_reads_total',
      help: 'Questions answered by this node as leader or as standby, or passed on to the leader.',
      labels: ['set', 'role', 'result'],
    });
  }

  add(role: 'leader' | 'standby', result: 'answered' | 'passed_on'): void {
    this.#counter.add(1, { set: this.#set, role, result });
  }
}

/** Answers that wait for an asker who reads slowly: a burst of hellos is some hundreds. */
export const REPLIES_HELD_MAX = 8_192;

/** Questions of one caller: by the leader from memory, by a standby from tables (rulings 16). */
export function serveQueries(
  room: QueryRoom,
  stream: BatchStream<QueryReplyBatch>,
): StreamListener<QueryBatch__Output> {
  const { args, engine, reads, counts, leaders } = room;
  const send = (replies: QueryReply[]): void => {
    const { driver, leaderEpoch } = engine;
    const batch = {
      topologyVersion: args.topologyVersion(),
      setId: args.setId,
      epoch: driver?.epoch ?? 0,
      leaderEpoch,
      replies,
      shownLsn: String(driver === null ? (reads?.shownLsn ?? 0) : 0),
    };
    if (stream.open && !stream.send(batch)) stream.abort('replies are not being read');
  };
  /** Who asks much at once reads as fast as he can: cut off is only who does not read. */
  let held: QueryReply[] = [];
  const flush = (): void => {
    let sent = 0;
    for (const reply of held) {
      if (stream.congested || !stream.open) break;
      send([reply]);
      sent += 1;
    }
    held = sent === held.length ? [] : held.slice(sent);
  };
  const answer = (reply: QueryReply): void => {
    if (held.length === 0 && !stream.congested) return send([reply]);
    held.push(reply);
    if (held.length > REPLIES_HELD_MAX) stream.abort('replies are not being read');
  };
  const tell = (): void => send([]);
  leaders.add(tell);
  reads?.watchers.add(tell);
  args.clock.soon(tell);
  return {
    message: (batch) => {
      const { driver } = engine;
      for (const query of batch.queries) {
        if (driver === null) void follow(room, query).then(answer);
        else {
          counts.add('leader', 'answered');
          void lead({ args, driver, query }).then(answer);
        }
      }
    },
    drained: flush,
    closed: () => {
      held = [];
      leaders.delete(tell);
      reads?.watchers.delete(tell);
    },
  };
}

/** Never rejects: what a standby cannot answer is the leader's. */
async function follow(room: QueryRoom, query: Query__Output): Promise<QueryReply> {
  const { args, reads, counts } = room;
  const { tag } = query;
  try {
    const answer = (await reads?.answer(query)) ?? null;
    counts.add('standby', answer === null ? 'passed_on' : 'answered');
    return { ...(answer ?? refused('set_unavailable')), tag };
  } catch (error) {
    return { ...refusalOf({ args, query, error }), tag };
  }
}

async function lead(on: {
  args: QueryRoom['args'];
  driver: Driver;
  query: Query__Output;
}): Promise<QueryReply> {
  const { args, driver, query } = on;
  const { tag } = query;
  try {
    // Before anything is waited for: what comes meanwhile may not be in it.
    const shown = driver.state.lsn;
    const reply = await leadOnce(on);
    const asOfLsn = reply.asOfLsn ?? String(shown);
    return (await driver.settled())
      ? { ...reply, asOfLsn, tag }
      : { ...refused('set_unavailable'), tag };
  } catch (error) {
    return { ...refusalOf({ args, query, error }), tag };
  }
}

async function leadOnce(on: {
  args: QueryRoom['args'];
  driver: Driver;
  query: Query__Output;
}): Promise<Answer> {
  const { driver, query } = on;
  const { state, seals } = driver;
  if (Number(query.atLsn) > state.lsn) return refused('set_unavailable');
  const now = driver.logTime();
  return readMemory({ state, seals, query, now }) ?? readLists(driver, query);
}

function refusalOf(on: { args: QueryRoom['args']; query: Query__Output; error: unknown }): Answer {
  const { args, query, error } = on;
  if (error instanceof DecodeError) return refused('malformed');
  if (error instanceof StoreError) return refused('set_unavailable');
  args.log.error('query_failed', { set: args.setId, ask: query.ask, reason: String(error) });
  return refused('unknown');
}
