/** 红包 must be readable in every picture we take: a box where a character belongs is a bug. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, livingMembers } from './chromium.ts';
import type { LaunchedChromium } from './chromium.ts';

type Glyph = {
  /** Which pixels of the canvas are inked, as text. */
  readonly shape: string;
  readonly inked: number;
  readonly coloured: number;
};

/** No font may ever have a glyph for a noncharacter: what it draws is the missing-glyph box. */
const NONCHARACTER = '\u{10FFFE}';
/** The first use of a machine fetches the browser. */
const SET_UP_TIMEOUT_MS = 300_000;
const FAMILIES = ['sans-serif', 'serif', 'monospace'];

/** Runs in the page; text, because the servers' type check has no DOM. */
const DRAW = `(char, family) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
  const context = canvas.getContext('2d');
  context.font = '40px ' + family;
  context.textBaseline = 'top';
  context.fillText(char, 4, 8);
  const { data } = context.getImageData(0, 0, 64, 64);
  let shape = '', inked = 0, coloured = 0;
  for (let i = 0; i < data.length; i += 4) {
    const isInk = data[i + 3] > 127;
    shape += isInk ? '#' : '.';
    inked += isInk ? 1 : 0;
    const spread = Math.max(data[i], data[i + 1], data[i + 2])
      - Math.min(data[i], data[i + 1], data[i + 2]);
    coloured += isInk && spread > 60 ? 1 : 0;
  }
  return { shape, inked, coloured };
}`;

async function draw(page: Page, char: string, family = 'sans-serif'): Promise<Glyph> {
  return page.evaluate<Glyph>(`(${DRAW})(${JSON.stringify(char)}, ${JSON.stringify(family)})`);
}

async function isReadable(page: Page, char: string, family = 'sans-serif'): Promise<boolean> {
  const [glyph, box] = [await draw(page, char, family), await draw(page, NONCHARACTER, family)];
  return glyph.inked > 0 && glyph.shape !== box.shape;
}

describe('with the provisioned fonts', () => {
  let chromium: LaunchedChromium;
  let page: Page;

  beforeAll(async () => {
    chromium = await launchChromium();
    page = await chromium.browser.newPage();
  }, SET_UP_TIMEOUT_MS);
  afterAll(async () => chromium?.close());

  test.each(FAMILIES)('红 and 包 are two characters, not two boxes, in %s', async (family) => {
    expect(await isReadable(page, '红', family)).toBe(true);
    expect(await isReadable(page, '包', family)).toBe(true);
    const [hong, bao] = [await draw(page, '红', family), await draw(page, '包', family)];
    expect(hong.shape).not.toBe(bao.shape);
  });

  test('emoji are pictures in colour', async () => {
    const [envelope, party] = [await draw(page, '🧧'), await draw(page, '🎉')];
    expect(await isReadable(page, '🧧')).toBe(true);
    expect(await isReadable(page, '🎉')).toBe(true);
    expect(envelope.shape).not.toBe(party.shape);
    expect(envelope.coloured).toBeGreaterThan(100);
    expect(party.coloured).toBeGreaterThan(100);
    expect((await draw(page, '红')).coloured).toBe(0);
  });

  test('planted: a private-use character is recognised as a box', async () => {
    expect((await draw(page, NONCHARACTER)).inked).toBeGreaterThan(0);
    expect(await isReadable(page, '\u{E123}')).toBe(false);
  });
});

test(
  'planted: without the fonts 红 is recognised as unreadable, and no process stays',
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hongbao-fonts-'));
    const config = join(dir, 'fonts.conf');
    await writeFile(config, `<fontconfig><cachedir>${dir}/cache</cachedir></fontconfig>\n`);
    const chromium = await launchChromium({ env: { FONTCONFIG_FILE: config, XDG_DATA_HOME: dir } });
    try {
      const page = await chromium.browser.newPage();
      expect(await isReadable(page, '红')).toBe(false);
      expect(await livingMembers(chromium.pid)).toBeGreaterThan(2);
    } finally {
      await chromium.close();
      await rm(dir, { recursive: true, force: true });
    }
    expect(await livingMembers(chromium.pid)).toBe(0);
  },
  SET_UP_TIMEOUT_MS,
);
