/** The SDK's pure parts: order, backoff, money that arrives, marks, frames. */
import { expect, test } from 'vitest';
import { fullJitterMs } from '../../client/backoff.ts';
import { Marks } from '../../client/marks.ts';
import type { Platform } from '../../client/platform.ts';
import type { Message, Outputs, WalletEvent } from '../../client/protocol.ts';
import { GroupStream } from '../../client/stream.ts';
import { Wallet } from '../../client/wallet.ts';
import type { Balance } from '../../client/wallet.ts';
import { parseFrame } from '../../client/wire.ts';

function message(seq: number): Message {
  return { groupId: '1', seq, sender: 'bob', kind: 'text', body: '', at: 1, clientMsgId: '' };
}

const seqs = (messages: readonly Message[]): number[] => messages.map((one) => one.seq);

test('a stream hands out every message once, in order, whatever order they come in', () => {
  const orders = [
    [6, 7, 8, 9],
    [9, 8, 7, 6],
    [7, 9, 6, 8],
    [6, 6, 8, 8, 7, 7, 9, 6],
    [5, 9, 4, 6, 8, 7],
  ];
  for (const order of orders) {
    const stream = new GroupStream(5);
    const out = order.flatMap((seq) => stream.accept(message(seq)));
    expect(seqs(out)).toEqual([6, 7, 8, 9]);
    expect(stream.known).toBe(9);
    expect(stream.missing()).toBeNull();
  }
});

test('a stream names its first hole, also one behind the last message', () => {
  const stream = new GroupStream(5);
  stream.accept(message(9));
  stream.accept(message(11));
  expect(stream.missing()).toEqual({ from: 6, to: 8 });
  stream.aim(20);
  expect(seqs([6, 7, 8].flatMap((seq) => stream.accept(message(seq))))).toEqual([6, 7, 8, 9]);
  expect(stream.missing()).toEqual({ from: 10, to: 10 });
  expect(seqs(stream.skipTo(10))).toEqual([11]);
  expect(stream.missing()).toEqual({ from: 12, to: 20 });
});

test('a stream with ten thousand messages ahead keeps few of them and still names the hole', () => {
  const stream = new GroupStream(0);
  for (let seq = 2; seq <= 10_000; seq++) stream.accept(message(seq));
  expect(stream.missing()).toEqual({ from: 1, to: 1 });
  const out = seqs(stream.accept(message(1)));
  expect(out.length).toBeLessThan(600);
  expect(stream.missing()).toEqual({ from: out.length + 1, to: 10_000 });
});

test('waits grow to ten seconds and are spread over the whole range', () => {
  for (let attempt = 0; attempt < 60; attempt++) {
    expect(fullJitterMs({ attempt, random: 0 })).toBe(100);
    const most = fullJitterMs({ attempt, random: 1 });
    expect(most).toBe(Math.min(10_000, 200 * 2 ** attempt));
  }
  expect(fullJitterMs({ attempt: 9, random: 0.5 })).toBe(5_050);
});

test('marks keep the newest of every Set', () => {
  const marks = new Marks();
  for (const mark of ['1:256:10', '1:256:9', '2:256:1', '1:512:3', '1:256:11', 'nonsense']) {
    marks.note(mark);
  }
  expect(Object.fromEntries(marks.all())).toEqual({ '1': '1:512:3', '2': '2:256:1' });
});

test('frames: answers, refusals, events, and what is none of them', () => {
  expect(parseFrame('{"id":7,"ok":true,"d":{"a":1},"level":"full"}')).toEqual({
    kind: 'answer',
    id: 7,
    d: { a: 1 },
    level: 'full',
  });
  const refusal = parseFrame(
    '{"id":7,"ok":false,"error":{"code":"overloaded","message":"m","retryable":true,"retryAfterMs":5}}',
  );
  expect(refusal).toMatchObject({ kind: 'refusal', id: 7, error: { code: 'overloaded' } });
  expect(refusal).toMatchObject({ error: { final: false, retryAfterMs: 5 } });
  expect(parseFrame('{"id":null,"ok":false,"error":{"code":"bad_json"}}')).toMatchObject({
    kind: 'refusal',
    error: { code: 'bad_json', final: true },
  });
  expect(parseFrame('{"ev":"wallet","d":{}}')).toEqual({ kind: 'event', name: 'wallet', d: {} });
  for (const text of ['', '{', '[]', 'null', '7', '{"id":1}', '{"id":"1","ok":true}']) {
    expect(parseFrame(text)).toBeNull();
  }
});

