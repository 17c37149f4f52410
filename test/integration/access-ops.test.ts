import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Id } from '../../lib/core/ids.ts';
import { asId, setOfId } from '../../lib/core/ids.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Client, Stage } from './access-client.ts';
import { eventually, key, stage, tokenOf } from './access-client.ts';

let s: Stage;

beforeEach(async () => {
  s = await stage({ limits: { arriveWaitMs: 150, cursorMoveMs: 50 } });
});
afterEach(() => s.stop());

async function groupOf(owner: Client, ...others: Client[]): Promise<string> {
  const { groupId, status } = await owner.ok('group.create', { clientId: key(), name: '朋友' });
  expect(status).toBe('ready');
  const { invite } = await owner.ok('group.invite', { groupId });
  for (const other of others) await other.ok('group.join', { invite });
  return groupId;
}

function packetIn(groupId: string, more: object = {}): object {
  return { groupId, clientId: key(), totalCents: 1_000, count: 2, ...more };
}

function idOf(text: string): Id {
  return asId(BigInt(text));
}

describe('session', () => {
  test('hello gives demo money once and an empty list of groups', async () => {
    const alice = await s.as('alice');
    expect(alice.hello).toMatchObject({ userId: 'alice', groups: [], recovered: true, missed: [] });
    expect(alice.hello?.sessionId).toMatch(/^[0-9a-f]{32}$/);
    await s.as('alice');
    expect((await alice.ok('wallet.get')).balanceCents).toBe(200_000);
    expect(s.world.kept.filter(({ type }) => type === 'wallet.open')).toHaveLength(2);
  });

  test('without demo money no wallet is opened', async () => {
    const plain = await stage({ demoCents: 0 });
    const alice = await plain.as('alice');
    expect((await alice.ok('wallet.get')).balanceCents).toBe(0);
    expect(plain.world.kept).toEqual([]);
    plain.stop();
  });

  test('a hello that a Set cannot answer may be tried again on the same socket', async () => {
    const alice = await s.connect();
    s.world.next.set('query.groupHints', 'set_unavailable');
    const refusal = await alice.refused('hello', { token: tokenOf('alice') });
    expect(refusal).toMatchObject({ code: 'set_unavailable', retryable: true });
    expect((await alice.refused('wallet.get')).code).toBe('hello_required');
    expect((await alice.ok('hello', { token: tokenOf('alice') })).userId).toBe('alice');
  });

  test('resume fills what was missed, group by group', async () => {
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice, bob);
    for (const body of ['1', '2', '3']) {
      await alice.ok('message.send', { groupId, clientMsgId: key(), body });
    }
    const again = await s.as('bob', { [groupId]: 1 });
    expect(again.hello?.recovered).toBe(true);
    expect(again.hello?.missed.map(({ body }) => body)).toEqual(['2', '3']);
    expect(again.hello?.groups[0]).toMatchObject({ groupId, lastSeq: 3, memberCount: 2 });
    const upToDate = await s.as('bob', { [groupId]: 3 });
    expect(upToDate.hello).toMatchObject({ recovered: true, missed: [] });
    const ahead = await s.as('bob', { [groupId]: 9 });
    expect(ahead.hello).toMatchObject({ recovered: false, missed: [] });
  });

  test('resume of more than 100 messages in a group is left to the client', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const group = s.world.groups.get(idOf(groupId))!;
    for (let seq = 1; seq <= 101; seq++) {
      s.world.say(group, { sender: 'alice', body: `${seq}`, clientMsgId: '' });
    }
    const all = await s.as('alice', { [groupId]: 1 });
    expect(all.hello?.recovered).toBe(true);
    expect(all.hello?.missed).toHaveLength(100);
    const tooMuch = await s.as('alice', { [groupId]: 0 });
    expect(tooMuch.hello).toMatchObject({ recovered: false, missed: [] });
  });

  test('a Set that is away costs its groups their details, not the hello', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const home = s.world.homeOf('alice' as UserId);
    const owner = setOfId(idOf(groupId));
    if (owner === home) s.world.next.set('query.membership', 'set_unavailable');
    else s.world.down.add(owner);
    const again = await s.as('alice');
    expect(again.hello?.groups).toMatchObject([{ groupId, name: '朋友' }]);
    s.world.down.clear();
    expect((await again.ok('group.list')).groups).toMatchObject([{ groupId, memberCount: 1 }]);
  });

  test('ping finds a lost last message', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    s.world.eventsLost = true;
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'lost' });
    const { behind } = await alice.ok('ping', { seen: { [groupId]: 0, '77': 0 } });
    expect(behind).toEqual({ [groupId]: 1 });
    expect((await alice.ok('ping', { seen: { [groupId]: 1 } })).behind).toEqual({});
    expect((await alice.ok('ping')).behind).toEqual({});
  });
});

