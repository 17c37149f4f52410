/** For `--import` of a set-node: a build from before rules 2, as far as it can be told from outside. */
import { registerHooks } from 'node:module';

const FILE = '/lib/core/rules.ts';
const NEW = 'RULES_MAX = 3';
const OLD = 'RULES_MAX = 1';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(FILE)) return loaded;
    const { source: bytes = '' } = loaded;
    const source = typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes ?? undefined);
    const aged = source.replace(NEW, OLD);
    if (aged === source) throw new Error(`${NEW} is not in ${FILE}: make it old elsewhere`);
    return { ...loaded, source: aged };
  },
});
