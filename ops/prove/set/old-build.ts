/**
 * For `--import old-build.ts?while=FILE` of a set-node: while FILE exists at its start, the process
 * is a build from before, which reads and writes the rules 1 only.
 */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';

const FILE = /\/lib\/core\/rules\.ts$/;
const NOW = /RULES_MAX = \d+/;
const THEN = 'RULES_MAX = 1';

const flag = new URL(import.meta.url).searchParams.get('while') ?? '';
if (existsSync(flag)) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!FILE.test(url)) return loaded;
      const { source: bytes = '' } = loaded;
      const source =
        typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes ?? undefined);
      if (!NOW.test(source)) throw new Error('RULES_MAX is not in lib/core/rules.ts');
      return { ...loaded, source: source.replace(NOW, THEN) };
    },
  });
}
