import { join } from 'node:path';
import type { Figure } from '../../cli.ts';
import { figure } from '../../cli.ts';
import { databaseOf } from '../../rig/mariadb.ts';
import { pause } from '../member.ts';
import { SET } from './cluster.ts';
import type { Pace, Scenario } from './scenario.ts';
import { byTurns, seconds, since, stretchOf, comparison, WITHIN_MS } from './scenario.ts';
import type { SetWorld } from './world.ts';

/** The replica that is hurt; any of the three would do. */
const HURT = 2;
const OTHER = 1;
const REFUSED_WITHIN_MS = 1_000;
const SERVED_AGAIN_S = 3;
/** New commands are those that come when the leader has had this long to notice. */
const NOTICE_MS = 2_500;
const OUTAGE_MS = 6_000;

async function backAsVoter(world: SetWorld, index: number): Promise<number | null> {
  const ms = await world.untilVotes(index, WITHIN_MS);
  if (ms === null) world.findings.break(`replica ${index} was not re-admitted in ${WITHIN_MS} ms`);
  return ms;
}

const killed: Scenario = {
  name: 'replica-killed',
  summary: 'one replica killed and started again, by turns',
  async run(world, pace) {
    const server = world.cluster.server(HURT);
    const readmitted: (number | null)[] = [];
    const compare = await byTurns(world, {
      pace,
      hurt: async () => {
        world.note('kill -9 of a replica');
        await server.kill();
      },
      mend: async () => {
        await server.start();
        readmitted.push(await backAsVoter(world, HURT));
      },
    });
    const worst = (): number | null =>
      readmitted.includes(null) ? null : Math.max(...readmitted.map(Number));
    return () => [...compare(), seconds('re-admitted after the start, worst', worst())];
  },
};

const paused: Scenario = {
  name: 'replica-paused',
  summary: 'one replica stopped (SIGSTOP) and woken, by turns',
  async run(world, pace) {
    const server = world.cluster.server(HURT);
    return byTurns(world, {
      pace,
      hurt: async () => {
        world.note('SIGSTOP of a replica');
        await server.pause();
      },
      mend: async () => {
        server.resume();
        await backAsVoter(world, HURT);
      },
    });
  },
};

const wiped: Scenario = {
  name: 'replica-wiped',
  summary: 'one replica loses its disk and comes back with an empty one',
  async run(world, pace) {
    const server = world.cluster.server(HURT);
    const normal = await stretchOf(world, pace.stretchMs);
    const fromMs = world.note('kill -9 of a replica, its disk wiped');
    await server.wipe();
    await pause(pace.stretchMs / 2);
    await server.start();
    await server.recreateSets();
    const readmittedMs = await backAsVoter(world, HURT);
    const head = (await world.cluster.vote(HURT)).headLsn;
    const hurt = { fromMs, toMs: world.watch.now() };
    return () => [
      ...comparison(world, { normal: [normal], hurt: [hurt] }),
      seconds('re-admitted after the start', readmittedMs),
      figure({ name: 'entries copied', value: head, unit: 'entries' }),
    ];
  },
};

const oldCopy: Scenario = {
  name: 'old-copy',
  summary: 'an old copy of a data directory, while another voter is away and the leader dies',
  async run(world, pace) {
    const { cluster, watch } = world;
    const server = cluster.server(HURT);
    const copy = join(world.rig.dir, 'old-copy');
    world.note('a replica is stopped and copied');
    await server.stop();
    await server.copyData(copy);
    await server.start();
    await backAsVoter(world, HURT);
    await pause(pace.stretchMs);
    world.note('the old copy is put back while another replica is paused and the leader killed');
    const before = watch.newestEpoch;
    const committed = (await cluster.vote(OTHER)).headLsn;
    await cluster.server(OTHER).pause();
    await server.restoreCopy(copy);
    const { leader } = world.nodes;
    await leader.process.kill();
    const aloneMs = watch.now();
    await server.start();
    await leader.process.start();
    await pause(OUTAGE_MS);
    // One proved voter and an old copy are no quorum: nobody may lead by them.
    const acks = watch.acksBetween(aloneMs + 250, watch.now());
    if (acks > 0) world.findings.break(`${acks} opens acknowledged on the word of an old copy`);
    const vote = await cluster.vote(HURT);
    if (vote.isVoter) world.findings.break('the old copy has a vote before its re-admission');
    world.note('the paused replica wakes');
    const awakeMs = watch.now();
    const ack = watch.nextLeaderAck(before, pace.withinMs);
    cluster.server(OTHER).resume();
    const servedMs = since(world, { what: 'served again', fromMs: awakeMs, at: await ack });
    const readmittedMs = await backAsVoter(world, HURT);
    const { headLsn } = await cluster.vote(HURT);
    if (headLsn < committed) world.findings.break('re-admitted without the committed journal');
    return () => [
      figure({
        name: 'acknowledged while in doubt',
        value: acks,
        unit: 'opens',
        goal: { atMost: 0 },
      }),
      seconds('served again', servedMs),
      seconds('re-admitted', readmittedMs),
    ];
  },
};

