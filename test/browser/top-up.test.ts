/** From the button in the chat, over the sandbox's page, back into the wallet that is shown. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { App } from './app.ts';
import { freePort, startApp } from './app.ts';
import type { LaunchedChromium } from './chromium.ts';
import { launchChromium } from './chromium.ts';
import { CALM, DESKTOP, Person } from './person.ts';

const WITHIN = { timeout: 15_000, interval: 50 };

let chromium: LaunchedChromium;
let dir: string;
let app: App;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hongbao-top-up-'));
  chromium = await launchChromium();
  app = await startApp({ dataDir: join(dir, 'data'), port: await freePort() });
}, 300_000);

afterAll(async () => {
  await Promise.all([chromium?.close(), app?.kill()]);
  await rm(dir, { recursive: true, force: true });
});

test('somebody pays 12.50 on the checkout page, and it is in the wallet', async () => {
  const { browser } = chromium;
  const anna = await Person.create({ browser, name: 'anna', options: { ...DESKTOP, ...CALM } });
  await anna.signIn(app.url);
  await expect.poll(() => anna.balance(), WITHIN).toBe(200_000);
  await anna.page.getByTestId('top-up').click();
  await anna.page.getByTestId('topup-amount').fill('12.5');
  await anna.page.getByTestId('topup-ask').click();
  const opened = anna.page.waitForEvent('popup');
  await anna.page.getByTestId('topup-pay').click();
  const checkout = await opened;
  expect(await checkout.textContent('body')).toContain('Amount: 12.50');
  await checkout.getByRole('button', { name: 'Pay' }).click();
  await expect.poll(() => checkout.textContent('body'), WITHIN).toContain('State: paid');
  await expect.poll(() => anna.balance(), WITHIN).toBe(201_250);
}, 60_000);
