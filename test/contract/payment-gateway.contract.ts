import { expect } from 'vitest';
import type { Id } from '../../lib/core/ids.ts';
import { asId } from '../../lib/core/ids.ts';
import type { PaymentResult } from '../../lib/core/payment.ts';
import type { TimeMs } from '../../lib/core/units.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { PaymentGateway, ReceivedCallback } from '../../lib/port/payment-gateway.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export interface GatewayWorld {
  readonly gateway: PaymentGateway;
  /** By the gateway's clock. */
  readonly now: () => TimeMs;
  /** The gateway's side of it: somebody pays or declines, a payout ends. */
  readonly end: (paymentId: Id, result: PaymentResult) => void;
  /** The next payouts stay pending until {@link end}. */
  readonly holdPayouts: () => void;
  /** The callbacks that were sent so far, once there are at least so many. */
  readonly callbacks: (count: number) => Promise<readonly ReceivedCallback[]>;
  /** Signed by the gateway's secret, at this time, with any body. */
  readonly sign: (args: { body: string; at: number; nonce: string }) => ReceivedCallback;
  dispose(): Promise<void>;
}

const A = asId(4_096n);
const B = asId(8_192n);
const AMOUNT = cents(12_34);
const HOUR_MS = 3_600_000;
const AGE_MS = 5 * 60_000;

const checkoutOf = (world: GatewayWorld, paymentId = A) => ({
  paymentId,
  amountCents: AMOUNT,
  dueAt: timeMs(world.now() + HOUR_MS),
});
const payoutOf = (paymentId = A) => ({ paymentId, amountCents: AMOUNT, destination: 'bank-1' });

const CALLBACK = {
  paymentId: String(A),
  result: 'paid',
  amountCents: AMOUNT,
  reference: 'r-1',
  at: 1,
};

