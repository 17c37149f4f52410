/** What operators see of one wallet: from its home Set, and what is on its way from all others. */
import { LIMITS } from '../lib/core/limits.ts';
import type { SetId } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import type { Router } from '../router/api.ts';

const LINES = 10;

export type WalletFacts = {
  readonly homeSet: SetId;
  readonly exists: boolean;
  readonly frozen: boolean;
  readonly balanceCents: number;
  readonly arrivingCents: number;
  /** Sets whose part of `arrivingCents` is not known. */
  readonly silentSets: number;
  /** Those under way, and those that ended lately. */
  readonly payments: readonly {
    readonly paymentId: string;
    readonly purpose: string;
    readonly amountCents: number;
    readonly state: string;
    readonly reference: string;
  }[];
  /** The newest of the statement. */
  readonly lines: readonly {
    readonly at: number;
    readonly amountCents: number;
    readonly reason: string;
    readonly packetId: string;
  }[];
};

/** Null when the home Set does not answer. */
export async function walletOf(router: Router, user: UserId): Promise<WalletFacts | null> {
  const homeSet = router.homeOf(user);
  const { reply } = await router.query(homeSet, { wallet: { user } });
  const wallet = reply?.wallet ?? null;
  if (reply === null || wallet === null) return null;
  const arriving = await Promise.all(
    router.sets().map(async (set) => {
      const answer = await router.query(set, { arriving: { user } });
      return answer.reply?.arriving ?? null;
    }),
  );
  const ledger = { user, beforeLsn: Number.MAX_SAFE_INTEGER, limit: LINES };
  // The statement comes from tables: it should not be older than the balance above it.
  const statement = await router.query(homeSet, { ledger, atLsn: reply.asOfLsn });
  return {
    homeSet,
    exists: wallet.exists,
    frozen: wallet.frozen,
    balanceCents: Number(wallet.balanceCents),
    arrivingCents: arriving.reduce((sum, one) => sum + Number(one?.arrivingCents ?? 0), 0),
    silentSets: arriving.filter((one) => one === null).length,
    payments: await paymentsOf(router, { homeSet, user }),
    lines: (statement.reply?.ledger?.lines ?? []).map(({ at, amountCents, reason, packetId }) => ({
      at: Number(at),
      amountCents: Number(amountCents),
      reason,
      packetId,
    })),
  };
}

async function paymentsOf(
  router: Router,
  of: { homeSet: SetId; user: UserId },
): Promise<WalletFacts['payments']> {
  const limit = LIMITS.paymentsPageMax;
  const found: WalletFacts['payments'][number][] = [];
  let after = '0';
  for (;;) {
    const asked = { payments: { state: '', after, limit } };
    const { reply } = await router.query(of.homeSet, asked);
    const page = reply?.payments?.payments ?? [];
    for (const { user, paymentId, purpose, amountCents, state, reference } of page) {
      if (user !== of.user) continue;
      found.push({ paymentId, purpose, amountCents: Number(amountCents), state, reference });
    }
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return found;
    after = last.paymentId;
  }
}

/** 1,234 → `12.34`. */
export function textOfCents(amountCents: number): string {
  const size = Math.abs(amountCents);
  const text = `${Math.floor(size / 100)}.${String(size % 100).padStart(2, '0')}`;
  return amountCents < 0 ? `-${text}` : text;
}
