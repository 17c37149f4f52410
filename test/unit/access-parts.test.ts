import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { asId } from '../../lib/core/ids.ts';
import { timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { Bucket } from '../../access/admission.ts';
import { originsOf, readAccessConfig } from '../../access/config.ts';
import { readReconcilerConfig } from '../../reconciler/config.ts';
import { inviteText, parseInvite } from '../../access/invites.ts';
import { limitsWith } from '../../access/limits.ts';
import { cutPage } from '../../access/ops-message.ts';
import { PacketMemo } from '../../access/packet-memo.ts';
import { Recent } from '../../access/recent.ts';
import type { Socket } from '../../access/sessions.ts';
import { Outlet, Session } from '../../access/sessions.ts';
import { Waiters } from '../../access/waiters.ts';

describe('Bucket', () => {
  test('a burst, then a steady rate, and the wait that it names is enough', () => {
    const bucket = new Bucket({ perSecond: 20, burst: 40, nowMs: 1_000 });
    for (let count = 0; count < 40; count++) expect(bucket.take(1_000)).toBe(0);
    const waitMs = bucket.take(1_000);
    expect(waitMs).toBe(50);
    expect(bucket.take(1_000 + waitMs - 1)).toBe(1);
    expect(bucket.take(1_000 + waitMs)).toBe(0);
    let taken = 0;
    for (let nowMs = 2_000; nowMs < 12_000; nowMs += 10) taken += bucket.take(nowMs) === 0 ? 1 : 0;
    // 200 in ten seconds, and what had gathered in the second before.
    expect(taken).toBeGreaterThanOrEqual(200);
    expect(taken).toBeLessThanOrEqual(220);
  });

  test('never more than the burst, and a clock that falls gives nothing', () => {
    const bucket = new Bucket({ perSecond: 1, burst: 2, nowMs: 0 });
    expect([bucket.take(1e9), bucket.take(1e9), bucket.take(1e9)]).toEqual([0, 0, 1_000]);
    expect(bucket.take(0)).toBe(1_000);
  });
});

describe('invitations', () => {
  const invite = {
    groupId: asId(77n),
    inviter: parseUserId('爱丽丝')!,
    expiresAt: timeMs(1_790_000_000_000),
    mac: new Uint8Array(16).fill(5),
  };

  test('there and back', () => {
    expect(parseInvite(inviteText(invite))).toEqual(invite);
  });

  test('no text makes it throw, and only whole ones are taken', () => {
    const text = inviteText(invite);
    for (let end = 0; end < text.length; end++) expect(parseInvite(text.slice(0, end))).toBeNull();
    for (const bad of [`${text}AAAA`, '!', '红', '\u0000', `${text} `]) {
      expect(parseInvite(bad)).toBeNull();
    }
    const zero = inviteText({ ...invite, groupId: asId(0n) });
    expect(parseInvite(zero)).toBeNull();
  });
});

test('Recent forgets the oldest; setting makes young again', () => {
  const recent = new Recent<number>(2);
  recent.set('a', 1);
  recent.set('b', 2);
  recent.set('a', 3);
  recent.set('c', 4);
  expect([recent.get('a'), recent.get('b'), recent.get('c'), recent.size]).toEqual([
    3,
    undefined,
    4,
    2,
  ]);
  expect([recent.delete('a'), recent.delete('a'), recent.has('c')]).toEqual([true, false, true]);
});

test('Waiters wake everybody of a key once, or give up', async () => {
  const clock = new ManualClock();
  const waiters = new Waiters(clock);
  const both = Promise.all([waiters.wait('k', 100), waiters.wait('k', 200)]);
  const other = waiters.wait('other', 50);
  waiters.wake('k');
  waiters.wake('nobody');
  expect(await both).toEqual([true, true]);
  clock.advance(50);
  expect(await other).toBe(false);
  expect(clock.nextDueMs()).toBeNull();
});

test('PacketMemo: an ended packet never lives again', () => {
  const memo = new PacketMemo(2);
  const event = {
    packetId: '9',
    groupId: '7',
    phase: 'live',
    sender: 'a',
    kind: 'lucky',
    count: 3,
    taken: 0,
    greeting: '',
    at: '1',
    expiresAt: '2',
    seedHash: Buffer.from([1]),
    seed: Buffer.alloc(0),
  };
  expect(memo.learn(event)).toMatchObject({
    packetId: 9n,
    groupId: 7n,
    phase: 'live',
    shown: { count: 3, seedHash: '01' },
  });
  expect(memo.learn({ ...event, phase: 'drained' }).phase).toBe('drained');
  expect(memo.learn({ ...event, phase: 'progress' }).phase).toBe('drained');
  memo.learn({ ...event, packetId: '10' });
  memo.end('10', 'expired');
  expect(memo.get('10')?.phase).toBe('expired');
  expect(memo.learn({ ...event, packetId: '11', phase: 'refunded' }).phase).toBe('expired');
  expect(memo.get('9')).toBeUndefined();
  // What the owner tells a stranger, and then what it tells a member.
  const bare = { ...event, packetId: '12', phase: '', count: 0 };
  expect(memo.learn(bare)).toMatchObject({ groupId: 7n, shown: null, phase: 'live' });
  expect(memo.learn({ ...event, packetId: '12' }).shown?.count).toBe(3);
  expect(memo.learn(bare).shown?.count).toBe(3);
  expect(memo.get('12')?.shown?.count).toBe(3);
});

test('a page is cut at its bytes, from the end that was asked for', () => {
  const message = (seq: number) => ({
    groupId: '1',
    seq: `${seq}`,
    sender: 'a',
    kind: 'text',
    body: '红'.repeat(100),
    at: '0',
    clientMsgId: '',
  });
  const page = [1, 2, 3, 4].map(message);
  const seqs = (reverse: boolean, bytesMax: number): string[] =>
    cutPage(page, { reverse, bytesMax }).map(({ seq }) => seq);
  expect(seqs(false, 1_000)).toEqual(['1', '2']);
  expect(seqs(true, 1_000)).toEqual(['3', '4']);
  expect(seqs(true, 1)).toEqual(['4']);
  expect(seqs(false, 1)).toEqual(['1']);
  expect(seqs(false, 2_000)).toEqual(['1', '2', '3', '4']);
  expect(cutPage([], { reverse: true, bytesMax: 1 })).toEqual([]);
});

test('limits that contradict each other do not start', () => {
  expect(() => limitsWith({ pageBytesMax: 100_000 })).toThrow('one page never closes a socket');
  expect(() => limitsWith({ grantUseMs: 60_000 })).toThrow('arrives while it holds');
  expect(limitsWith({ requestsBurst: 7 }).requestsBurst).toBe(7);
});

describe('configuration', () => {
  const secret = `--token-secret=${'s'.repeat(32)}`;

  test('a node does not start on a weak secret, or with money for anybody', () => {
    expect(() => readAccessConfig([])).toThrow('tokenSecret has at least 32 bytes');
    expect(() => readAccessConfig(['--token-secret=short'])).toThrow('at least 32 bytes');
    expect(() => readAccessConfig([secret, '--demo-cents=5'])).toThrow('devTokens only');
    expect(readAccessConfig([secret, '--demo-cents=5', '--dev-tokens=true']).values).toMatchObject({
      demoCents: 5,
      devTokens: true,
    });
    const shown = JSON.stringify(readAccessConfig([secret]).lines);
    expect(shown).not.toContain('ssss');
  });

  test('a payment gateway goes with a key and a callback secret, which are never shown', () => {
    const url = '--gateway-url=https://pay';
    const strong = `--gateway-callback-secret=${'c'.repeat(32)}`;
    expect(readAccessConfig([secret]).values.gatewayUrl).toBe('');
    expect(() => readAccessConfig([secret, url])).toThrow('gatewayCallbackSecret has at least 32');
    const short = '--gateway-callback-secret=c';
    expect(() => readAccessConfig([secret, url, short])).toThrow('at least 32');
    expect(() => readAccessConfig([secret, url, strong])).toThrow('goes with a gatewayKey');
    const shown = JSON.stringify(
      readAccessConfig([secret, url, strong, '--gateway-key=kkkk']).lines,
    );
    expect(shown).toContain('https://pay');
    expect(shown).not.toMatch(/cccc|kkkk/);
    expect(() => readReconcilerConfig([url])).toThrow('goes with a gatewayKey');
    expect(readReconcilerConfig([url, '--gateway-key=k']).values.gatewayKey).toBe('k');
  });

  test('origins', () => {
    expect(originsOf('')).toBeNull();
    expect(originsOf('https://a, https://b,')).toEqual(['https://a', 'https://b']);
  });
});

describe('Session', () => {
  function open(takes = true) {
    const clock = new ManualClock();
    const log: string[] = [];
    const socket: Socket = {
      write: (frames) => {
        log.push(frames.join('+'));
        return takes;
      },
      subscribe: (topic) => void log.push(`sub ${topic}`),
      unsubscribe: (topic) => void log.push(`unsub ${topic}`),
      end: (code) => void log.push(`end ${code}`),
      cut: () => void log.push('cut'),
    };
    const session = new Session({ socket, outlet: new Outlet(clock), clock, limits: limitsWith() });
    return { clock, log, session };
  }

  test('what is said in one turn leaves in one write', () => {
    const { clock, log, session } = open();
    session.send('a');
    session.send('b');
    expect(log).toEqual([]);
    clock.advance(0);
    expect(log).toEqual(['a+b']);
  });

  test('what is told leaves before the next reply, in the order of saying, or after a moment', () => {
    const { clock, log, session } = open();
    session.tell('news');
    clock.advance(0);
    expect(log).toEqual([]);
    session.send('reply');
    session.tell('more');
    clock.advance(0);
    expect(log).toEqual(['news+reply+more']);
    session.tell('alone');
    clock.advance(50);
    expect(log).toEqual(['news+reply+more', 'alone']);
  });

  test('much news does not wait to become more', () => {
    const { clock, log, session } = open();
    for (let count = 0; count < 64; count++) session.tell('x');
    clock.advance(0);
    expect(log).toEqual([Array.from({ length: 64 }, () => 'x').join('+')]);
  });

  test('closing writes what waits, then nothing ever again', () => {
    const { clock, log, session } = open();
    session.send('last');
    session.close('token');
    session.send('late');
    session.subscribe('g/1');
    session.close('restart');
    session.flush();
    session.cut();
    clock.advance(10_000);
    expect(log).toEqual(['last', 'end 4002']);
    expect(clock.nextDueMs()).toBeNull();
  });

  test('a socket that takes nothing is cut, and not from inside the write', () => {
    const { clock, log, session } = open(false);
    session.send('a');
    session.flush();
    session.send('b');
    expect(log).toEqual(['a']);
    clock.advance(0);
    expect(log).toEqual(['a', 'cut']);
    expect(session.state.phase).toBe('closing');
  });

  test('no hello closes it; a socket that is gone is left alone', () => {
    const mute = open();
    mute.clock.advance(2_999);
    expect(mute.log).toEqual([]);
    mute.clock.advance(1);
    expect(mute.log).toEqual(['end 4001']);
    const gone = open();
    gone.session.gone();
    gone.clock.advance(10_000);
    expect(gone.log).toEqual([]);
  });
});
