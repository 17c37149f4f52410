import type { Timer } from '../lib/port/clock.ts';
import type { Driver } from './lead/driver.ts';
import type { Engine, EngineStatus } from './lead/engine.ts';
import type { Publisher } from './read/publisher.ts';
import type { SetStreamsArgs } from './streams.ts';

const MEASURE_MS = 1_000;
/** Of a takeover, without the wait for silence: mostly far below a second. */
const TAKEOVER_SECONDS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const ROLES = ['starting', 'following', 'leading', 'refused', 'stopped'] as const;

/** Registers a Set's metrics and brings them up to date each second. */
export function measure(of: { args: SetStreamsArgs; engine: Engine; publisher: Publisher }): Timer {
  const { args, engine, publisher } = of;
  const set = { set: args.setId };
  const follows = measureStandby(args, engine);
  const leads = measureLeader(args);
  const replicas = measureReplicas(args);
  const reach = measureReach(args);
  const streams = args.metrics.gauge({
    name: 'hongbao_set_event_streams',
    help: 'Access nodes that listen.',
    labels: ['set'],
  });
  return args.clock.every(MEASURE_MS, () => {
    const { driver } = engine;
    streams.set(publisher.size, set);
    follows(engine.status);
    leads(driver);
    replicas(driver);
    reach();
  });
}

/** What replicas forgot, and how often they had to be brought back: counted from 0 for each. */
export function countMemory(
  args: Pick<SetStreamsArgs, 'metrics' | 'replicas' | 'setId'>,
): Required<Pick<SetStreamsArgs, 'onAmnesia' | 'onReadmitted'>> {
  const counter = (name: string, help: string): ((replica: number) => void) => {
    const counted = args.metrics.counter({ name, help, labels: ['set', 'replica'] });
    const add = (value: number, replica: number): void =>
      counted.add(value, { set: args.setId, replica });
    for (const replica of args.replicas.keys()) add(0, replica);
    return (replica) => add(1, replica);
  };
  return {
    onAmnesia: counter(
      'hongbao_set_amnesia_total',
      'Times that a replica was found to have forgotten what it had acknowledged.',
    ),
    onReadmitted: counter(
      'hongbao_set_readmissions_total',
      'Times that this leader brought a replica back that was restarted, lost or in doubt.',
    ),
  };
}

function measureStandby(args: SetStreamsArgs, engine: Engine): (status: EngineStatus) => void {
  const { metrics } = args;
  const labels = ['set'];
  const set = { set: args.setId };
  const gauge = (name: string, help: string) => metrics.gauge({ name, help, labels });
  const leading = gauge('hongbao_set_leading', '1 while this node leads the Set.');
  const epoch = gauge('hongbao_set_epoch', 'Epoch that leads, as far as this node knows.');
  const lag = gauge(
    'hongbao_set_follow_lag_entries',
    'Committed entries that a standby has not applied yet.',
  );
  const role = metrics.gauge({
    name: 'hongbao_set_role',
    help: '1 for what this node is to the Set now.',
    labels: ['set', 'role'],
  });
  const count = metrics.counter({
    name: 'hongbao_set_takeovers_total',
    help: 'Times that this node came to lead.',
    labels,
  });
  const seconds = metrics.histogram({
    name: 'hongbao_set_takeover_seconds',
    help: 'From the decision to take over until the Set is served.',
    labels,
    buckets: TAKEOVER_SECONDS,
  });
  engine.onChange((status) => {
    if (status.kind !== 'leading') return;
    count.add(1, set);
    seconds.observe(engine.takeovers.lastMs / 1_000, set);
  });
  return (status) => {
    leading.set(status.kind === 'leading' ? 1 : 0, set);
    epoch.set(engine.leaderEpoch, set);
    for (const each of ROLES) role.set(each === status.kind ? 1 : 0, { ...set, role: each });
    const following = status.kind === 'following' ? engine.standby : null;
    lag.set(following?.follower.lagEntries ?? 0, set);
  };
}

