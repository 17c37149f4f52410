import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from './apt.ts';
import { fileExists, unpackedRoot } from './roots.ts';
import type { Context } from './roots.ts';
import { specOf } from './sets.ts';

const CONFIG_FILE = 'hongbao-fonts.conf';

/**
 * The environment that gives a browser Chinese and emoji fonts; empty where the system has them.
 * Throws ProvisionError when only private ones may be used and they cannot be fetched.
 */
export async function fontEnvironment(context: Context): Promise<Record<string, string>> {
  // Other systems ship such fonts.
  if (process.platform !== 'linux') return {};
  const present = await Promise.all(
    specOf('fonts').files.map((file) => fileExists(join('/', file))),
  );
  if (!context.isPrivate && present.every(Boolean)) return {};
  let root: string;
  try {
    root = await unpackedRoot('fonts', context);
  } catch (error) {
    if (context.isPrivate) throw error;
    // A system that is not Debian may keep such fonts elsewhere; the fonts test is the judge.
    context.log(messageOf(error));
    return {};
  }
  const file = join(root, CONFIG_FILE);
  const text = configText(root, join(context.runtimeDir, 'font-cache'));
  // Written again when the checkout was moved: the paths in it are absolute.
  if ((await readFile(file, 'utf8').catch(() => null)) !== text) await writeFile(file, text);
  return { FONTCONFIG_FILE: file, XDG_DATA_HOME: join(root, 'usr/share') };
}

/** Ours on top of the system's: a bare machine has no /etc/fonts, a bare user no writable cache. */
function configText(root: string, cache: string): string {
  const families = ['WenQuanYi Micro Hei', 'Noto Color Emoji'];
  const fallback = families.map((family) => `<family>${family}</family>`).join('');
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">',
    '<fontconfig>',
    `  <dir>${escapeXml(join(root, 'usr/share/fonts'))}</dir>`,
    `  <cachedir>${escapeXml(cache)}</cachedir>`,
    '  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>',
    ...['sans-serif', 'serif', 'monospace'].map(
      (generic) => `  <alias><family>${generic}</family><default>${fallback}</default></alias>`,
    ),
    '</fontconfig>',
    '',
  ].join('\n');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
