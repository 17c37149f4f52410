/** The short form of `./hongbao prove money-10m`: two Sets, two reconcilers, a crowd, real kills. */
import { afterEach, describe, expect, test } from 'vitest';
import { Findings } from '../../ops/prove/findings.ts';
import { pause } from '../../ops/prove/member.ts';
import { auditAll } from '../../ops/prove/money/audit-all.ts';
import { judge } from '../../ops/prove/money/judge.ts';
import type { Fault } from '../../ops/prove/money/plan.ts';
import { tamper } from '../../ops/prove/money/sabotage.ts';
import type { WorldOptions } from '../../ops/prove/money/world.ts';
import { MoneyWorld } from '../../ops/prove/money/world.ts';
import { Rig } from '../../ops/rig/rig.ts';

const OPTIONS: WorldOptions = {
  sets: 2,
  reconcilers: 2,
  access: 1,
  hasNats: false,
  // Three servers for both Sets: half the processes, and each kill hurts a replica of both.
  sharesServers: true,
  welcomeCents: 100_000,
  reconcilerArgs: [],
  crowd: { people: 40, groups: 4, members: 20, idleOneIn: 10 },
  ratePerS: 150,
  lifetimes: { left: { min: 1_000, spread: 1_500 }, others: 6_000 },
  seed: 20_261_120,
  say: () => {},
};

/** One of each that money depends on, in the first seconds. */
const PLAN: readonly Fault[] = [
  { atMs: 0, victim: 'reconciler', harm: 'kill', set: 0, index: 0, awayMs: 500 },
  { atMs: 200, victim: 'leader', harm: 'kill', set: 0, index: 0, awayMs: 300 },
  { atMs: 2_500, victim: 'replica', harm: 'kill', set: 1, index: 2, awayMs: 300 },
];
const AFTERWARDS_MS = 1_000;
const LIMIT_MS = 120_000;

const closing: Rig[] = [];
afterEach(async () => {
  for (const rig of closing.splice(0)) await rig.close();
});

describe('money between two Sets of real processes', () => {
  test(
    'everything dies once under load: every cent is found again, and so is every lie',
    async () => {
      const rig = await Rig.open();
      closing.push(rig);
      const world = await MoneyWorld.start(OPTIONS, rig);
      const { history, cluster } = world;
      await world.hurt(PLAN);
      await pause(AFTERWARDS_MS);
      const { emptyMs, last } = await world.end();
      const { sets } = cluster;
      const verdict = await judge({
        sets,
        history,
        last,
        isHealed: true,
        findings: world.findings,
      });
      const { differences, rows } = await auditAll({ cluster, findings: world.findings });
      expect(world.findings.lines).toEqual([]);
      expect(differences).toBe(0);
      expect(rows).toBeGreaterThan(1_000);
      expect(emptyMs).toBeLessThan(30_000);
      expect(world.chaos.leftOut).toBe(0);
      expect(verdict.claims).toBeGreaterThan(300);
      expect(verdict.refunds).toBeGreaterThan(0);
      expect(verdict.takeovers).toBeGreaterThan(0);
      expect(verdict.whereabouts).toMatchObject({ packetsCents: 0, inFlightCents: 0 });
      // A proof that cannot fail proves nothing: each lie lies on top of those before.
      const judged = async (): Promise<Findings> => {
        const findings = new Findings();
        await judge({ sets, history, last, isHealed: true, findings });
        return findings;
      };
      await tamper('changed-answer', { sets, history });
      expect((await judged()).changed).toBeGreaterThan(0);
      await tamper('doubled-credit', { sets, history });
      expect((await judged()).lines.join()).toContain('claim.credit');
      await tamper('extra-cent', { sets, history });
      // A rule of SPEC by its number, Set and LSN: only the books say that.
      expect((await judged()).lines.join('\n')).toMatch(/^broken: [A-Z]\d+ Set \d, LSN/m);
      await tamper('one-row', { sets, history });
      expect((await judged()).lines.join()).toContain('checksum');
    },
    LIMIT_MS,
  );
});
