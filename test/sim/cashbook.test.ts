import { describe, expect, test } from 'vitest';
import type { GatewayRecord, ToldPayment } from '../../ops/sim/check/cashbook.ts';
import { Cashbook } from '../../ops/sim/check/cashbook.ts';
import type { Op } from '../../reconciler/audit/decode.ts';

const COMMAND = '019b76da-a800-7000-8000-000000000001';
const NOTHING = { postings: [], sends: [] };
const TOPUP = 11n;
const WITHDRAW = 12n;
const DUE = 900_000;

function topUp(paymentId = TOPUP): Op {
  const command = { commandId: COMMAND, user: 'li', amountCents: 500 };
  const outcome = { status: 'ok', success: { paymentId, dueAt: DUE } };
  return { type: 'wallet.topup', command, outcome, ...NOTHING };
}

function withdraw(): Op {
  const command = { commandId: COMMAND, user: 'wang', amountCents: 200, destination: 'bank' };
  const outcome = { status: 'ok', success: { paymentId: WITHDRAW, balanceCents: 0 } };
  return { type: 'wallet.withdraw', command, outcome, ...NOTHING };
}

function settle(paymentId: bigint, became: 'credited' | 'paid_out' | 'returned'): Op {
  const result = became === 'returned' ? 'denied' : 'paid';
  const amountCents = paymentId === TOPUP ? 500 : 200;
  const command = { paymentId, result, amountCents, reference: '' } as const;
  const success = { became, user: paymentId === TOPUP ? 'li' : 'wang', amountCents };
  const outcome = { status: 'ok', success };
  return { type: 'payment.settle', command, outcome, ...NOTHING };
}

const WELCOME: Op = {
  type: 'wallet.open',
  command: { user: 'li', welcomeCents: 1_000 },
  outcome: { status: 'ok', success: { balanceCents: 1_000, welcomed: true } },
  ...NOTHING,
};
const EXPIRE: Op = {
  type: 'payment.expire',
  command: { paymentId: TOPUP },
  outcome: { status: 'ok', success: {} },
  ...NOTHING,
};
const TAKEN: GatewayRecord = {
  paymentId: TOPUP,
  kind: 'checkout',
  amountCents: 500,
  state: 'paid',
  isTold: true,
};
const PAID_OUT: GatewayRecord = {
  ...TAKEN,
  paymentId: WITHDRAW,
  kind: 'payout',
  amountCents: 200,
};
const TOLD: ToldPayment = {
  user: 'li',
  purpose: 'topup',
  paymentId: '11',
  amountCents: 500,
  dueAt: DUE,
  packetId: null,
};
const JOURNAL = [
  WELCOME,
  topUp(),
  withdraw(),
  settle(TOPUP, 'credited'),
  settle(WITHDRAW, 'paid_out'),
];

function judge(
  ops: readonly Op[],
  said: Partial<Parameters<Cashbook['finish']>[0]> = {},
): () => void {
  const cashbook = new Cashbook();
  cashbook.add(ops);
  const rest = { told: [TOLD], hands: [], isShown: () => false };
  const records = [TAKEN, PAID_OUT];
  return () => cashbook.finish({ records, issuedCents: 1_300, ...rest, ...said });
}

describe('the cashbook', () => {
  test('[M11] agrees with a gateway that moved what the journals say', () => {
    expect(judge(JOURNAL)).not.toThrow();
  });

  test('[M11] sees money that the gateway has and the journals do not', () => {
    const unpaid = [WELCOME, topUp(), withdraw(), EXPIRE, settle(WITHDRAW, 'paid_out')];
    expect(judge(unpaid, { issuedCents: 800 })).toThrow(/^M11 checkout 11 .* here it is expired/);
  });

  test('[M11] sees money that the journals have and the gateway does not', () => {
    const records = [PAID_OUT];
    expect(judge(JOURNAL, { records })).toThrow(/^M11 topup 11 is paid, at the gateway undefined/);
    const pending = { ...TAKEN, state: 'pending' } as const;
    expect(judge(JOURNAL, { records: [pending, PAID_OUT] })).toThrow(/^M11 checkout 11/);
  });

  test('[M11] sees a withdrawal that is back in the wallet and paid out', () => {
    const returned = JOURNAL.with(-1, settle(WITHDRAW, 'returned'));
    expect(judge(returned, { issuedCents: 1_500 })).toThrow(/^M11 payout 12 .* here it is denied/);
  });

  test('[M11] sees an amount that is not the payment’s', () => {
    const records = [{ ...TAKEN, amountCents: 501 }, PAID_OUT];
    expect(judge(JOURNAL, { records })).toThrow(/^M11 checkout 11 of 501 c/);
  });

  test('[M11] sees cents that nobody gave, took or paid out', () => {
    expect(judge(JOURNAL, { issuedCents: 1_301 })).toThrow(/^M11 1301 cents are issued/);
  });

  test('[M11] sees a packet that was shown before somebody paid for it', () => {
    const shape = { packetId: 77n, sender: 'li', totalCents: 500 };
    const paying = {
      type: 'packet.pay',
      command: { commandId: COMMAND, definition: shape, grant: null },
      outcome: { status: 'ok', success: { packetId: 77n, paymentId: TOPUP, dueAt: DUE } },
      ...NOTHING,
    } as unknown as Op;
    const isShown = (packetId: string): boolean => packetId === '77';
    const told = [{ ...TOLD, purpose: 'packet', packetId: '77' } as const];
    const late = JOURNAL.with(1, paying);
    expect(judge(late, { told })).not.toThrow();
    expect(judge(late, { told, isShown })).toThrow(/^M11 packet 77 was shown/);
  });

  test('[M10] sees somebody who was told of another payment', () => {
    expect(judge(JOURNAL, { told: [{ ...TOLD, dueAt: 1 }] })).toThrow(/^M10 li was told/);
    expect(judge(JOURNAL, { told: [{ ...TOLD, paymentId: '13' }] })).toThrow(/^I1 li was told/);
  });

  test('[I1] sees an operator whose hand left no trace', () => {
    expect(judge(JOURNAL, { hands: [`boss ${COMMAND}`] })).toThrow(/^I1 boss/);
  });

  test('says what is not settled yet', () => {
    const cashbook = new Cashbook();
    cashbook.add([WELCOME, topUp(), withdraw()]);
    expect(cashbook.withdrawing).toBe(1);
    expect(cashbook.whyNotSettled([])).toMatch(/^topup 11 is pending/);
    cashbook.add([EXPIRE, settle(WITHDRAW, 'paid_out')]);
    expect(cashbook.withdrawing).toBe(0);
    expect(cashbook.whyNotSettled([TAKEN, PAID_OUT])).toMatch(/moved 500 cents/);
    cashbook.add([settle(TOPUP, 'credited')]);
    expect(cashbook.whyNotSettled([TAKEN, PAID_OUT])).toBeNull();
  });
});
