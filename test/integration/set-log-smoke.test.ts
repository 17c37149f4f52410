import { expect, test } from 'vitest';
import { World, user } from './set-log-world.ts';
test('smoke', async () => {
  const w = await World.start(3);
  await w.fund('a', 1000);
  const g = await w.foundGroup('a');
  const id = await w.takeId();
  const s = await w.send(w.definition({ packetId: id, groupId: g, sender: 'a' }));
  expect(s.status).toBe('ok');
  await w.carryAll();
  const o = await w.ask<'packet.open'>({ type: 'packet.open', packetId: id, user: user('a'), grant: w.grant('a', g) });
  expect(o.status).toBe('ok');
  await w.carryAll();
  expect(w.driver.state.people.get(user('a'))?.balanceCents).toBe(1000);
  await w.restart();
  expect(w.driver.state.people.get(user('a'))?.balanceCents).toBe(1000);
  console.log(w.lines);
});
