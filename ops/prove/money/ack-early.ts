/**
 * A planted bug, for `--import` of a reconciler: credits are reported as received before they are
 * delivered, and then they never are.
 */
import { registerHooks } from 'node:module';

const FILE = /\/reconciler\/lane\.ts$/;
const RIGHT = 'return this.#delivering;';
/** What the planted lines rest on: encoded transfers, whose first byte is their kind. */
const RESTS_ON = 'readonly transfer: Uint8Array;';
const WRONG = `const early = this.#delivering;
    const CREDIT = 3;
    if (early.held.some(({ transfer }) => transfer[0] !== CREDIT)) return early;
    this.received({ receipts: early.held.map(() => ({ kind: 'applied' })), epoch: 1, lsn: 1 });
    return null;`;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!FILE.test(url)) return loaded;
    const { source: bytes = '' } = loaded;
    const source = typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes ?? undefined);
    const planted = source.replace(RIGHT, WRONG);
    if (planted === source || !source.includes(RESTS_ON)) {
      throw new Error('lane.ts is not as it was: plant the bug elsewhere');
    }
    return { ...loaded, source: planted };
  },
});
