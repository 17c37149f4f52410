import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { UserId } from '../../lib/core/user.ts';
import type { Stage } from './access-client.ts';
import { key, stage } from './access-client.ts';

let s: Stage;

beforeEach(async () => {
  s = await stage({ limits: { arriveWaitMs: 150, cursorMoveMs: 50 } });
});
afterEach(() => s.stop());

describe('wallet', () => {
  test('wallet.get sums what is arriving from every Set', async () => {
    const alice = await s.as('alice');
    const wallet = await alice.ok('wallet.get');
    expect(wallet).toMatchObject({ arrivingCents: 10, arrivingComplete: true });
    expect(wallet.mark).toMatch(/^[12]:513:\d+$/);
    const other = s.world.homeOf('alice' as UserId) === 1 ? 2 : 1;
    s.world.down.add(other);
    expect(await alice.ok('wallet.get')).toMatchObject({
      arrivingCents: 5,
      arrivingComplete: false,
    });
    s.world.down.add(3 - other);
    expect((await alice.refused('wallet.get')).code).toBe('set_unavailable');
  });

  test('wallet.history shows the ledger', async () => {
    const alice = await s.as('alice');
    const { entries } = await alice.ok('wallet.history', { limit: 10 });
    expect(entries).toMatchObject([{ lsn: 3, amountCents: -100, packetId: null }]);
    expect(await alice.refused('wallet.history', { limit: 0 })).toMatchObject({
      code: 'bad_argument',
    });
  });

  test('wallet.statement, balanceAt and statistics; luck is asked of the packets’ Sets', async () => {
    const alice = await s.as('alice');
    const statement = await alice.ok('wallet.statement', { limit: 10 });
    expect(statement).toMatchObject({ openingCents: 500, closingCents: 400, next: null });
    expect(await alice.ok('wallet.balanceAt', { at: 7 })).toMatchObject({
      balanceCents: 500,
      at: 7,
    });
    const { groupId } = await alice.ok('group.create', { clientId: key(), name: '朋友' });
    const send = { groupId, clientId: key(), totalCents: 10, count: 1, kind: 'equal' };
    const { packetId } = await alice.ok('packet.send', send);
    await alice.ok('packet.open', { packetId });
    const year = await alice.ok('wallet.statistics', { year: 2026 });
    expect(year).toMatchObject({
      sent: { lucky: 1, equal: 2, exclusive: 3 },
      receivedPackets: 8,
      shares: { packets: 1, equal: 1, bestLuck: 1, notEnded: 0 },
      next: null,
    });
    expect(year.shares.largest).toEqual({ packetId, amountCents: 10 });
    // Nobody guesses: without the packets' Sets there is no answer.
    s.world.next.set('query.claims', 'set_unavailable');
    const refusal = await alice.refused('wallet.statistics', { year: 2026 });
    expect(refusal).toMatchObject({ code: 'set_unavailable', retryable: true });
  });
});
