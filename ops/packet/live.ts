/** The leader's own word on a packet, when it runs. */
import { setId } from '../../lib/core/units.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { UsageError } from '../cli.ts';
import { connectTo } from '../running.ts';
import type { LeaderView } from './compare.ts';

const ANSWER_WITHIN_MS = 3_000;
const CLAIMS_MAX = 100;

/** Where the cluster listens: a topology document, or an embedded server's data directory. */
export type Where = { readonly topology: string | undefined; readonly data: string };

/** null: no server runs there. */
export async function connectToLeaders(where: Where): Promise<TopologyRouter | null> {
  return connectTo(where).catch((error: unknown) => {
    if (error instanceof UsageError) return null;
    throw error;
  });
}

/** Asks as the sender, who may see everything. null: no leader answers. */
export async function askLeader(args: {
  router: TopologyRouter;
  set: number;
  packetId: bigint;
  sender: string;
}): Promise<LeaderView | null> {
  const { router, packetId, sender } = args;
  const set = setId(args.set);
  const asked = { user: sender, packetId: String(packetId), grant: new Uint8Array() };
  const options = { deadlineMs: ANSWER_WITHIN_MS };
  const first = await router.query(set, { packet: asked }, options);
  const packet = first.reply?.packet;
  if (first.status !== 'ok' || !packet) return null;
  const claims = { ...asked, afterOrder: 0, limit: CLAIMS_MAX };
  const second = await router.query(set, { claims }, options);
  const list = second.reply?.claims;
  if (second.status !== 'ok' || !list) return null;
  return { asOfLsn: Number(first.reply?.asOfLsn), packet, claims: list };
}