const GATEWAY_RULES: readonly Rule<GatewayWorld>[] = [
  {
    id: 'PG1a',
    says: 'a checkout has a page; the same payment asked for again has the same one',
    check: async (world) => {
      const first = await world.gateway.createCheckout(checkoutOf(world));
      expect(first).toMatchObject({ kind: 'open', checkoutUrl: expect.stringMatching(/./) });
      expect(await world.gateway.createCheckout(checkoutOf(world))).toEqual(first);
      expect(await world.gateway.createCheckout(checkoutOf(world, B))).not.toEqual(first);
      expect(await world.gateway.stateOf(A)).toEqual({ kind: 'pending' });
    },
  },
  {
    id: 'PG1b',
    says: 'a payment is one thing: another amount, or a payout of a checkout, is a conflict',
    check: async (world) => {
      const checkout = checkoutOf(world);
      await world.gateway.createCheckout(checkout);
      const more = { ...checkout, amountCents: cents(AMOUNT + 1) };
      expect(await world.gateway.createCheckout(more)).toEqual({ kind: 'conflict' });
      expect(await world.gateway.payOut(payoutOf())).toEqual({ kind: 'conflict' });
      world.end(A, 'paid');
      expect(await world.gateway.stateOf(A)).toMatchObject({ kind: 'paid', amountCents: AMOUNT });
    },
  },
  {
    id: 'PG2a',
    says: 'a payout is done once however often it is asked, and says how it ended',
    check: async (world) => {
      const first = await world.gateway.payOut(payoutOf());
      expect(first).toMatchObject({ kind: 'paid', amountCents: AMOUNT });
      expect(await world.gateway.payOut(payoutOf())).toEqual(first);
      expect(await world.gateway.stateOf(A)).toEqual(first);
    },
  },
  {
    id: 'PG2b',
    says: 'a payout with another amount or destination is a conflict and changes nothing',
    check: async (world) => {
      const first = await world.gateway.payOut(payoutOf());
      const others = [{ amountCents: cents(AMOUNT + 1) }, { destination: 'bank-2' }];
      for (const other of others) {
        expect(await world.gateway.payOut({ ...payoutOf(), ...other })).toEqual({
          kind: 'conflict',
        });
      }
      expect(await world.gateway.payOut(payoutOf())).toEqual(first);
      const again = await world.gateway.createCheckout(checkoutOf(world));
      expect(again).toEqual({ kind: 'conflict' });
    },
  },
  {
    id: 'PG2c',
    says: 'a payout that waits is pending for whoever asks, until it ends',
    check: async (world) => {
      world.holdPayouts();
      expect(await world.gateway.payOut(payoutOf())).toEqual({ kind: 'pending' });
      expect(await world.gateway.payOut(payoutOf())).toEqual({ kind: 'pending' });
      world.end(A, 'denied');
      expect(await world.gateway.payOut(payoutOf())).toMatchObject({ kind: 'denied' });
    },
  },
  {
    id: 'PG3a',
    says: 'a payment that it never heard of is unknown, which is neither paid nor denied',
    check: async ({ gateway }) => {
      expect(await gateway.stateOf(A)).toEqual({ kind: 'unknown' });
    },
  },
  {
    id: 'PG3b',
    says: 'an end is for ever, with amount and reference',
    check: async (world) => {
      await world.gateway.createCheckout(checkoutOf(world));
      world.end(A, 'denied');
      const ended = await world.gateway.stateOf(A);
      expect(ended).toMatchObject({ kind: 'denied', amountCents: AMOUNT });
      world.end(A, 'paid');
      expect(await world.gateway.stateOf(A)).toEqual(ended);
    },
  },
  {
    id: 'PG4a',
    says: 'the callback of an end verifies and says what the gateway itself says',
    check: async (world) => {
      await world.gateway.createCheckout(checkoutOf(world));
      world.end(A, 'paid');
      const [received] = await world.callbacks(1);
      const verdict = world.gateway.verify(received!);
      const state = await world.gateway.stateOf(A);
      if (state.kind !== 'paid') throw new Error('not paid');
      const { amountCents, reference } = state;
      const callback = { paymentId: A, result: 'paid', amountCents, reference };
      expect(verdict).toMatchObject({ ok: true, callback });
    },
  },
  {
    id: 'PG4b',
    says: 'a callback over 5 minutes old, or from so far in the future, is stale',
    check: async (world) => {
      const body = JSON.stringify(CALLBACK);
      const verdicts = [-AGE_MS - 2_000, -AGE_MS + 2_000, AGE_MS - 2_000, AGE_MS + 2_000].map(
        (off, index) => {
          const nonce = `nonce-nonce-nonc-${index}`;
          return world.gateway.verify(world.sign({ body, at: world.now() + off, nonce }));
        },
      );
      expect(verdicts.map((one) => (one.ok ? 'ok' : one.reason))).toEqual([
        'stale',
        'ok',
        'ok',
        'stale',
      ]);
    },
  },
  {
    id: 'PG4c',
    says: 'any change of body, time, nonce or signature is forged',
    check: async (world) => {
      const at = world.now();
      const real = world.sign({ body: JSON.stringify(CALLBACK), at, nonce: 'nonce-nonce-nonce' });
      const changes: Partial<ReceivedCallback>[] = [
        { body: Buffer.from(JSON.stringify({ ...CALLBACK, amountCents: AMOUNT + 1 })) },
        { body: Buffer.concat([real.body, Buffer.from(' ')]) },
        { timestamp: String(at + 1) },
        { nonce: 'nonce-nonce-noncf' },
        { signature: '0'.repeat(64) },
      ];
      for (const change of changes) {
        const verdict = world.gateway.verify({ ...real, ...change });
        expect([change, verdict]).toEqual([change, { ok: false, reason: 'forged' }]);
      }
      expect(world.gateway.verify(real)).toMatchObject({ ok: true });
    },
  },
  {
    id: 'PG4d',
    says: 'a nonce counts once, unless the callback was released',
    check: async (world) => {
      const body = JSON.stringify(CALLBACK);
      const one = world.sign({ body, at: world.now(), nonce: 'nonce-nonce-nonce' });
      const first = world.gateway.verify(one);
      expect(world.gateway.verify(one)).toEqual({ ok: false, reason: 'replayed' });
      if (!first.ok) throw new Error('not taken');
      first.release();
      expect(world.gateway.verify(one)).toMatchObject({ ok: true });
      const other = world.sign({ body, at: world.now() + 1, nonce: 'nonce-nonce-nonce' });
      expect(world.gateway.verify(other)).toEqual({ ok: false, reason: 'replayed' });
    },
  },
  {
    id: 'PG4e',
    says: 'what is no callback is malformed, and nothing throws, however well it is signed',
    check: async (world) => {
      const bodies = [
        '',
        '{',
        'null',
        '[]',
        '\u0000',
        JSON.stringify({ ...CALLBACK, more: 1 }),
        JSON.stringify({ ...CALLBACK, paymentId: Number(A) }),
        JSON.stringify({ ...CALLBACK, paymentId: '0' }),
        JSON.stringify({ ...CALLBACK, paymentId: '9'.repeat(30) }),
        JSON.stringify({ ...CALLBACK, result: 'pending' }),
        JSON.stringify({ ...CALLBACK, amountCents: 1.5 }),
        JSON.stringify({ ...CALLBACK, amountCents: -1 }),
        JSON.stringify({ ...CALLBACK, amountCents: 0 }),
        JSON.stringify({ ...CALLBACK, reference: 'é'.repeat(65) }),
        JSON.stringify({ ...CALLBACK, reference: 'x'.repeat(4_096) }),
      ];
      for (const [index, body] of bodies.entries()) {
        const nonce = `nonce-nonce-${1_000 + index}`;
        const verdict = world.gateway.verify(world.sign({ body, at: world.now(), nonce }));
        expect([body, verdict]).toEqual([body, { ok: false, reason: 'malformed' }]);
      }
      const real = world.sign({ body: JSON.stringify(CALLBACK), at: 1, nonce: 'n'.repeat(16) });
      const shapes = [
        { timestamp: '' },
        { timestamp: '-1' },
        { nonce: 'short' },
        { nonce: 'with a space in it' },
        { signature: '' },
        { signature: real.signature.toUpperCase() },
      ];
      for (const shape of shapes) {
        const verdict = world.gateway.verify({ ...real, ...shape });
        expect([shape, verdict]).toEqual([shape, { ok: false, reason: 'malformed' }]);
      }
    },
  },
];

export function paymentGatewayContract(name: string, make: () => Promise<GatewayWorld>): void {
  runRules(`payment gateway: ${name}`, GATEWAY_RULES, make);
}
