import { expect, test } from 'vitest';
import { asId } from '../../lib/core/ids.ts';
import { LANES } from '../../lib/core/transfer.ts';
import { cents, setId } from '../../lib/core/units.ts';
import { World, user } from './set-log-world.ts';

const PEER = setId(2);

async function withGroup(
  count: 1 | 3 = 1,
): Promise<{ w: World; groupId: ReturnType<typeof asId> }> {
  const w = await World.start(count);
  await w.fund('ann', 10_000);
  await w.fund('bob', 10_000);
  return { w, groupId: await w.foundGroup('ann') };
}

/** Sends a packet of one share, opens it, and waits until it has left memory. */
async function endAndForget(
  w: World,
  args: { packetId: ReturnType<typeof asId>; groupId: ReturnType<typeof asId> },
): Promise<void> {
  await w.send(w.definition({ ...args, sender: 'ann' }));
  await w.carryAll();
  await w.ask<'packet.open'>({
    type: 'packet.open',
    packetId: args.packetId,
    user: user('bob'),
    grant: w.grant('bob', args.groupId),
  });
  await w.carryAll();
  await w.run(62_000);
  await w.fund(`tick${w.clock.now()}`, 1); // log time moves with an entry
  await w.run(3_000);
  expect(w.driver.state.packets.has(args.packetId)).toBe(false);
}

test('[finding 1] a used command id under another type answers id_reused and poisons nothing', async () => {
  const { w, groupId } = await withGroup();
  const commandId = w.commandId();
  await w.ask(w.message('ann', groupId, commandId));
  await w.run(16 * 60_000);
  await w.fund('tick', 1);
  await w.run(3_000);
  expect(w.driver.state.answers.get({ user: user('ann'), commandId })).toBeUndefined();
  const again = w.submit({
    type: 'group.create',
    commandId,
    user: user('ann'),
    groupId: await w.takeId(),
    name: 'n',
    history: 'all',
  });
  await w.run(100);
  expect(w.count('set_poisoned')).toBe(0);
  expect(again).toEqual([{ type: 'group.create', status: 'id_reused' }]);
});

test('[finding 2] an id whose packet ended and left memory is not created again', async () => {
  const { w, groupId } = await withGroup();
  const packetId = await w.takeId();
  await endAndForget(w, { packetId, groupId });
  await w.send(w.definition({ packetId, groupId, sender: 'bob', totalCents: 7 }));
  await w.carryAll();
  await w.restart();
  expect(w.engine.status.kind).toBe('leading');
});

test('[finding 3] one id for two packets refunds the second and does not stop the Set', async () => {
  const { w, groupId } = await withGroup();
  const packetId = await w.takeId();
  await w.send(w.definition({ packetId, groupId, sender: 'ann' }));
  await w.send(w.definition({ packetId, groupId, sender: 'bob', totalCents: 7 }));
  const { first, pending } = w.driver.state.outbox.lane(w.driver.state.setId, LANES.control);
  const transfers = [...pending];
  for (let round = 0; round < 3; round++) {
    w.submit({
      type: 'transfer.deliver',
      from: w.driver.state.setId,
      lane: LANES.control,
      first,
      transfers,
    });
    await w.run(1_000);
  }
  expect(w.count('set_poisoned')).toBe(0);
});

test('[finding 3] one id for two groups does not stop the Set', async () => {
  const { w } = await withGroup();
  const groupId = await w.takeId();
  for (const name of ['ann', 'bob']) {
    await w.ask<'group.create'>({
      type: 'group.create',
      commandId: w.commandId(),
      user: user(name),
      groupId,
      name: 'g',
      history: 'all',
    });
  }
  const { first, pending } = w.driver.state.outbox.lane(w.driver.state.setId, LANES.control);
  const transfers = [...pending];
  for (let round = 0; round < 3; round++) {
    w.submit({
      type: 'transfer.deliver',
      from: w.driver.state.setId,
      lane: LANES.control,
      first,
      transfers,
    });
    await w.run(1_000);
  }
  expect(w.count('set_poisoned')).toBe(0);
});

test('[finding 4] a packet id beyond 63 bits is refused before it is journaled', async () => {
  const { w, groupId } = await withGroup();
  await w.send(w.definition({ packetId: asId(2n ** 63n + 5n), groupId, sender: 'ann' }));
  await w.run(1_000);
  expect(w.replicas[0]?.broken).toEqual([]);
});

test('[finding 4] ids beyond 63 bits in a delivery are refused before they are journaled', async () => {
  const { w } = await withGroup();
  const groupId = asId(2n ** 63n + 5n);
  const hint = {
    kind: 'member.hint',
    groupId,
    user: user('ann'),
    version: 1,
    present: true,
    name: '',
  } as const;
  w.submit({
    type: 'transfer.deliver',
    from: PEER,
    lane: LANES.control,
    first: 1,
    transfers: [hint],
  });
  await w.run(1_000);
  expect(w.replicas[0]?.broken).toEqual([]);
});

test('[finding 5] money beyond what a Set can count is refused, not asserted', async () => {
  const { w, groupId } = await withGroup();
  const credit = {
    kind: 'claim.credit',
    packetId: asId(5n),
    groupId,
    user: user('ann'),
    amountCents: cents(Number.MAX_SAFE_INTEGER),
  } as const;
  w.submit({
    type: 'transfer.deliver',
    from: PEER,
    lane: LANES.credit,
    first: 1,
    transfers: [credit, credit],
  });
  await w.run(1_000);
  expect(w.count('set_poisoned')).toBe(0);
});

test('[finding 6] a poisoned batch answers each of its commands once', async () => {
  const { w, groupId } = await withGroup();
  const packetId = await w.takeId();
  await w.send(w.definition({ packetId, groupId, sender: 'ann' }));
  await w.send(w.definition({ packetId, groupId, sender: 'bob', totalCents: 7 }));
  const { first, pending } = w.driver.state.outbox.lane(w.driver.state.setId, LANES.control);
  const transfers = [...pending];
  const innocent = w.submit(w.message('ann', groupId));
  w.submit({
    type: 'transfer.deliver',
    from: w.driver.state.setId,
    lane: LANES.control,
    first,
    transfers,
  });
  await w.run(1_000);
  expect(innocent).toHaveLength(1);
});

test('[finding 7] transfers to a Set that nobody knows do not hide those to others', async () => {
  const { w, groupId } = await withGroup();
  const nowhere = (900n << 12n) | 1n;
  for (let count = 0; count < 8; count++) {
    w.submit({
      type: 'group.create',
      commandId: w.commandId(),
      user: user('bob'),
      groupId: asId(nowhere),
      name: 'g',
      history: 'all',
    });
  }
  await w.send(w.definition({ packetId: await w.takeId(), groupId, sender: 'ann' }));
  await w.run(50);
  const { readMemory } = await import('../../set-node/read/reads.ts');
  const { state, seals } = w.driver;
  const cursors = [{ to: 1, lane: LANES.control, after: '0' }];
  const query = { outbox: { cursors, limit: 4 } } as never;
  const answer = readMemory({ state, seals, query, now: w.clock.now() });
  const entries = (answer?.outbox?.entries ?? []) as { to: number }[];
  expect(entries.some(({ to }) => to === 1)).toBe(true);
});