describe('group', () => {
  test('a retried create answers with the first group', async () => {
    const alice = await s.as('alice');
    const clientId = key();
    const first = await alice.ok('group.create', { clientId, name: 'one' });
    const second = await alice.ok('group.create', { clientId, name: 'one' });
    expect(second.groupId).toBe(first.groupId);
    expect((await alice.refused('group.create', { clientId, name: 'two' })).code).toBe('id_reused');
    expect((await alice.ok('group.list')).groups).toHaveLength(1);
  });

  test('a group whose Set founds it late is arriving, then there', async () => {
    s.world.courierMs = null;
    const alice = await s.as('alice');
    const { groupId, status } = await alice.ok('group.create', { clientId: key(), name: 'late' });
    expect(status).toBe('arriving');
    expect(s.world.watched.has(`g${groupId}`)).toBe(true);
  });

  test('no Set takes new things', async () => {
    const alice = await s.as('alice');
    for (const set of s.world.sets()) s.world.down.add(set);
    const refusal = await alice.refused('group.create', { clientId: key(), name: 'x' });
    expect(refusal).toMatchObject({ code: 'set_unavailable', retryable: true });
    expect(refusal.retryAfterMs).toBeGreaterThan(0);
  });

  test('group.get, group.leave, and what a stranger is told', async () => {
    const [alice, bob, eve] = [await s.as('alice'), await s.as('bob'), await s.as('eve')];
    const groupId = await groupOf(alice, bob);
    const group = await alice.ok('group.get', { groupId });
    expect(group.members.map(({ userId }) => userId)).toEqual(['alice', 'bob']);
    expect((await eve.refused('group.get', { groupId })).code).toBe('not_a_member');
    expect((await eve.refused('group.invite', { groupId })).code).toBe('not_a_member');
    expect((await eve.refused('group.leave', { groupId })).code).toBe('not_a_member');
    await bob.ok('group.leave', { groupId });
    expect((await bob.refused('group.get', { groupId })).code).toBe('not_a_member');
    // No Set has the number in this id: nobody has to be asked.
    expect((await eve.refused('group.get', { groupId: '5' })).code).toBe('group_not_found');
  });

  test('group.leave again: under its id the same answer, and at a Set of rules 1 as ever', async () => {
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice, bob);
    const clientId = key();
    await bob.ok('group.leave', { groupId, clientId });
    await bob.ok('group.leave', { groupId, clientId });
    expect((await bob.refused('group.leave', { groupId })).code).toBe('not_a_member');
    const second = { groupId, clientId: key() };
    expect((await bob.refused('group.leave', second)).code).toBe('not_a_member');
    // Its builds cannot read the id, so the door leaves without one.
    const other = await groupOf(alice, bob);
    s.world.rules = 1;
    await bob.ok('group.leave', { groupId: other, clientId: key() });
    const again = { groupId: other, clientId: key() };
    expect((await bob.refused('group.leave', again)).code).toBe('not_a_member');
    const bad = await bob.refused('group.leave', { groupId, clientId: 'mine' });
    expect(bad.code).toBe('bad_argument');
  });

  test('invitations: forged, cut, of another group, expired', async () => {
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice);
    const { invite, expiresAt } = await alice.ok('group.invite', { groupId, lifetimeMs: 60_000 });
    expect(expiresAt).toBeGreaterThan(0);
    const bytes = Buffer.from(invite, 'base64url');
    bytes[bytes.length - 1]! ^= 1;
    const forged = bytes.toString('base64url');
    for (const text of [forged, invite.slice(0, 20), `${invite}AAAA`, '你好', '!']) {
      expect((await bob.refused('group.join', { invite: text })).code).toBe('invite_invalid');
    }
    s.world.next.set('group.join', 'invite_expired');
    expect((await bob.refused('group.join', { invite })).code).toBe('invite_expired');
    const joined = await bob.ok('group.join', { invite });
    expect(joined.group).toMatchObject({ groupId, name: '朋友', memberCount: 2 });
  });

  test('a join whose group cannot be shown may be done again', async () => {
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice);
    const { invite } = await alice.ok('group.invite', { groupId });
    // The event of the join would make the node ask too, before the join's own question.
    s.world.eventsLost = true;
    s.world.next.set('query.membership', 'set_unavailable');
    const refusal = await bob.refused('group.join', { invite });
    expect(refusal).toMatchObject({ code: 'unknown', retryable: true });
    expect((await bob.ok('group.join', { invite })).group.groupId).toBe(groupId);
  });
});