/** Two of three are away: refused soon, never acknowledged, served again when one is back. */
async function twoAway(
  world: SetWorld,
  args: { pace: Pace; away: () => Promise<void>; back: () => Promise<void> },
): Promise<() => Figure[]> {
  const { watch } = world;
  const { pace } = args;
  await pause(pace.stretchMs / 2);
  world.note('two replicas go');
  await args.away();
  const goneMs = watch.now();
  await pause(OUTAGE_MS);
  const backMs = world.note('they come back');
  // Replies that had left the node before the second one went are on their way for a moment.
  const acks = watch.acksBetween(goneMs + 250, backMs);
  if (acks > 0) world.findings.break(`${acks} opens acknowledged with one replica`);
  await args.back();
  const readyMs = watch.now();
  const ack = await watch.nextAck(({ open }) => (open.endedMs ?? 0) > readyMs, pace.withinMs);
  const servedMs = since(world, { what: 'served again', fromMs: readyMs, at: ack });
  return () => {
    const fresh = watch.opensDue(goneMs + NOTICE_MS, backMs - REFUSED_WITHIN_MS);
    const waits = fresh.map(
      ({ doubts, dueMs, endedMs }) => (doubts[0]?.atMs ?? endedMs ?? 0) - dueMs,
    );
    const first = watch.opensDue(goneMs, goneMs + NOTICE_MS);
    const silence = first.map(
      ({ doubts, dueMs, endedMs }) => (doubts[0]?.atMs ?? endedMs ?? 0) - dueMs,
    );
    return [
      figure({ name: 'acknowledged meanwhile', value: acks, unit: 'opens', goal: { atMost: 0 } }),
      figure({ name: 'new commands meanwhile', value: fresh.length, unit: 'commands' }),
      seconds('new commands refused, worst', Math.max(0, ...waits), REFUSED_WITHIN_MS / 1_000),
      seconds('first answer to those of the first moments, worst', Math.max(0, ...silence)),
      seconds('served again', servedMs, SERVED_AGAIN_S),
    ];
  };
}

const twoPaused: Scenario = {
  name: 'two-replicas-away',
  summary: 'two replicas stopped (SIGSTOP); one of them comes back',
  async run(world, pace) {
    const [a, b] = [world.cluster.server(OTHER), world.cluster.server(HURT)];
    return twoAway(world, {
      pace,
      away: async () => {
        await Promise.all([a.pause(), b.pause()]);
      },
      back: async () => a.resume(),
    });
  },
};

const twoKilled: Scenario = {
  name: 'two-replicas-killed',
  summary: 'two replicas killed: both are in doubt, and a full house is needed',
  async run(world, pace) {
    const [a, b] = [world.cluster.server(OTHER), world.cluster.server(HURT)];
    return twoAway(world, {
      pace,
      away: async () => {
        await Promise.all([a.kill(), b.kill()]);
      },
      back: async () => {
        await Promise.all([a.start(), b.start()]);
      },
    });
  },
};

const fullDisk: Scenario = {
  name: 'full-disk',
  summary: 'the disk of one replica is full, and is freed',
  hasSmallDisk: true,
  async run(world, pace) {
    const { smallDisk } = world.cluster;
    if (smallDisk === null) throw new Error('there is no small disk');
    const normal = await stretchOf(world, pace.stretchMs);
    const fromMs = world.note('the disk is full');
    await smallDisk.fill();
    await pause(pace.stretchMs * 2);
    const toMs = world.note('the disk is freed');
    await smallDisk.free();
    const server = world.cluster.server(HURT);
    // Some engines end themselves on a full disk; then it is started as an operator would.
    const died = server.pid === null;
    if (died) await server.start();
    const readmittedMs = await backAsVoter(world, HURT);
    const caughtUpMs = await untilCaughtUp(world, HURT);
    return () => [
      ...comparison(world, { normal: [normal], hurt: [{ fromMs, toMs }] }),
      figure({ name: 'the server ended itself', value: died ? 1 : 0, unit: 'times' }),
      seconds('a voter after the freeing', readmittedMs),
      seconds('caught up after the freeing', caughtUpMs),
    ];
  },
};