/** Time that stands still until the test moves it. */
class Stage {
  #nowMs = 0;
  #timers: { at: number; run: () => void }[] = [];
  answers: Outputs['wallet.get'][] = [];
  asked = 0;
  readonly shown: Balance[] = [];
  readonly wallet: Wallet;

  constructor() {
    const platform: Pick<Platform, 'after' | 'random'> = {
      random: () => 0.5,
      after: (delayMs, run) => {
        const timer = { at: this.#nowMs + delayMs, run };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((one) => one !== timer);
        };
      },
    };
    this.wallet = new Wallet({
      platform: platform as Platform,
      get: () => {
        this.asked += 1;
        const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
        return Promise.resolve(answer!);
      },
      changed: (balance) => this.shown.push(balance),
    });
  }

  async pass(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#nowMs = next.at;
      this.#timers = this.#timers.filter((one) => one !== next);
      next.run();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
    this.#nowMs = end;
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

const answer = (balanceCents: number, arrivingCents: number): Outputs['wallet.get'] => ({
  balanceCents,
  arrivingCents,
  arrivingComplete: true,
  mark: '0:1:1',
});

const claim = (packetId: string, amountCents: number, balanceCents: number): WalletEvent => ({
  packetId,
  amountCents,
  balanceCents,
  reason: 'claim',
  at: 1,
});

test('what was won is arriving until its event comes, and then counted once', async () => {
  const stage = new Stage();
  stage.answers = [answer(1_000, 0)];
  stage.wallet.refresh();
  await stage.pass(0);
  stage.wallet.opened('p1', 30);
  stage.wallet.opened('p2', 12);
  expect(stage.wallet.balance).toEqual({ balanceCents: 1_000, arrivingCents: 42 });
  stage.wallet.event(claim('p1', 30, 1_030));
  expect(stage.wallet.balance).toEqual({ balanceCents: 1_030, arrivingCents: 12 });
  stage.wallet.event(claim('p2', 12, 1_042));
  expect(stage.wallet.balance).toEqual({ balanceCents: 1_042, arrivingCents: 0 });
});

test('an event that overtakes the answer to the open leaves nothing arriving', async () => {
  const stage = new Stage();
  stage.answers = [answer(1_000, 0)];
  stage.wallet.refresh();
  await stage.pass(0);
  stage.wallet.event(claim('p1', 30, 1_030));
  stage.wallet.opened('p1', 30);
  expect(stage.wallet.balance).toEqual({ balanceCents: 1_030, arrivingCents: 0 });
});

test('a lost wallet event is found by asking again, with growing waits', async () => {
  const stage = new Stage();
  stage.answers = [answer(1_000, 0), answer(1_000, 30), answer(1_000, 30), answer(1_030, 0)];
  stage.wallet.refresh();
  await stage.pass(0);
  stage.wallet.opened('p1', 30);
  await stage.pass(60_000);
  expect(stage.wallet.balance).toEqual({ balanceCents: 1_030, arrivingCents: 0 });
  expect(stage.asked).toBe(4);
  await stage.pass(600_000);
  expect(stage.asked).toBe(4);
});

test('an answer that an event overtook does not turn the balance back', async () => {
  const stage = new Stage();
  stage.answers = [answer(1_000, 30), answer(1_030, 0)];
  stage.wallet.refresh();
  stage.wallet.event(claim('p1', 30, 1_030));
  await stage.pass(0);
  expect(stage.wallet.balance?.balanceCents).toBe(1_030);
  await stage.pass(10_000);
  expect(stage.wallet.balance).toEqual({ balanceCents: 1_030, arrivingCents: 0 });
  expect(stage.shown.some((one) => one.balanceCents === 1_000)).toBe(false);
});