describe('message', () => {
  test('send is idempotent and history pages both ways', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const clientMsgId = key();
    const first = await alice.ok('message.send', { groupId, clientMsgId, body: '你好' });
    expect(await alice.ok('message.send', { groupId, clientMsgId, body: '你好' })).toEqual({
      ...first,
      mark: expect.any(String),
    });
    const other = await alice.refused('message.send', { groupId, clientMsgId, body: 'other' });
    expect(other).toMatchObject({ code: 'id_reused', retryable: false });
    for (const body of ['b', 'c', 'd']) {
      await alice.ok('message.send', { groupId, clientMsgId: key(), body });
    }
    const page = { groupId, fromSeq: 2, toSeq: 4, limit: 2 };
    const oldest = await alice.ok('message.history', page);
    expect(oldest.messages.map(({ seq }) => seq)).toEqual([2, 3]);
    expect(oldest.lastSeq).toBe(4);
    const newest = await alice.ok('message.history', { ...page, reverse: true });
    expect(newest.messages.map(({ seq }) => seq)).toEqual([3, 4]);
  });

  test('a page of large messages is cut to what one answer may carry', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    for (let count = 0; count < 10; count++) {
      const body = 'x'.repeat(8_000);
      await alice.ok('message.send', { groupId, clientMsgId: key(), body });
    }
    const oldest = await alice.ok('message.history', { groupId });
    expect(oldest.messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    const newest = await alice.ok('message.history', { groupId, reverse: true });
    expect(newest.messages.map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10]);
  });

  test('who may not write, and what may not be written', async () => {
    const [alice, eve] = [await s.as('alice'), await s.as('eve')];
    const groupId = await groupOf(alice);
    const clientMsgId = key();
    const refused = async (client: Client, d: object): Promise<string> =>
      (await client.refused('message.send', { groupId, clientMsgId, body: 'x', ...d })).code;
    expect(await refused(eve, {})).toBe('not_a_member');
    expect(await refused(alice, { groupId: '5' })).toBe('group_not_found');
    expect(await refused(alice, { body: '' })).toBe('bad_argument');
    expect(await refused(alice, { body: '\ud800' })).toBe('bad_argument');
    expect(await refused(alice, { body: '红'.repeat(4_000) })).toBe('bad_argument');
    expect(await refused(alice, { kind: 'system' })).toBe('bad_argument');
    expect(await refused(alice, { clientMsgId: 'abc' })).toBe('bad_argument');
    expect(s.world.kept.filter(({ type }) => type === 'message.send')).toEqual([]);
  });

  test('cursor moves are gathered: at once, then one for all that came meanwhile', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const moves = [4, 9, 7].map((seq) => alice.ok('message.read', { groupId, seq }));
    const seqs = (await Promise.all(moves)).map(({ readSeq }) => readSeq);
    expect(seqs).toEqual([4, 9, 9]);
    expect(s.world.kept.filter(({ type }) => type === 'message.read')).toHaveLength(2);
  });
});

