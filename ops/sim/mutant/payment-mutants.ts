import type { Mutant, Patch } from './mutant.ts';

const DECIDE = 'set-node/machine/decide-payment.ts';
const APPLY = 'set-node/machine/apply-payment.ts';
const PAYMENTS = 'set-node/machine/payments.ts';

/** What these need is a night behind some payments, not a crowd. */
const SHORT = 600;

/** Where our own assertion would see a second end first. */
const ENDS_AGAIN: Patch = {
  file: PAYMENTS,
  find: `    assert(payment.end === null || isLate, 'M11: a payment ends once');`,
  replace: `    assert(payment.end === null || isLate || end.kind !== 'expired', 'it ends again');`,
};

/** An ended payment in memory is told what it was told before. */
const REPEATED = `    return withoutEffects(settled(command, owner, end.became));`;

/** Late money of an expired payment. */
const LATE = `  if (end !== null || terms === null) return settleExpired({ state, command, owner });`;

/**
 * Simpler rules about money that comes from and goes to a payment gateway, each as somebody would
 * have written it who believed in it. Assertions of ours that would see it first say the same.
 */
export const PAYMENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'callback-repeated-pays-again',
    what: 'whatever a callback says was paid is credited, however often it says so',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: DECIDE,
        find: REPEATED,
        replace: `    if (end.became === 'credited') return credit({ state, command, owner });
${REPEATED}`,
      },
      ENDS_AGAIN,
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'forgotten-payment-pays-again',
    what: 'a payment that has left memory is looked up for its owner, not for how it ended',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: DECIDE,
        find: `  if (earlier.state === 'expired') return settleExpired({ state, command, owner });`,
        replace: `  const isPaid = earlier.state === 'paid' && earlier.purpose === 'topup';
  if (earlier.state === 'expired' || isPaid) return settleExpired({ state, command, owner });`,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'amount-not-compared',
    what: 'the gateway knows best how much was paid',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: DECIDE,
        find: `  if (command.amountCents !== payment.amountCents) return refused(command, 'amount_mismatch');`,
        replace: ``,
      },
      {
        file: APPLY,
        find: `  assert(payment.amountCents === amountCents, 'M11: a payment is settled whole');`,
        replace: ``,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'late-money-dropped',
    what: 'who pays when it is too late has not paid',
    source: 'adr 9',
    world: 'whole',
    ops: SHORT,
    patches: [
      {
        file: DECIDE,
        find: `  if (command.result === 'paid') return credit(args);`,
        replace: ``,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'late-money-sends-too',
    what: 'a packet that is paid too late is sent all the same, and its money is in the wallet',
    source: 'adr 9',
    world: 'whole',
    ops: SHORT,
    patches: [
      {
        file: DECIDE,
        find: LATE,
        replace: `  if (end !== null && terms?.purpose === 'packet' && command.result === 'paid') {
    const { definition } = terms;
    const home = setOfId(definition.packetId);
    const transfer = { kind: 'packet.create', definition, sentAt: world.ts } as const;
    const outcome = settled(command, owner, 'credited');
    const { amountCents } = command;
    const postings = [issuer(-amountCents), wallet(owner, amountCents)];
    return done({ outcome, postings, sends: [outgoing(state, { to: home, transfer })] });
  }
${LATE}`,
      },
    ],
    rule: /^M(11|2|8) /,
    seed: 1,
  },
  {
    name: 'withdrawal-denied-is-gone',
    what: 'money that has left for the gateway has left, whatever the gateway says',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: DECIDE,
        find: `    const back = isPaid ? issuer(command.amountCents) : wallet(owner, command.amountCents);`,
        replace: `    const back = issuer(command.amountCents);`,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'withdrawal-returned-twice',
    what: 'a denied withdrawal goes back as often as it is denied',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: DECIDE,
        find: REPEATED,
        replace: `    if (end.became === 'returned') {
      const { amountCents } = command;
      const postings = [issuer(-amountCents), wallet(owner, amountCents)];
      return done({ outcome: settled(command, owner, 'returned'), postings });
    }
${REPEATED}`,
      },
      ENDS_AGAIN,
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'withdrawal-given-up',
    what: 'a gateway that does not answer has not paid: the money goes back to the wallet',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: 'reconciler/payments.ts',
        find: `        this.#metrics.retries.add(1, { step: 'gateway', reason: reply.kind });
        return;`,
        replace: `        if (held.purpose !== 'withdraw') return;
        return this.#settle(held, { kind: 'denied', amountCents, reference: 'no answer' });`,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'packet-live-before-paid',
    what: 'a packet whose payment has begun is sent at once, and settled with its callback',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: DECIDE,
        find: `  return done({ outcome: { type, status: 'ok', packetId, paymentId, dueAt: due(world) } });`,
        replace: `  const home = setOfId(packetId);
  const transfer = { kind: 'packet.create', definition, sentAt: world.ts } as const;
  return done({
    outcome: { type, status: 'ok', packetId, paymentId, dueAt: due(world) },
    postings: [issuer(-totalCents), clearing(home, totalCents)],
    sends: [outgoing(state, { to: home, transfer })],
  });`,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'expiry-of-what-is-paid',
    what: 'a payment that falls due expires, without a look at whether it was paid',
    source: 'adr 9',
    world: 'whole',
    ops: SHORT,
    patches: [
      {
        file: DECIDE,
        find: `  if (payment.end !== null) return refused(command, 'payment_ended');`,
        replace: ``,
      },
      {
        file: 'set-node/machine/expiries.ts',
        find: `      const isPending = this.#state.payments.get(id)?.end === null;`,
        replace: `      const isPending = this.#state.payments.get(id) !== undefined;`,
      },
      {
        file: PAYMENTS,
        find: `    assert(payment.end === null || isLate, 'M11: a payment ends once');`,
        replace: ``,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'frozen-wallet-sends',
    what: 'freezing stops payments; what is in the wallet already may be sent',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: 'set-node/machine/decide-packet.ts',
        find: `  if (person?.frozen) return refusedForGood(command, 'wallet_frozen');`,
        replace: ``,
      },
    ],
    rule: /^M12 /,
    seed: 1,
  },
  {
    name: 'gateway-not-in-flight',
    what: 'what is at the gateway counts as paid out, not as in flight',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: 'set-node/machine/state.ts',
        find: `          assert(this.gatewayCents >= 0, 'M11: the gateway confirms only what it was sent');
          this.clearingCents += amountCents;`,
        replace: `          this.issuerCents += amountCents;`,
      },
    ],
    rule: /^M1 /,
    seed: 1,
  },
  {
    name: 'callback-taken-before-settled',
    what: 'the gateway is thanked at once, and what it said is settled when there is time',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: 'access/payments.ts',
        find: `    const answer = await this.#settle(verdict.callback);`,
        replace: `    void this.#settle(verdict.callback);
    const answer: CallbackAnswer = { status: 200, code: 'settled', retryAfterMs: 0 };`,
      },
    ],
    rule: /^M11 /,
    seed: 1,
  },
  {
    name: 'callback-believed',
    what: 'what comes to the address of callbacks comes from the gateway',
    source: 'adr 9',
    world: 'whole',
    patches: [
      {
        file: 'lib/adapter/callback-signature.ts',
        find: `    if (!timingSafeEqual(mac(this.#secret, received), Buffer.from(signature, 'hex'))) {`,
        replace: `    if (!timingSafeEqual(mac(this.#secret, received), mac(this.#secret, received))) {`,
      },
    ],
    rule: /^(PG4|M11) /,
    seed: 1,
  },
];