/** ms until the replica has what another one had at the beginning of this call. */
async function untilCaughtUp(world: SetWorld, index: number): Promise<number | null> {
  const { headLsn } = await world.cluster.vote(0);
  const startMs = world.watch.now();
  while (world.watch.now() - startMs < WITHIN_MS) {
    const vote = await world.cluster.vote(index).catch(() => null);
    if ((vote?.headLsn ?? 0) >= headLsn) return world.watch.now() - startMs;
    await pause(20);
  }
  world.findings.break(`replica ${index} does not catch up`);
  return null;
}

const flippedByte: Scenario = {
  name: 'flipped-byte',
  summary: 'the leader is killed, and a byte of the newest row of one replica turns over',
  async run(world, pace) {
    const { cluster, watch } = world;
    await pause(pace.stretchMs);
    const { leader, standby } = world.nodes;
    const server = cluster.server(HURT);
    const before = watch.newestEpoch;
    const fromMs = world.note(`kill -9 of node ${leader.slot}, which leads`);
    const ack = watch.nextLeaderAck(before, pace.withinMs);
    await leader.process.kill();
    const lsn = (await cluster.vote(HURT)).headLsn;
    const changed = await server.flipByte({
      setId: SET,
      table: 'journal',
      column: 'payload',
      where: `lsn = ${lsn}`,
      at: 9,
    });
    if (changed !== 1) throw new Error(`${changed} rows were changed`);
    world.note(`a byte of LSN ${lsn} turned over on ${server.name}`);
    const takeoverMs = since(world, { what: 'served again', fromMs, at: await ack });
    await leader.process.start();
    await pause(pace.stretchMs);
    const named = (await world.logOf(standby)).filter((line) => namesRow(line, lsn));
    if (named.length === 0) world.findings.break(`no log line names Set ${SET} and LSN ${lsn}`);
    for (const line of named.slice(0, 3)) world.options.say(`  ${line.slice(0, 300)}`);
    const isHealed = await untilSound(world, { index: HURT, lsn });
    if (!isHealed) world.findings.break(`the row of LSN ${lsn} on ${server.name} stays damaged`);
    return () => [
      seconds('kill to the next acknowledged open', takeoverMs, SERVED_AGAIN_S),
      figure({ name: 'log lines that name it', value: named.length, unit: 'lines' }),
      figure({ name: 'healed', value: isHealed ? 1 : 0, unit: 'rows' }),
    ];
  },
};

function namesRow(line: string, lsn: number): boolean {
  const isLoud = line.includes('"level":"error"') || line.includes('"level":"warn"');
  return isLoud && new RegExp(`LSN ${lsn}\\b|"lsn":${lsn}\\b`).test(line);
}

/** The row is again what the others have. */
async function untilSound(
  world: SetWorld,
  { index, lsn }: { index: number; lsn: number },
): Promise<boolean> {
  const read = async (from: number): Promise<string> => {
    const sql = `SELECT HEX(payload) AS payload FROM ${databaseOf(SET)}.journal WHERE lsn = ${lsn}`;
    const [row] = await world.cluster.server(from).query(sql);
    return String(row?.['payload']);
  };
  const right = await read(0);
  const endMs = performance.now() + WITHIN_MS;
  while (performance.now() < endMs) {
    if ((await read(index).catch(() => '')) === right) return true;
    await pause(100);
  }
  return false;
}

const everything: Scenario = {
  name: 'all-at-once',
  summary: 'kill -9 of every server and every node, and all started again',
  async run(world, pace) {
    const { cluster, watch } = world;
    await pause(pace.stretchMs);
    world.note('kill -9 of everything');
    await Promise.all([
      ...cluster.servers.map((server) => server.kill()),
      ...cluster.nodes.map(({ process }) => process.kill()),
    ]);
    const before = watch.newestEpoch;
    await Promise.all(cluster.servers.map((server) => server.start()));
    const upMs = world.note('every server is up again');
    const ack = watch.nextLeaderAck(before, pace.withinMs);
    await Promise.all(cluster.nodes.map(({ process }) => process.start()));
    const servedMs = since(world, { what: 'served again', fromMs: upMs, at: await ack });
    return () => [seconds('servers up to the next acknowledged open', servedMs)];
  },
};

export const REPLICA_SCENARIOS: readonly Scenario[] = [
  killed,
  paused,
  wiped,
  oldCopy,
  twoPaused,
  twoKilled,
  fullDisk,
  flippedByte,
  everything,
];
