/** The whole way, from a tap in a real browser to the journal of the real process and back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort, openLine, startApp } from './app.ts';
import type { App, Line } from './app.ts';
import { launchChromium } from './chromium.ts';
import type { LaunchedChromium } from './chromium.ts';
import { CALM, DESKTOP, PHONE, Person } from './person.ts';
import type { ShownClaim } from './person.ts';
import { takePictures } from './pictures.ts';

/** The first use of a machine fetches the browser. */
const SET_UP_TIMEOUT_MS = 300_000;
/** Full jitter: a page that has failed a few times waits for some seconds before it tries again. */
const RECONNECT_MS = 15_000;
const DEMO_CENTS = 200_000;

/** Would run, redirect or load something if any of it were taken for more than text. */
const HOSTILE_GROUP = '<img src=x onerror=alert(1)> & <b>friends</b> 一家人';
const HOSTILE_TEXT = '<img src=x onerror=alert(1)><script>alert(2)</script>';
const HOSTILE_GREETING = '</button><svg onload=alert(3)> 红包';
/** What they would have become. */
const HOSTILE_ELEMENTS = 'img, script, b, [onerror], [onload]';
/** What Chromium itself logs while there is no network or no server; a page cannot prevent it. */
const NETWORK_IS_AWAY =
  /net::ERR_(?:CONNECTION_|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE|INTERNET_DISCONNECTED)/;

let chromium: LaunchedChromium;
let dir: string;
let app: App;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hongbao-first-light-'));
  // One after the other: should the second fail, the first is known and gets closed.
  chromium = await launchChromium();
  app = await startApp({ dataDir: join(dir, 'data'), port: await freePort() });
}, SET_UP_TIMEOUT_MS);

afterAll(async () => {
  try {
    // Only when somebody asks: a test run changes no file of the tree.
    if (process.env['HONGBAO_PICTURES'] === '1') {
      await takePictures({ browser: chromium.browser, url: app.url });
    }
  } finally {
    await Promise.all([chromium?.close(), app?.kill()]);
    await rm(dir, { recursive: true, force: true });
  }
});

/** `expect` on what a page shows in the end. */
const eventually = (read: () => unknown, timeoutMs = 8_000) =>
  expect.poll(read, { timeout: timeoutMs, interval: 20 });

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

async function balancesOf(people: readonly Person[]): Promise<number[]> {
  return Promise.all(people.map((person) => person.balance()));
}

