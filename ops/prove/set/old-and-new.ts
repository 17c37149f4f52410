import { figure } from '../../cli.ts';
import { databaseOf } from '../../rig/mariadb.ts';
import { upgrade } from '../../set/upgrade.ts';
import { pause } from '../member.ts';
import type { SetNode } from './cluster.ts';
import { SET } from './cluster.ts';
import type { Pace, Scenario } from './scenario.ts';
import { seconds, since, TAKEOVER_WORST_S, WITHIN_MS } from './scenario.ts';
import type { SetWorld } from './world.ts';

/** The rules that an old build does not know. */
const NEWER_RULES = 2;
const PAIRED_LOOK_MS = 100;
const REFUSED_LOOK_MS = 3_000;

/** Rulings 8: an old leader with a new standby, and back; then the Set is raised. */
export const oldAndNew: Scenario = {
  name: 'old-and-new-build',
  summary: 'old and new builds lead by turns; then the rules are raised, and an old build refused',
  hasOldNode: true,
  async run(world, pace) {
    const { cluster } = world;
    const old = cluster.node(1);
    const gaps: (number | null)[] = [];
    const refused = await raise(world);
    if (refused === 0) world.findings.break('the rules were raised beside a node that is too old');
    // New leads, old leads, new leads, each time after a kill of the one before.
    for (let turn = 0; turn < 3; turn++) gaps.push(await killLeader(world, pace));
    world.note('the old build is replaced by a new one');
    await old.process.kill();
    await cluster.renew(old, 'new');
    await old.process.start();
    await paired(world);
    await pause(pace.stretchMs / 2);
    if ((await raise(world)) !== 0) world.findings.break('the rules were not raised');
    gaps.push(await killLeader(world, pace));
    await pause(pace.stretchMs / 2);
    const formats = await formatsOf(world);
    if (formats !== 2) world.findings.break(`${formats} formats in the journal, not 2`);
    const stays = await oldIsRefused(world, old);
    if (!stays) world.findings.break('an old build serves a Set that it cannot read');
    return () => [
      seconds(
        'kill to the next acknowledged open, worst',
        gaps.includes(null) ? null : Math.max(...gaps.map(Number)),
        TAKEOVER_WORST_S,
      ),
      figure({ name: 'leaders killed', value: gaps.length, unit: 'kills' }),
      figure({ name: 'formats in the journal', value: formats, unit: 'formats' }),
    ];
  },
};

/** The operator's own verb; its exit status. */
async function raise(world: SetWorld): Promise<number> {
  const set = world.cluster.topology.sets[0];
  if (set === undefined) throw new Error('there is one Set');
  const print = (line: string): void => void world.note(line);
  return upgrade({ set, rules: NEWER_RULES, print, complain: print });
}

async function killLeader(world: SetWorld, pace: Pace): Promise<number | null> {
  const { watch } = world;
  const { leader, standby } = world.nodes;
  await follows(world, standby);
  const ack = watch.nextLeaderAck(watch.newestEpoch, pace.withinMs);
  const fromMs = world.note(`kill -9 of node ${leader.slot}, which leads`);
  await leader.process.kill();
  const gap = since(world, { what: 'served again', fromMs, at: await ack });
  await leader.process.start();
  await pause(pace.stretchMs / 2);
  return gap;
}

async function follows(world: SetWorld, node: SetNode): Promise<void> {
  if (await world.untilStandby(node, WITHIN_MS)) return;
  world.findings.break(`node ${node.slot} does not stand by`);
}

/** Asked of the nodes: nothing may have been acknowledged yet since the one that led was replaced. */
async function paired({ cluster, findings }: SetWorld): Promise<void> {
  const endMs = performance.now() + WITHIN_MS;
  while (performance.now() < endMs) {
    const statuses = await Promise.all(cluster.nodes.map((node) => cluster.status(node)));
    const roles = statuses.map((status) => status?.role);
    if (roles.includes('leading') && roles.includes('following')) return;
    await pause(PAIRED_LOOK_MS);
  }
  findings.break('nobody leads, or nobody stands by');
}

async function formatsOf(world: SetWorld): Promise<number> {
  const sql = `SELECT COUNT(DISTINCT fmt) AS n FROM ${databaseOf(SET)}.journal WHERE lsn > 0`;
  const [row] = await world.cluster.server(0).query(sql);
  return Number(row?.['n']);
}

/** Started once more as an old build, the node neither leads nor follows; then it is mended. */
async function oldIsRefused(world: SetWorld, node: SetNode): Promise<boolean> {
  const { cluster } = world;
  world.note(`node ${node.slot} is an old build again`);
  await node.process.kill();
  await cluster.renew(node, 'old');
  // It may also end itself: then it is not ready, and serves nobody either.
  await node.process.start().catch(() => undefined);
  await pause(REFUSED_LOOK_MS);
  const status = await cluster.status(node);
  const { role = 'gone', reason = '' } = status ?? {};
  world.note(`it is ${role}: ${reason}`);
  await node.process.kill();
  await cluster.renew(node, 'new');
  await node.process.start();
  return role === 'refused' || role === 'gone';
}
