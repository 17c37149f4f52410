import type { Handler } from './door.ts';
import { query } from './door.ts';
import { idOrNull } from './render.ts';

/** A Set that does not answer in this time makes the sum incomplete, not the answer late. */
const ARRIVING_DEADLINE_MS = 1_000;

export const walletGet: Handler<'wallet.get'> = async (door, person) => {
  const { user, home } = person;
  const [wallet, ...arriving] = await Promise.all([
    query(door, { set: home, name: 'wallet', ask: { wallet: { user } }, person }),
    ...door.router.sets().map((set) =>
      query(door, {
        set,
        name: 'arriving',
        ask: { arriving: { user } },
        deadlineMs: ARRIVING_DEADLINE_MS,
        person,
      }),
    ),
  ]);
  if (!wallet.ok) return wallet;
  let arrivingCents = 0;
  for (const one of arriving) if (one.ok) arrivingCents += Number(one.answer.arrivingCents);
  return {
    ok: true,
    d: {
      balanceCents: Number(wallet.answer.balanceCents),
      arrivingCents,
      arrivingComplete: arriving.every((one) => one.ok),
      mark: wallet.mark,
    },
  };
};

export const walletHistory: Handler<'wallet.history'> = async (door, person, input) => {
  const { user, home } = person;
  const beforeLsn = input.beforeLsn ?? Number.MAX_SAFE_INTEGER;
  const ledger = { user, beforeLsn, limit: input.limit };
  const found = await query(door, { set: home, name: 'ledger', ask: { ledger }, person });
  if (!found.ok) return found;
  const entries = found.answer.lines.map((line) => ({
    lsn: Number(line.lsn),
    amountCents: Number(line.amountCents),
    reason: line.reason,
    packetId: idOrNull(line.packetId),
    at: Number(line.at),
  }));
  return { ok: true, d: { entries, asOfLsn: found.asOfLsn } };
};