/** Each test goes on where the one before it ended, as people do. */
describe('first light', () => {
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let dave: Person;
  /** Carol's, which is not the best. */
  let line: Line;
  let invitation: string;
  /** What everybody must own by now, cents, by name. */
  const owns = new Map<string, number>();
  let isBroken = false;
  let firstClaims: readonly ShownClaim[];

  function owned(person: Person): number {
    return owns.get(person.name) ?? DEMO_CENTS;
  }

  function moved(person: Person, cents: number): void {
    owns.set(person.name, owned(person) + cents);
  }

  /** All at once; resolves with what each of them got, cents. Their sheets stay open. */
  async function openAll(people: readonly Person[], greeting: string): Promise<number[]> {
    return Promise.all(
      people.map(async (person) => {
        const cents = await person.open(greeting);
        moved(person, cents);
        return cents;
      }),
    );
  }

  async function walletsAreRight(...people: readonly Person[]): Promise<void> {
    await eventually(() => balancesOf(people)).toEqual(people.map(owned));
  }

  const everybody = (): Person[] => [alice, bob, carol, dave];
  const connected = (): Promise<boolean[]> =>
    Promise.all(everybody().map((person) => person.isConnected()));

  afterAll(() => line?.close());

  beforeEach(() => {
    if (isBroken) throw new Error('the step before this one has failed');
  });
  afterEach(({ task }) => {
    isBroken ||= task.result?.state === 'fail';
    const complaints = everybody().flatMap((person) => person.complaints);
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
  });

  beforeAll(async () => {
    const { browser } = chromium;
    line = await openLine(app.port);
    [alice, bob, carol, dave] = await Promise.all([
      Person.create({ browser, name: 'alice', options: { ...DESKTOP, ...CALM } }),
      Person.create({ browser, name: 'bob', options: PHONE }),
      Person.create({
        browser,
        name: 'carol',
        options: { ...PHONE, ...CALM, colorScheme: 'dark' },
      }),
      Person.create({ browser, name: 'dave', options: { ...DESKTOP, ...CALM } }),
    ]);
  });

  test('alice creates a group, bob and carol join by its link, all read all', async () => {
    await alice.signIn(app.url);
    invitation = await alice.createGroup(HOSTILE_GROUP);
    expect(invitation.startsWith(`${app.url}/#join=`)).toBe(true);
    await Promise.all([
      bob.signIn(invitation),
      carol.signIn(invitation.replace(app.url, line.url)),
    ]);
    await walletsAreRight(alice, bob, carol);

    const people = [alice, bob, carol];
    for (const person of people) await person.at('message-input').waitFor();
    await alice.say('新年快乐！');
    await bob.say(HOSTILE_TEXT);
    await carol.say('  Happy new year 🎉\nto you all  ');
    for (const person of people) {
      await person.sees('新年快乐！');
      await person.sees(HOSTILE_TEXT);
      await person.sees('Happy new year 🎉 to you all');
      expect(await person.page.locator('h2', { hasText: 'friends' }).allTextContents()).toEqual([
        HOSTILE_GROUP,
      ]);
    }
    await eventually(() => carol.page.getByText('3 members').count()).toBe(1);
  });

  test('three open ¥10.00 in 3 shares: they sum to it, and the wallets show them', async () => {
    const people = [alice, bob, carol];
    await alice.sendPacket({ amount: '10.00', count: 3, greeting: HOSTILE_GREETING });
    moved(alice, -1_000);
    await walletsAreRight(...people);

    const won = await openAll(people, HOSTILE_GREETING);
    expect(Math.min(...won)).toBeGreaterThan(0);
    expect(sum(won)).toBe(1_000);
    await walletsAreRight(...people);
    expect(sum(await balancesOf(people))).toBe(3 * DEMO_CENTS);

    for (const person of people) {
      const shown = async (): Promise<Record<string, number>> =>
        Object.fromEntries((await person.claims()).map(({ user, cents }) => [user, cents]));
      await eventually(shown).toEqual({ alice: won[0], bob: won[1], carol: won[2] });
      await person.at('packet-best').waitFor();
      const best = (await person.claims()).filter(({ isBest }) => isBest);
      expect(best.map(({ cents }) => cents)).toEqual([Math.max(...won)]);
    }
    for (const person of people) {
      expect(await person.page.locator('#app').locator(HOSTILE_ELEMENTS).count()).toBe(0);
    }
    firstClaims = await alice.claims();
    expect(await bob.claims()).toEqual(firstClaims);
    expect(await carol.claims()).toEqual(firstClaims);
  });

  test('each of them draws the shares again and finds them as promised', async () => {
    for (const person of [alice, bob, carol]) {
      await person.at('packet-fair').locator('summary').click();
      await person.at('packet-verify').click();
      const verdict = person.at('packet-verdict').getByText('All 3 shares');
      expect(await verdict.textContent()).toBe(
        '✓ All 3 shares are exactly what the fingerprint promised.',
      );
      await person.closeSheet();
    }
  });

  test('a reload brings the same wallet, group and share', async () => {
    await bob.page.reload();
    await bob.sees(HOSTILE_TEXT);
    await walletsAreRight(bob);
    await eventually(() => bob.bubble(HOSTILE_GREETING).getAttribute('data-opened')).toBe('true');
    await bob.bubble(HOSTILE_GREETING).click();
    expect(await bob.won()).toBe(firstClaims.find(({ user }) => user === 'bob')?.cents);
    await bob.closeSheet();
  });

  test('carol was away: she sees what was said and opens the packet of that time', async () => {
    await carol.page.close();
    await alice.say('Where is carol?');
    await bob.say('On the train, no network');
    await alice.sendPacket({ amount: '6.66', count: 2, greeting: '一路平安' });
    moved(alice, -666);
    const bobs = await openAll([bob], '一路平安');
    await bob.closeSheet();

    await carol.signIn(line.url);
    expect(await carol.at('unread').textContent()).toBe('3');
    await carol.at('group-item').click();
    await carol.sees('Where is carol?');
    await carol.sees('On the train, no network');
    await eventually(() => carol.at('unread').count()).toBe(0);
    expect(sum([...bobs, ...(await openAll([carol], '一路平安'))])).toBe(666);
    await carol.closeSheet();
    await walletsAreRight(alice, bob, carol);
  });

  test('carol’s network fails and comes back: her page catches up by itself', async () => {
    await carol.context.setOffline(true);
    line.cut();
    await eventually(() => carol.isConnected()).toBe(false);
    await alice.say('Can you hear us?');
    await alice.sendPacket({ amount: '0.02', count: 2, greeting: '两分钱' });
    moved(alice, -2);
    await carol.context.setOffline(false);
    await eventually(() => carol.isConnected(), RECONNECT_MS).toBe(true);
    carol.forgive(NETWORK_IS_AWAY);
    await carol.sees('Can you hear us?');
    expect(await openAll([bob, carol], '两分钱')).toEqual([1, 1]);
    await Promise.all([bob.closeSheet(), carol.closeSheet()]);
    await walletsAreRight(alice, bob, carol);
  });

  test('dave comes too late: the packet says so and shows who got what', async () => {
    await dave.signIn(invitation);
    await dave.sees('新年快乐！');
    const bubble = dave.bubble(HOSTILE_GREETING);
    await eventually(() => bubble.getAttribute('data-phase')).toBe('drained');
    await bubble.click();
    await dave.at('packet-cover').getByText('手慢了，红包派完了').waitFor();
    expect(await dave.at('packet-open').count()).toBe(0);
    expect(await dave.at('packet-cover').locator('.problem').textContent()).toBe('');
    await dave.at('packet-details').click();
    await dave.at('packet-best').waitFor();
    expect(await dave.claims()).toEqual(firstClaims);
    expect(await dave.at('packet-amount-won').count()).toBe(0);
    await dave.closeSheet();
    await walletsAreRight(dave);
  });

  test('two tap the last share at once: one gets it, the other is told kindly', async () => {
    await alice.sendPacket({ amount: '8.88', count: 1, greeting: '手快有' });
    moved(alice, -888);
    const rivals = [bob, dave];
    for (const rival of rivals) {
      await rival.bubble('手快有').click();
      await rival.at('packet-open').waitFor();
    }
    // In the page: a click of the driver would wait for a button that the other has taken away.
    await Promise.all(
      rivals.map((rival) =>
        rival.page.evaluate(`document.querySelector(
        '[data-testid=packet-open]')?.click()`),
      ),
    );
    const tooLate = rivals.map((rival) => rival.at('packet-cover').getByText('手慢了，红包派完了'));
    const seen = async (): Promise<string> => {
      const won = await Promise.all(rivals.map((one) => one.at('packet-amount-won').count()));
      const lost = await Promise.all(tooLate.map((text) => text.count()));
      return won
        .map((count, index) => `won ${count} lost ${lost[index]}`)
        .toSorted()
        .join(', ');
    };
    await eventually(seen).toBe('won 0 lost 1, won 1 lost 0');
    for (const rival of rivals) {
      if ((await rival.at('packet-amount-won').count()) === 0) continue;
      expect(await rival.won()).toBe(888);
      moved(rival, 888);
    }
    for (const rival of rivals) await rival.closeSheet();
    await walletsAreRight(alice, bob, carol, dave);
  });

  test('kill -9 and a new start: pages come back by themselves, every cent is there', async () => {
    await alice.sendPacket({ amount: '5.00', count: 4, greeting: '打不倒的红包' });
    moved(alice, -500);
    const before = await openAll([bob], '打不倒的红包');
    await bob.closeSheet();
    await walletsAreRight(...everybody());

    await app.kill();
    await eventually(connected).toEqual([false, false, false, false]);
    await alice.say('Written while nobody was there');
    await alice.page.locator('[data-testid=message][data-state=sending]').waitFor();
    expect(await balancesOf(everybody())).toEqual(everybody().map(owned));

    const logBefore = app.log();
    app = await startApp({ dataDir: join(dir, 'data'), port: app.port });
    await eventually(connected, RECONNECT_MS).toEqual([true, true, true, true]);
    for (const person of everybody()) await person.sees('Written while nobody was there');
    await dave.say('Back again, all of us');
    for (const person of everybody()) await person.sees('Back again, all of us');

    await Promise.all(everybody().map((person) => person.page.reload()));
    await walletsAreRight(...everybody());
    const rest = await openAll([alice, carol, dave], '打不倒的红包');
    expect(sum([...before, ...rest])).toBe(500);
    await walletsAreRight(...everybody());
    expect(sum(await balancesOf(everybody()))).toBe(4 * DEMO_CENTS);
    for (const person of everybody()) person.forgive(NETWORK_IS_AWAY);
    for (const log of [logBefore, app.log()]) expect(log).not.toMatch(/"level":"error"/);
  });
});

test('planted: a script that is not ours is stopped, and heard of', async () => {
  const mallory = await Person.create({ browser: chromium.browser, name: 'mallory' });
  await mallory.visit(app.url);
  expect(mallory.complaints).toEqual([]);
  await mallory.page.evaluate(`document.body.append(Object.assign(
    document.createElement('script'), { textContent: 'globalThis.wasRun = true' }))`);
  await eventually(() => mallory.complaints.join()).toMatch(/violated script-src/);
  expect(await mallory.page.evaluate('globalThis.wasRun')).toBe(undefined);
  mallory.forgive(NETWORK_IS_AWAY);
  expect(mallory.complaints.length).toBeGreaterThan(0);
});
