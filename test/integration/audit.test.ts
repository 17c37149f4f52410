/** The full audit: silent beside a cluster that serves, and finds one damage of (nearly) every kind. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Log } from '../../lib/port/log.ts';
import { runAudit } from '../../ops/audit/audit.ts';
import { plansOf } from '../../ops/audit/plans.ts';
import { proveDamage } from '../../ops/prove/damage.ts';
import { Town } from '../../ops/prove/damage-people.ts';
import { startEmbedded } from '../../ops/start.ts';
import { pause } from '../../ops/prove/member.ts';
import { verb } from '../../ops/verb/audit.ts';

const LOG: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const DAMAGES = 40;
/** Usually ten seconds: a busy machine takes its time. */
const WITHIN_MS = 240_000;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'hongbao-audit-'));
  ends.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

describe('[AU] the full audit', () => {
  test(
    'finds nothing beside a cluster that serves, nor when it is down',
    async () => {
      const dir = await folder();
      const [dataDir, pageDir] = [join(dir, 'data'), join(dir, 'page')];
      await mkdir(pageDir);
      const where = { dataDir, pageDir, port: 0, host: '127.0.0.1' };
      const server = await startEmbedded({
        ...where,
        sets: 2,
        replicas: 3,
        demoCents: 0,
        log: LOG,
      });
      let isLiving = true;
      ends.push(() => server.lifecycle.end());
      const { router } = server;
      const random = new SystemRandom();
      const town = new Town({ router, random, people: 8, packets: 24, hasPayments: true });
      const life = town.live().finally(() => {
        isLiving = false;
      });
      const topologyFile = join(dataDir, 'topology.json');
      const plans = await plansOf({ topologyFile, dataDir, password: '' });
      let audits = 0;
      let entries = 0;
      while (isLiving || audits < 3) {
        const report = await runAudit({ plans });
        expect(report.findings.kept).toEqual([]);
        expect(report.entries).toBeGreaterThanOrEqual(entries);
        entries = report.entries;
        audits += 1;
        // Both share this thread.
        await pause(200);
      }
      await life;
      expect(entries).toBeGreaterThan(20);
      await server.lifecycle.end();
      const said = vi.spyOn(console, 'log').mockImplementation(() => undefined);
      expect(await verb.run(['--data', dataDir])).toBe(0);
      expect(said.mock.calls.flat()).toContain('0 findings');
      said.mockRestore();
    },
    WITHIN_MS,
  );

  test(
    `finds ${DAMAGES} damages of ${DAMAGES}, and none in what is whole`,
    async () => {
      const { result, findings } = await proveDamage({
        damages: DAMAGES,
        seed: 7,
        byVerb: 1,
        hasMaria: false,
        size: { people: 8, packets: 16 },
        say: () => undefined,
      });
      expect(findings).toEqual([]);
      expect(result.ok).toBe(true);
    },
    WITHIN_MS,
  );
});