function measureLeader(args: SetStreamsArgs): (driver: Driver | null) => void {
  const { metrics } = args;
  const labels = ['set'];
  const set = { set: args.setId };
  const gauge = (name: string, help: string) => metrics.gauge({ name, help, labels });
  const counter = (name: string, help: string) => metrics.counter({ name, help, labels });
  const lsn = gauge('hongbao_set_commit_lsn', 'Highest committed LSN.');
  const lag = gauge(
    'hongbao_set_projection_lag_entries',
    'Committed entries that Q projections do not show yet.',
  );
  const pending = gauge('hongbao_set_outbox_pending', 'Transfers without a receipt.');
  const wait = gauge('hongbao_set_queue_wait_seconds', 'Mean time that commands wait for a batch.');
  const live = gauge('hongbao_set_packets', 'Packets in memory.');
  const ops = counter('hongbao_set_ops_total', 'Ops journaled.');
  const batches = counter('hongbao_set_batches_total', 'Entries journaled.');
  let seen: { driver: Driver | null; ops: number; batches: number } = NOTHING_SEEN;
  return (driver) => {
    if (driver === null) {
      // What this node knew as a leader is no longer so.
      for (const each of [lsn, lag, pending, wait, live]) each.set(0, set);
      return;
    }
    if (seen.driver !== driver) seen = { ...NOTHING_SEEN, driver };
    ops.add(driver.counts.ops - seen.ops, set);
    batches.add(driver.counts.batches - seen.batches, set);
    seen = { driver, ops: driver.counts.ops, batches: driver.counts.batches };
    lsn.set(driver.commit, set);
    lag.set(driver.projections.lagEntries, set);
    pending.set(driver.state.outbox.pendingCount, set);
    wait.set(driver.queueWaitUs / 1e6, set);
    live.set(driver.state.packets.size, set);
  };
}

const NOTHING_SEEN = { driver: null, ops: 0, batches: 0 };

/** Of a node that does not lead they say 0: what it knew is no longer so. */
function measureReplicas(args: SetStreamsArgs): (driver: Driver | null) => void {
  const { metrics } = args;
  const labels = ['set', 'replica'];
  const gauge = (name: string, help: string) => metrics.gauge({ name, help, labels });
  const acked = gauge('hongbao_set_replica_acked_lsn', 'Highest LSN that it has acknowledged.');
  const lag = gauge('hongbao_set_replica_lag_entries', 'Sealed entries that it lacks.');
  const active = gauge('hongbao_set_replica_active', '1 while its acknowledgements count.');
  return (driver) => {
    for (const replica of args.replicas.keys()) {
      const of = { set: args.setId, replica };
      const at = driver?.setLog.ackedBy(replica) ?? 0;
      acked.set(at, of);
      lag.set(driver === null ? 0 : driver.setLog.head - at, of);
      active.set(driver?.setLog.isActive(replica) === true ? 1 : 0, of);
    }
  };
}

/**
 * Whether servers answer, also where nothing is written: a dead one keeps its place among those that
 * count, and an idle Set lacks nothing on it.
 */
function measureReach(args: SetStreamsArgs): () => void {
  const reachable = args.metrics.gauge({
    name: 'hongbao_set_replica_reachable',
    help: '1 while it answers this node, whether or not this node leads.',
    labels: ['set', 'replica'],
  });
  const asked = new Set<number>();
  return () => {
    for (const [replica, store] of args.replicas.entries()) {
      // One that stands still has one question, not one more each second.
      if (asked.has(replica)) continue;
      asked.add(replica);
      const say = (value: 0 | 1): void => {
        asked.delete(replica);
        reachable.set(value, { set: args.setId, replica });
      };
      store.probe().then(
        () => say(1),
        () => say(0),
      );
    }
  };
}
