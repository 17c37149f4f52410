/** A Set of payments without a driver. */
import { expect } from 'vitest';
import type { Command } from '../../lib/core/command.ts';
import { checkShape } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId, packId } from '../../lib/core/ids.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { PaymentResult } from '../../lib/core/payment.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { Decision, Findings } from '../../set-node/machine/context.ts';
import { NO_FINDINGS } from '../../set-node/machine/context.ts';
import { execute, replay } from '../../set-node/machine/machine.ts';
import { DEFAULT_POLICY } from '../../set-node/machine/policy.ts';
import type { Policy } from '../../set-node/machine/policy.ts';
import { decodeState, encodeState } from '../../set-node/machine/snapshot.ts';
import { SetState } from '../../set-node/machine/state.ts';
import { user } from '../golden/format-examples.ts';

export const SET = setId(1);
export const START = Date.UTC(2026, 5, 1);
export const MINUTE = 60_000;
export const ANN = user('ann');
export const OPS = user('ops');
export const GROUP = packId({ ms: 1, set: setId(2), sequence: 0 });
export const GRANT: Grant = {
  groupId: GROUP,
  role: 'member',
  rights: 1,
  groupLsn: lsn(1),
  issuedAt: timeMs(START),
  mac: new Uint8Array(16),
};

/** One Set at rules 3, decided without a driver; every op is replayed on a twin. */
export class Bench {
  readonly state = new SetState(SET);
  readonly twin = new SetState(SET);
  now = START;
  policy: Policy = DEFAULT_POLICY;
  #made = 0;

  constructor(rules = 3) {
    const slots = new Uint8Array(128).fill(0xff);
    const config = { clusterId: new Uint8Array(16), replicas: 1, quorum: 1, rules, slots };
    this.run({ type: 'set.configure', ...config });
    this.run({ type: 'wallet.open', user: ANN, welcomeCents: cents(10_000) });
  }

  run(command: Command, found: Partial<Findings> = {}): Decision {
    const shape = checkShape(command);
    if (shape !== null) throw new Error(shape);
    const { state, twin } = this;
    const ts = timeMs(this.now);
    const place = { lsn: lsn(state.lsn + 1), ts };
    const world = {
      ts,
      policy: this.policy,
      freshSeed: () => ({ seed: new Uint8Array(32), nonce: new Uint8Array(12) }),
      sealSeed: ({ seed }: { seed: Uint8Array }) => seed,
      openSeed: ({ sealed }: { sealed: Uint8Array }) => sealed,
      homeOf: () => SET,
    };
    const decision = execute({
      state,
      command,
      found: { ...NO_FINDINGS, grant: 'valid', ...found },
      world,
      place,
    });
    if (!decision.effects) return decision;
    replay({ state: twin, op: { command, ...decision }, place });
    for (const each of [state, twin]) {
      each.lsn = place.lsn;
      each.ts = ts;
    }
    return decision;
  }

  status(command: Command, found: Partial<Findings> = {}): string {
    const { outcome } = this.run(command, found);
    return 'became' in outcome ? outcome.became : outcome.status;
  }

  id() {
    this.#made += 1;
    return makeCommandId(this.now, new Uint8Array(10).fill(this.#made));
  }

  topup(amount: number): Command {
    return { type: 'wallet.topup', commandId: this.id(), user: ANN, amountCents: cents(amount) };
  }

  withdraw(amount: number): Command {
    const said = { commandId: this.id(), user: ANN, amountCents: cents(amount) };
    return { type: 'wallet.withdraw', ...said, destination: 'card' };
  }

  /** Begins a payment and returns its id. */
  begin(command: Command): Id {
    const { outcome } = this.run(command);
    if (!succeeded(outcome) || !('paymentId' in outcome)) throw new Error(outcome.status);
    return outcome.paymentId;
  }

  freeze(frozen: boolean): Command {
    const said = { commandId: this.id(), operator: OPS, user: ANN, reason: '' };
    return { type: 'wallet.freeze', ...said, frozen };
  }

  adjust(amount: number): Command {
    const said = { commandId: this.id(), operator: OPS, user: ANN, reason: 'a mistake of ours' };
    return { type: 'wallet.adjust', ...said, amountCents: cents(amount) };
  }

  packet(type: 'packet.pay' | 'packet.send', more: Partial<PacketDefinition> = {}): Command {
    const packetId = packId({ ms: 5, set: setId(2), sequence: this.#made });
    const definition: PacketDefinition = {
      packetId,
      sender: ANN,
      groupId: GROUP,
      kind: 'lucky',
      strategy: 'double_mean',
      timing: 'at_open',
      totalCents: cents(100),
      count: 1,
      lifetimeMs: 60_000,
      greeting: '',
      receivers: [],
      ...more,
    };
    const grant = { ...GRANT, issuedAt: timeMs(this.now) };
    return { type, commandId: this.id(), definition, grant };
  }

  get balance(): number | undefined {
    return this.state.people.get(ANN)?.balanceCents;
  }
}

export function settle(paymentId: Id, result: PaymentResult, amount: number): Command {
  const amountCents = cents(amount);
  return { type: 'payment.settle', paymentId, result, amountCents, reference: 'gw' };
}

/** Both states are one, and come back from their snapshot. */
export function same({ state, twin }: Bench): void {
  const written = encodeState({ state, sum: ZERO_SUM });
  expect(encodeState({ state: twin, sum: ZERO_SUM })).toEqual(written);
  const read = decodeState({ ...written, setId: SET });
  expect(encodeState(read)).toEqual(written);
  expect(read.state.money()).toEqual(state.money());
  expect(read.state.gatewayCents).toBe(state.gatewayCents);
  expect(read.state.payments.comingCents).toBe(state.payments.comingCents);
}
