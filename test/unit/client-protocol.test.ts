import { expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import { EVENTS, INPUTS, OUTPUTS } from '../../access/schema.ts';
import type { Inputs, Outputs, ServerEvents } from '../../client/protocol.ts';

type SchemaInputs = { -readonly [Op in keyof typeof INPUTS]: z.input<(typeof INPUTS)[Op]> };
type SchemaOutputs = { -readonly [Op in keyof typeof OUTPUTS]: z.output<(typeof OUTPUTS)[Op]> };
type SchemaEvents = { -readonly [Name in keyof typeof EVENTS]: z.output<(typeof EVENTS)[Name]> };

/** Every key must be here, or this file does not compile; no other may. */
const INPUT_OPS: Readonly<Record<keyof Inputs, true>> = {
  hello: true,
  ping: true,
  'wallet.get': true,
  'wallet.history': true,
  'wallet.statement': true,
  'wallet.balanceAt': true,
  'wallet.statistics': true,
  'wallet.topup': true,
  'wallet.withdraw': true,
  'group.create': true,
  'group.get': true,
  'group.list': true,
  'group.invite': true,
  'group.join': true,
  'group.leave': true,
  'message.send': true,
  'message.history': true,
  'message.read': true,
  'packet.send': true,
  'packet.grab': true,
  'packet.open': true,
  'packet.get': true,
  'packet.claims': true,
};
const OUTPUT_OPS: Readonly<Record<keyof Outputs, true>> = INPUT_OPS;
const EVENT_NAMES: Readonly<Record<keyof ServerEvents, true>> = {
  message: true,
  packet: true,
  wallet: true,
  group: true,
  level: true,
  reconnect: true,
};

test('the SDK knows the same ops and events as the server', () => {
  expect(Object.keys(INPUT_OPS).toSorted()).toEqual(Object.keys(INPUTS).toSorted());
  expect(Object.keys(OUTPUT_OPS).toSorted()).toEqual(Object.keys(OUTPUTS).toSorted());
  expect(Object.keys(EVENT_NAMES).toSorted()).toEqual(Object.keys(EVENTS).toSorted());
});

test('its types and the schema say the same, both ways', () => {
  // Checked by the compiler: tsc is part of the gate.
  expectTypeOf<Outputs>().toEqualTypeOf<SchemaOutputs>();
  expectTypeOf<ServerEvents>().toEqualTypeOf<SchemaEvents>();
  expectTypeOf<Inputs>().toEqualTypeOf<SchemaInputs>();
});

test('the three smallest requests of the SDK pass the schema as they are', () => {
  const inputs: Partial<Inputs> = {
    hello: { token: 'x' },
    ping: {},
    'message.history': { groupId: '1', reverse: true },
  };
  for (const [op, d] of Object.entries(inputs)) {
    expect(INPUTS[op as keyof typeof INPUTS].safeParse(d)).toMatchObject({ success: true });
  }
  expect(INPUTS['packet.get'].safeParse({ packetId: '1', extra: 1 }).success).toBe(false);
});
