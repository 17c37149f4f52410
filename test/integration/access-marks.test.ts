import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OpName } from '../../access/schema.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Stage } from './access-client.ts';
import { eventually, key, stage } from './access-client.ts';

let s: Stage;

beforeEach(async () => {
  s = await stage({ limits: { arriveWaitMs: 150 } });
});
afterEach(() => s.stop());

test('[Q8] lists show what was pushed, and belong to the session that asks', async () => {
  const [alice, bob] = [await s.as('alice'), await s.as('bob')];
  const { groupId } = await alice.ok('group.create', { clientId: key(), name: 'g' });
  const { invite } = await alice.ok('group.invite', { groupId });
  await bob.ok('group.join', { invite });
  const told = async (op: OpName, input: object, name: string) => {
    await bob.ok(op, input);
    const asked = s.world.asked.get(name);
    if (asked === undefined || asked.session === null) throw new Error(`${op} asked no ${name}`);
    return { atLsn: asked.atLsn, session: asked.session };
  };
  const packet = { groupId, clientId: key(), totalCents: 1_000, count: 2 };
  s.world.toldLsn = 77;
  await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'hi' });
  await eventually(() => bob.events.some(({ ev }) => ev === 'message'));
  const open = await told('message.history', { groupId }, 'history');
  expect(open.atLsn).toBe(77);
  // One that ends is answered whole or not at all: old pages need not come from the leader.
  const page = { groupId, fromSeq: 1, toSeq: 1 };
  expect((await told('message.history', page, 'history')).atLsn).toBe(0);
  const { packetId } = await alice.ok('packet.send', packet);
  s.world.toldLsn = 99;
  await bob.ok('packet.open', { packetId });
  await eventually(() => bob.events.some(({ ev }) => ev === 'wallet'));
  s.world.asked.clear();
  expect((await told('packet.claims', { packetId }, 'claims')).atLsn).toBe(99);
  // The owner is not asked what the packet is first.
  expect(s.world.asked.has('packet')).toBe(false);
  const { session } = await told('wallet.history', {}, 'ledger');
  expect(session).toBe(open.session);
  expect(session.at(s.world.homeOf('bob' as UserId))).toBe(99);
  // A hello begins anew: the socket may come from another node, where it was shown more.
  await s.as('bob');
  const next = await told('wallet.history', {}, 'ledger');
  expect(next.session).not.toBe(session);
  expect(next.session.at(s.world.homeOf('bob' as UserId))).toBe(0);
});
