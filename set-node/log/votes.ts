import type { TakeOverReply } from '../../lib/port/replica-store.ts';

type Promised = Extract<TakeOverReply, { kind: 'promised' }>;
export type Reply = { readonly replica: number; readonly reply: Promised };

/** What replies to one fence say together. */
export type Votes = {
  readonly promised: readonly Reply[];
  /** P0, P3b: the newest incarnation, and the proof of no restart. */
  readonly proved: readonly Reply[];
  /** Newest incarnation known of every replica. */
  readonly incarnations: number[];
};

export function votesOf(replies: readonly (TakeOverReply | null)[]): Votes {
  const promised = replies.flatMap((reply, replica) =>
    reply?.kind === 'promised' ? [{ replica, reply }] : [],
  );
  const incarnations = newestIncarnations(replies.length, promised);
  const proved = promised.filter((one) => one.reply.proved && isNewest(one, incarnations));
  return { promised, proved, incarnations };
}

export function isNewest({ replica, reply }: Reply, incarnations: readonly number[]): boolean {
  return reply.incarnation >= (incarnations[replica] ?? 0);
}

function newestIncarnations(count: number, promised: readonly Reply[]): number[] {
  return Array.from({ length: count }, (_, replica) =>
    Math.max(
      0,
      ...promised.map(({ replica: of, reply }) =>
        Math.max(reply.incarnations[replica] ?? 0, of === replica ? reply.incarnation : 0),
      ),
    ),
  );
}
