/** Somebody who uses the chat page: taps and types as people do, and reads what it shows. */
import type {
  Browser,
  BrowserContext,
  BrowserContextOptions,
  Locator,
  Page,
} from 'playwright-core';

export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
export const DESKTOP = { viewport: { width: 1280, height: 800 } };
/** Confetti on every page at once would take longer than all the rest. */
export const CALM = { reducedMotion: 'reduce' } as const;

/** Nothing in a page takes this long while its server is there. */
const ACTION_MS = 8_000;

export type ShownClaim = {
  readonly user: string | null;
  readonly cents: number;
  readonly isBest: boolean;
};

/** The cents in `¥1,234.50`, exactly. Throws for anything else. */
function centsIn(text: string | null): number {
  const match = /^¥(\d{1,3}(?:,\d{3})*)\.(\d\d)$/.exec(text ?? '');
  if (match === null) throw new Error(`'${text}' is no amount`);
  return Number(match[1]!.replaceAll(',', '')) * 100 + Number(match[2]);
}

/** Has a browser context of their own. Whatever a page complains about is kept. */
export class Person {
  readonly name: string;
  readonly context: BrowserContext;
  /** Errors and warnings of the console, uncaught errors, policy violations, dialogs. */
  readonly complaints: string[] = [];
  #page: Page | null = null;

  private constructor(name: string, context: BrowserContext) {
    this.name = name;
    this.context = context;
  }

  static async create(args: {
    readonly browser: Browser;
    readonly name: string;
    readonly options?: BrowserContextOptions;
  }): Promise<Person> {
    const place = { locale: 'en-GB', timezoneId: 'Asia/Shanghai' };
    const context = await args.browser.newContext({ ...place, ...args.options });
    context.setDefaultTimeout(ACTION_MS);
    await context.addInitScript(`addEventListener('securitypolicyviolation', (event) =>
      console.error('violated ' + event.violatedDirective + ' ' + event.blockedURI))`);
    return new Person(args.name, context);
  }

  /** Throws before the first visit. */
  get page(): Page {
    if (this.#page === null) throw new Error(`${this.name} has no page`);
    return this.#page;
  }

  /** The element or elements with this `data-testid`. */
  at(testId: string): Locator {
    return this.page.getByTestId(testId);
  }

  /** Drops the complaints that fit: they were to be expected. */
  forgive(pattern: RegExp): void {
    const rest = this.complaints.filter((what) => !pattern.test(what));
    this.complaints.splice(0, Infinity, ...rest);
  }

  /** Opens a new page; complaints of an earlier one are kept. */
  async visit(url: string): Promise<void> {
    const page = await this.context.newPage();
    const complain = (what: string): void => void this.complaints.push(`${this.name}: ${what}`);
    page.on('console', (message) => {
      if (['error', 'warning', 'assert'].includes(message.type())) complain(message.text());
    });
    page.on('pageerror', (error) => complain(`uncaught ${error.message}`));
    page.on('crash', () => complain('the page crashed'));
    page.on('dialog', (dialog) => {
      complain(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    this.#page = page;
    await page.goto(url);
  }

  async signIn(url: string): Promise<void> {
    await this.visit(url);
    await this.at('signin-name').fill(this.name);
    await this.at('signin-go').click();
    await this.at('balance').waitFor();
  }

  /** Resolves with the invitation link. */
  async createGroup(name: string): Promise<string> {
    await this.at('new-group').click();
    await this.at('group-name').fill(name);
    await this.at('group-create').click();
    return this.at('invite-link').inputValue();
  }

  async say(text: string): Promise<void> {
    await this.at('message-input').fill(text);
    await this.at('message-send').click();
  }

  /** Waits until one confirmed message says exactly this; two are an error. */
  async sees(text: string): Promise<void> {
    const sent = this.page.locator('[data-testid=message][data-state=sent]');
    await sent.getByText(text, { exact: true }).waitFor();
  }

  /** `amount` as it is typed; resolves when the packet is in the conversation. */
  async sendPacket(packet: {
    readonly amount: string;
    readonly count: number;
    readonly greeting: string;
  }): Promise<void> {
    await this.at('packet-new').click();
    await this.at('packet-amount').fill(packet.amount);
    await this.at('packet-count').fill(String(packet.count));
    await this.at('packet-greeting').fill(packet.greeting);
    await this.at('packet-send').click();
    await this.bubble(packet.greeting).waitFor();
  }

  /** The packet with this greeting, in the conversation. */
  bubble(greeting: string): Locator {
    return this.at('packet-bubble').filter({ has: this.page.getByText(greeting, { exact: true }) });
  }

  /** Opens a packet and leaves its sheet open; resolves with the cents that it announces. */
  async open(greeting: string): Promise<number> {
    await this.bubble(greeting).click();
    await this.at('packet-open').click();
    return this.won();
  }

  /** The large amount on the open sheet, cents. */
  async won(): Promise<number> {
    return centsIn(await this.at('packet-amount-won').textContent());
  }

  /** Who got what, as the open sheet shows it, newest first. */
  async claims(): Promise<ShownClaim[]> {
    const rows = await this.at('packet-claim-row').all();
    return Promise.all(
      rows.map(async (row) => ({
        user: await row.getAttribute('data-user'),
        cents: centsIn(await row.locator('.claim-amount').textContent()),
        isBest: (await row.getByTestId('packet-best').count()) === 1,
      })),
    );
  }

  async closeSheet(): Promise<void> {
    await this.at('packet-close').click();
    await this.at('packet-close').waitFor({ state: 'detached' });
  }

  /** What the wallet shows, cents. */
  async balance(): Promise<number> {
    return centsIn(await this.at('balance').textContent());
  }

  async isConnected(): Promise<boolean> {
    return (await this.at('connection').getAttribute('data-state')) === 'connected';
  }
}
