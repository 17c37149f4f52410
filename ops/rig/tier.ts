/** A real process of one of our tiers: `node …/main.ts --setting value`. */
import { join } from 'node:path';
import { flagOf } from '../../lib/runtime/config.ts';
import { RigProcess } from './process.ts';
import type { Rig } from './rig.ts';

const ROOT = join(import.meta.dirname, '../..');
/** What each of them logs when it serves. */
const READY = '"event":"ready"';

export type TierOptions = {
  readonly rig: Rig;
  readonly tier: 'set-node' | 'access' | 'reconciler';
  /** What people call this one; its log is `<name>.log` in the rig's directory. */
  readonly name: string;
  /** Settings of its config.ts by their names there, for example `nodeSlot`. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** For secrets: `HONGBAO_…`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments of node itself, before the program. */
  readonly nodeArgs?: readonly string[];
  readonly readyWithinMs?: number;
};

/** Ready to be started; killed with its rig. Each start uses the same command line. */
export function tierProcess(options: TierOptions): RigProcess {
  const { rig, tier, name, settings, env = {}, nodeArgs = [], readyWithinMs } = options;
  const flags = Object.entries(settings).map(([key, value]) => `${flagOf(key)}=${value}`);
  const one = new RigProcess({
    name,
    command: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      ...nodeArgs,
      join(ROOT, tier, 'main.ts'),
      ...flags,
    ],
    env,
    // Relative paths mean to a tier what they mean to whoever starts it.
    cwd: process.cwd(),
    logFile: join(rig.dir, `${name}.log`),
    isReady: (output) => output.includes(READY),
    ...(readyWithinMs === undefined ? {} : { readyWithinMs }),
  });
  rig.own({ close: () => one.kill() });
  return one;
}
