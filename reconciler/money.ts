import type { SetId } from '../lib/core/units.ts';
import type { MoneyAnswer__Output } from '../proto/gen/hongbao/MoneyAnswer.ts';
import type { Router } from '../router/api.ts';

/** Where every cent is, summed over the Sets. All values are whole cents. */
export type Money = {
  readonly walletsCents: number;
  readonly packetsCents: number;
  /** Left one Set and not yet booked in another, or at the gateway: neither wallet nor packet. */
  readonly inFlightCents: number;
  /** Of that: left wallets for the payment gateway, which has not said what became of it. */
  readonly gatewayCents: number;
  /** What `issuer` has given out. */
  readonly issuedCents: number;
  /** In outboxes without a confirmed receipt: at least what is in flight. */
  readonly pendingCents: number;
  readonly pendingTransfers: number;
  /** What is too much or missing; the only healthy value is 0. */
  readonly mismatchCents: number;
  /** The Sets stood still between two looks, so that the figures are of one moment. */
  readonly quiet: boolean;
  /** Sets that did not answer; their money is not in the figures. */
  readonly missing: readonly SetId[];
};

type Look = { readonly of: ReadonlyMap<SetId, MoneyAnswer__Output>; readonly missing: SetId[] };

/**
 * Asks every Set twice. One look sees Sets at different moments; two equal ones are a snapshot
 * (the double collect of Afek et al., "Atomic Snapshots of Shared Memory", 1993).
 */
export async function moneyNow(router: Router): Promise<Money> {
  const first = await look(router);
  const second = await look(router);
  const same = [...second.of].every(([set, now]) => first.of.get(set)?.lsn === now.lsn);
  const quiet = same && first.missing.length === 0 && second.missing.length === 0;
  return sumUp({ answers: [...second.of.values()], missing: second.missing, quiet });
}

async function look(router: Router): Promise<Look> {
  const sets = router.sets();
  const answers = await Promise.all(sets.map((set) => router.query(set, { money: {} })));
  const found = new Map<SetId, MoneyAnswer__Output>();
  const missing: SetId[] = [];
  for (const [index, set] of sets.entries()) {
    const money = answers[index]?.reply?.money;
    if (money === null || money === undefined) missing.push(set);
    else found.set(set, money);
  }
  return { of: found, missing };
}

function sumUp(args: {
  answers: readonly MoneyAnswer__Output[];
  missing: readonly SetId[];
  quiet: boolean;
}): Money {
  const { answers, missing, quiet } = args;
  const sum = (read: (answer: MoneyAnswer__Output) => string | number): number =>
    answers.reduce((total, answer) => total + Number(read(answer)), 0);
  const walletsCents = sum((a) => a.walletsCents);
  const packetsCents = sum((a) => a.packetsCents);
  const inFlightCents = sum((a) => a.clearingCents);
  const gatewayCents = sum((a) => a.gatewayCents);
  const issuedCents = -sum((a) => a.issuerCents) || 0;
  const pendingCents = sum((a) => a.pendingCents);
  const pendingTransfers = sum((a) => a.pendingTransfers);
  const books = Math.abs(walletsCents + packetsCents + inFlightCents - issuedCents);
  const mismatchCents =
    books +
    (quiet
      ? lostOnTheWay({
          betweenSetsCents: inFlightCents - gatewayCents,
          pendingCents,
          pendingTransfers,
        })
      : 0);
  return {
    walletsCents,
    packetsCents,
    inFlightCents,
    gatewayCents,
    issuedCents,
    pendingCents,
    pendingTransfers,
    mismatchCents,
    quiet,
    missing,
  };
}

/**
 * In one moment, 0 <= in flight between Sets <= pending: an outbox entry outlives its booking until the receipt
 * is confirmed. More in flight than pending was confirmed and never booked; less than none was
 * booked twice; and with no entry left nothing is on its way.
 */
function lostOnTheWay(m: {
  betweenSetsCents: number;
  pendingCents: number;
  pendingTransfers: number;
}): number {
  const { betweenSetsCents, pendingCents, pendingTransfers } = m;
  if (pendingTransfers === 0) return Math.abs(betweenSetsCents);
  return Math.max(0, betweenSetsCents - pendingCents) + Math.max(0, -betweenSetsCents);
}
