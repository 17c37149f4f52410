/** A planted bug, for `--import` of a set-node: it answers when ONE replica has an entry (W=1). */
import { registerHooks } from 'node:module';

const FILE = /\/set-node\/(?:\w+\/)?set-log\.ts$/;
const RIGHT = 'acked[quorum - 1]';
const WRONG = 'acked[0]';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!FILE.test(url)) return loaded;
    const { source: bytes = '' } = loaded;
    const source = typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes ?? undefined);
    const planted = source.replace(RIGHT, WRONG);
    if (planted === source)
      throw new Error(`${RIGHT} is not in set-log.ts: plant the bug elsewhere`);
    return { ...loaded, source: planted };
  },
});