describe('packet', () => {
  test('send, grab, open by all, drained, and each answer for ever', async () => {
    const [alice, bob, carol] = [await s.as('alice'), await s.as('bob'), await s.as('carol')];
    const groupId = await groupOf(alice, bob, carol);
    const sent = await alice.ok('packet.send', packetIn(groupId));
    expect(sent).toMatchObject({ status: 'live', seedHash: '01'.repeat(32) });
    const { packetId } = sent;
    expect((await bob.event('packet')).packetId).toBe(packetId);
    expect(await bob.ok('packet.grab', { packetId })).toEqual({ status: 'go', retryAfterMs: 0 });
    const opened = await bob.ok('packet.open', { packetId });
    expect(opened).toMatchObject({ status: 'opened', amountCents: 500, order: 1, left: 1 });
    expect(opened.settle).toBe('arriving');
    await bob.event('wallet', ({ reason }) => reason === 'claim');
    const again = await bob.ok('packet.open', { packetId });
    expect(again).toMatchObject({ status: 'already_opened', amountCents: 500, settle: 'settled' });
    expect((await bob.ok('packet.grab', { packetId })).status).toBe('already_opened');
    await carol.ok('packet.open', { packetId });
    const drained = await alice.refused('packet.open', { packetId });
    expect(drained).toMatchObject({ code: 'packet_drained', retryable: false });
    expect((await alice.ok('packet.grab', { packetId })).status).toBe('drained');
    expect(s.world.kept.filter(({ type }) => type === 'packet.open')).toHaveLength(2);
  });

  test('a retry of send through a node that saw no event finds the packet live', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const d = packetIn(groupId);
    const first = await alice.ok('packet.send', d);
    const other = await stage({ router: s.world });
    const elsewhere = await other.as('alice');
    const second = await elsewhere.ok('packet.send', d);
    expect(second).toMatchObject({ packetId: first.packetId, status: 'live' });
    expect(s.world.packets.size).toBe(1);
    other.stop();
  });

  test('a packet that is long on its way is arriving', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    s.world.courierMs = null;
    const sent = await alice.ok('packet.send', packetIn(groupId));
    expect(sent).toMatchObject({ status: 'arriving', seedHash: null });
  });

  test('what may not be sent, each with its own code, and nothing is kept', async () => {
    const [alice, eve] = [await s.as('alice'), await s.as('eve')];
    const groupId = await groupOf(alice);
    const before = s.world.kept.length;
    const codes: [object, string][] = [
      [{ totalCents: 0 }, 'amount_out_of_range'],
      [{ totalCents: -1 }, 'amount_out_of_range'],
      [{ totalCents: 1.5 }, 'amount_out_of_range'],
      [{ totalCents: 2 ** 53 }, 'amount_out_of_range'],
      [{ totalCents: 20_001 }, 'amount_out_of_range'],
      [{ totalCents: '5' }, 'bad_argument'],
      [{ count: 0 }, 'count_out_of_range'],
      [{ count: 101 }, 'count_out_of_range'],
      [{ count: 0.5 }, 'count_out_of_range'],
      [{ totalCents: 4, count: 5 }, 'share_below_minimum'],
      [{ kind: 'equal', strategy: 'classic' }, 'bad_argument'],
      [{ kind: 'exclusive' }, 'bad_argument'],
      [{ kind: 'exclusive', receivers: ['a\u0000b'] }, 'bad_argument'],
      [{ greeting: '红'.repeat(60) }, 'bad_argument'],
      [{ lifetimeMs: 1 }, 'bad_argument'],
      [{ more: 1 }, 'bad_argument'],
    ];
    for (const [d, code] of codes) {
      const refusal = await alice.refused('packet.send', packetIn(groupId, d));
      expect([d, refusal.code]).toEqual([d, code]);
      expect(refusal.retryable).toBe(false);
    }
    expect((await eve.refused('packet.send', packetIn(groupId))).code).toBe('not_a_member');
    s.world.next.set('packet.send', 'insufficient_funds');
    const poor = await alice.refused('packet.send', packetIn(groupId));
    expect(poor.code).toBe('insufficient_funds');
    expect(s.world.kept).toHaveLength(before);
  });

  test('the group of a packet that this node has not seen is asked of the owner', async () => {
    const [alice, bob, eve] = [await s.as('alice'), await s.as('bob'), await s.as('eve')];
    const groupId = await groupOf(alice, bob);
    s.world.eventsLost = true;
    const { packetId } = await alice.ok('packet.send', packetIn(groupId));
    // All that this node learns for a stranger is the group; then a member asks for the rest.
    expect((await eve.refused('packet.open', { packetId })).code).toBe('not_a_member');
    expect((await eve.ok('packet.grab', { packetId })).status).toBe('go');
    expect((await eve.refused('packet.get', { packetId })).code).toBe('not_a_member');
    s.cache.lines.set(`line:${packetId}`, new Set(['v', 'w', 'x', 'y']));
    expect((await bob.ok('packet.grab', { packetId })).status).toBe('wait');
    expect((await bob.ok('packet.open', { packetId })).status).toBe('opened');
    for (const op of ['packet.open', 'packet.grab', 'packet.get', 'packet.claims'] as const) {
      expect((await bob.refused(op, { packetId: '5' })).code).toBe('packet_not_found');
      const unknown = String(idOf(packetId) + 4_096n * 1_024n);
      expect((await bob.refused(op, { packetId: unknown })).code).toBe('packet_not_found');
    }
  });

  test('a group Set that is away makes nobody a stranger', async () => {
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice);
    const { packetId } = await alice.ok('packet.send', packetIn(groupId));
    s.world.groups.get(idOf(groupId))!.members.set('bob' as UserId, { joinedSeq: 0, readSeq: 0 });
    s.world.next.set('query.membership', 'set_unavailable');
    const refusal = await bob.refused('packet.open', { packetId });
    expect(refusal).toMatchObject({ code: 'set_unavailable', retryable: true });
    expect((await bob.ok('packet.open', { packetId })).status).toBe('opened');
  });

  test('a grant that the owner finds too old is renewed once', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const { packetId } = await alice.ok('packet.send', packetIn(groupId));
    s.world.next.set('packet.open', 'grant_expired');
    const asked = s.world.queries;
    expect((await alice.ok('packet.open', { packetId })).status).toBe('opened');
    expect(s.world.queries).toBe(asked + 1);
  });

  test('the same for a packet that is sent', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    s.world.next.set('packet.send', 'grant_expired');
    expect((await alice.ok('packet.send', packetIn(groupId))).status).toBe('live');
  });

  test('an expired packet', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const { packetId } = await alice.ok('packet.send', packetIn(groupId));
    s.world.packets.get(idOf(packetId))!.phase = 'refunded';
    expect((await alice.refused('packet.open', { packetId })).code).toBe('packet_expired');
    expect((await alice.ok('packet.grab', { packetId })).status).toBe('expired');
  });

  test('packet.get and packet.claims: members see it, strangers do not', async () => {
    const [alice, bob, eve] = [await s.as('alice'), await s.as('bob'), await s.as('eve')];
    const groupId = await groupOf(alice, bob);
    const { packetId } = await alice.ok('packet.send', packetIn(groupId));
    const before = await bob.ok('packet.get', { packetId });
    expect(before).toMatchObject({ phase: 'live', totalCents: null, mine: null, seed: null });
    expect((await bob.refused('packet.claims', { packetId })).code).toBe('not_allowed');
    await bob.ok('packet.open', { packetId });
    const after = await bob.ok('packet.get', { packetId });
    expect(after).toMatchObject({ totalCents: 1_000, mine: { amountCents: 500 } });
    const { claims, best } = await bob.ok('packet.claims', { packetId });
    expect(claims).toEqual([best]);
    expect((await eve.refused('packet.get', { packetId })).code).toBe('not_a_member');
    expect((await eve.refused('packet.claims', { packetId })).code).toBe('not_a_member');
    await bob.ok('group.leave', { groupId });
    expect((await bob.ok('packet.get', { packetId })).mine?.userId).toBe('bob');
  });

  test('a full line says wait, and a cache that is away lets everybody through', async () => {
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice, bob);
    const { packetId } = await alice.ok('packet.send', packetIn(groupId, { count: 1 }));
    const line = new Set(['x', 'y']);
    s.cache.lines.set(`line:${packetId}`, line);
    const full = await bob.ok('packet.grab', { packetId });
    expect(full.status).toBe('wait');
    expect(full.retryAfterMs).toBeGreaterThanOrEqual(1_000);
    expect(full.retryAfterMs).toBeLessThanOrEqual(3_000);
    expect(line.size).toBe(2);
    line.delete('x');
    expect((await bob.ok('packet.grab', { packetId })).status).toBe('go');
    await bob.ok('packet.open', { packetId });
    expect([...line]).toEqual(['y']);
    s.cache.broken = true;
    expect((await alice.ok('packet.grab', { packetId })).status).toBe('drained');
    const { packetId: next } = await alice.ok('packet.send', packetIn(groupId, { count: 1 }));
    expect((await alice.ok('packet.grab', { packetId: next })).status).toBe('go');
    expect(s.metrics.values.get('hongbao_access_gate_open_total{}')).toBe(1);
  });

  test('a Set that does not know the outcome says so', async () => {
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const d = packetIn(groupId);
    s.world.next.set('packet.send', 'unknown');
    expect(await alice.refused('packet.send', d)).toMatchObject({
      code: 'unknown',
      retryable: true,
    });
    expect((await alice.ok('packet.send', d)).status).toBe('live');
  });
});

test('a handler that fails is told once and costs nobody else', async () => {
  const alice = await s.as('alice');
  s.world.next.set('query.wallet', new Error('planted'));
  expect(await alice.refused('wallet.get')).toMatchObject({ code: 'internal', retryable: true });
  expect(s.complaints.filter((line) => line.includes('planted'))).toHaveLength(1);
  expect((await alice.ok('wallet.get')).balanceCents).toBe(200_000);
});

test('interest ends some time after the last socket, not at once', async () => {
  const brief = await stage({ limits: { lingerMs: 50 } });
  const alice = await brief.as('alice');
  const { groupId } = await alice.ok('group.create', { clientId: key(), name: 'x' });
  expect(brief.world.watched).toEqual(new Set(['ualice', `g${groupId}`]));
  alice.close();
  await alice.closed;
  expect(brief.world.watched.size).toBe(2);
  // The sweep runs every 2 s.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await eventually(() => brief.world.watched.size === 0)).toBe(true);
  brief.stop();
});
