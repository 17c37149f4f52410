/** The short form of `./hongbao prove leader-kill` and `prove replica-faults`: real servers, real kills. */
import { rm } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Figure } from '../../ops/cli.ts';
import { Findings } from '../../ops/prove/findings.ts';
import { pause } from '../../ops/prove/member.ts';
import { SET } from '../../ops/prove/set/cluster.ts';
import { readDisk } from '../../ops/prove/set/disk-rows.ts';
import { killAgainAndAgain } from '../../ops/prove/set/leader-kill.ts';
import type { SetProof } from '../../ops/prove/set/proof.ts';
import { proveReplicaFaults, SCENARIOS } from '../../ops/prove/set/replica-faults.ts';
import { findLie, plant } from '../../ops/prove/set/sabotage.ts';
import { SetWorld } from '../../ops/prove/set/world.ts';
import { Rig } from '../../ops/rig/rig.ts';

const KILLS = 3;
const LOAD = { people: 50, ratePerS: 150, seed: 20_261_120, say: () => {} };
const LIMIT_MS = 60_000;

/** One scenario; what it keeps for an inquest is not needed. Times are for the long form. */
async function run(name: string): Promise<SetProof> {
  const pace = { stretchMs: 1_500, times: 1, withinMs: 20_000 };
  const proof = await proveReplicaFaults({ ...LOAD, scenarios: [name], pace, sabotage: null });
  if (proof.keptDir !== null) await rm(proof.keptDir, { recursive: true, force: true });
  return proof;
}

function figureOf(figures: readonly Figure[], name: string): number {
  const found = figures.find((one) => one.name.endsWith(name));
  if (found === undefined) throw new Error(`no figure ${name}`);
  return found.value;
}

/** The leader reaches one replica only, which is lost: what was promised meanwhile, and is gone. */
async function cutOff(nodeArgs: string[]): Promise<{ acknowledged: number; lost: number }> {
  const rig = await Rig.open();
  closing.push(rig);
  const options = { ...LOAD, isProxied: true, hasSmallDisk: false, hasOldNode: false, nodeArgs };
  const world = await SetWorld.start(options, rig);
  const { leader } = world.nodes;
  for (const index of [1, 2]) leader.links[index]?.cut();
  const fromMs = world.watch.now() + IN_FLIGHT_MS;
  await pause(ALONE_MS);
  await world.cluster.server(0).kill();
  const acknowledged = world.watch.acksBetween(fromMs, world.watch.now());
  world.clients.load.abandon();
  await world.clients.close();
  await Promise.all(world.cluster.nodes.map(({ process }) => process.kill()));
  const disks = await Promise.all(
    world.cluster.servers.slice(1).map((server) => readDisk({ server, set: SET })),
  );
  const findings = new Findings();
  world.judge({ disks, isHealed: false, findings });
  await rig.close();
  return { acknowledged, lost: findings.lost };
}

const IN_FLIGHT_MS = 250;
const ALONE_MS = 600;

const closing: Rig[] = [];
afterEach(async () => {
  for (const rig of closing.splice(0)) await rig.close();
});

describe('a Set of three real databases', () => {
  test(
    'leaders are killed under load: nothing is lost, and every lie about it is found',
    async () => {
      const rig = await Rig.open();
      closing.push(rig);
      const options = { ...LOAD, isProxied: false, hasSmallDisk: false, hasOldNode: false };
      const world = await SetWorld.start(options, rig);
      const read = await killAgainAndAgain(world, { ...LOAD, kills: KILLS });
      const ending = await world.end();
      expect(world.findings.lines).toEqual([]);
      const figures = read();
      expect(figureOf(figures, 'leaders killed')).toBe(KILLS);
      expect(figureOf(figures, 'open, worst')).toBeLessThan(10);
      expect(ending.epochs).toBeGreaterThan(KILLS);
      expect(ending.claims).toBeGreaterThan(500);
      // A proof that cannot fail proves nothing.
      expect((await findLie(world, 'changed-answer')).changed).toBeGreaterThan(0);
      const cent = await findLie(world, 'extra-cent');
      expect(cent.centsWrong).toBeGreaterThan(0);
      expect((await findLie(world, 'lose-tail')).lost).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );

  test(
    'a replica is killed: no command fails, and it comes back',
    async () => {
      const { result, findings } = await run('replica-killed');
      expect(findings).toEqual([]);
      expect(figureOf(result.figures, 'failed commands')).toBe(0);
      expect(figureOf(result.figures, 'asked meanwhile')).toBeGreaterThan(100);
    },
    LIMIT_MS,
  );

  test(
    'everything is killed at once: a full house serves again',
    async () => {
      const { result, findings } = await run('all-at-once');
      expect(findings).toEqual([]);
      expect(figureOf(result.figures, 'epochs in the journal')).toBeGreaterThan(1);
    },
    LIMIT_MS,
  );

  test(
    'a leader cut off from two replicas acknowledges nothing; one that asks for one write does',
    async () => {
      expect(await cutOff([])).toEqual({ acknowledged: 0, lost: 0 });
      // The same with W=1 planted: the third replica takes what was acknowledged with it.
      const planted = await cutOff(plant('quorum-one'));
      expect(planted.acknowledged).toBeGreaterThan(0);
      expect(planted.lost).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );

  test('every scenario has a name of its own', () => {
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
  });
});
