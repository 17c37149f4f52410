import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Mutant, Patch } from './mutant.ts';

// This file imports nothing of the code under test: what is loaded before a hook stays as it is.

const ROOT = new URL('../../../', import.meta.url);

/** A patch that does not fit the source any more: the code has moved on, the mutant must follow. */
export class PatchDoesNotApply extends Error {
  override readonly name = 'PatchDoesNotApply';
}

/**
 * From here on this thread loads the files of the mutant's patches with the mistake in them. Call it
 * before anything imports them; a process has no way back. Throws PatchDoesNotApply.
 */
export function plant({ patches }: Pick<Mutant, 'patches'>): void {
  const sources = patchedSources(patches);
  registerHooks({
    load: (url, context, nextLoad) => {
      const source = sources.get(url);
      if (source === undefined) return nextLoad(url, context);
      return { format: 'module-typescript', source, shortCircuit: true };
    },
  });
}

/**
 * Proves of every mutant that its patches apply, each exactly once, and that what comes out still
 * parses. Throws PatchDoesNotApply, and the parser's SyntaxError, with the mutant's name.
 */
export function checkPatches(mutants: readonly Pick<Mutant, 'name' | 'patches'>[]): void {
  for (const { name, patches } of mutants) {
    if (patches.length === 0) throw new PatchDoesNotApply(`${name} changes nothing`);
    try {
      for (const source of patchedSources(patches).values()) stripTypeScriptTypes(source);
    } catch (error) {
      if (error instanceof Error) error.message = `${name}: ${error.message}`;
      throw error;
    }
  }
}

/** URL → the text with all patches of that file in it, one after the other. */
function patchedSources(patches: readonly Patch[]): Map<string, string> {
  const sources = new Map<string, string>();
  for (const patch of patches) {
    const { href } = new URL(patch.file, ROOT);
    sources.set(
      href,
      patched(sources.get(href) ?? readFileSync(fileURLToPath(href), 'utf8'), patch),
    );
  }
  return sources;
}

function patched(source: string, { file, find, replace }: Patch): string {
  const parts = source.split(find);
  const [before, after] = parts;
  if (find === '' || before === undefined || after === undefined || parts.length !== 2) {
    const times = parts.length - 1;
    throw new PatchDoesNotApply(`${file} has this ${times} times, not once: ${find}`);
  }
  return `${before}${replace}${after}`;
}
