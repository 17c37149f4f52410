import { appendFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeJsonLog } from '../../../lib/adapter/json-log.ts';
import { SystemClock } from '../../../lib/adapter/system-clock.ts';
import type { Log } from '../../../lib/port/log.ts';
import { openSetNode } from '../../../lib/runtime/grpc.ts';
import { Findings } from '../findings.ts';
import { pause } from '../member.ts';
import type { Rig } from '../../rig/rig.ts';
import { Clients } from './clients.ts';
import type { ClusterOptions, SetNode } from './cluster.ts';
import { Cluster, QUORUM, SET } from './cluster.ts';
import { readDisk } from './disk-rows.ts';
import type { Disk } from './disk.ts';
import type { Verdict } from './verdict.ts';
import { judge } from './verdict.ts';
import type { Vote } from './vote.ts';
import { Watch } from './watch.ts';

/** The invariants' bounds: once faults stop, three replicas are identical within this. */
const HEALED_WITHIN_MS = 60_000;
/** And outboxes are empty within this. */
const SETTLED_WITHIN_MS = 30_000;
const LOOK_MS = 50;
/** Enough to find a pattern, few enough to be quick. */
const ASKED_AGAIN_MAX = 5_000;
/** Announcements, projections and the compiler: busy for a moment after the first packets. */
const CALM_MS = 2_000;
const LEADS_WITHIN_MS = 30_000;

export type WorldOptions = Omit<ClusterOptions, 'rig'> & {
  readonly people: number;
  readonly ratePerS: number;
  readonly seed: number;
  readonly say: (line: string) => void;
};

/** What a scenario says of the cluster that it needs. */
export type Surroundings = 'isProxied' | 'hasSmallDisk' | 'hasOldNode' | 'nodeArgs';

/** What the end of a proof came to. */
export type Ending = Verdict & {
  /** From the last fault until the three journals were equal, s. */
  readonly healedS: number;
  readonly askedAgain: number;
};

/** A real Set under load: what a scenario hurts, and what is judged afterwards. */
export class SetWorld {
  readonly options: WorldOptions;
  readonly rig: Rig;
  readonly cluster: Cluster;
  readonly clients: Clients;
  readonly watch: Watch;
  readonly findings = new Findings();

  private constructor(args: {
    options: WorldOptions;
    rig: Rig;
    cluster: Cluster;
    clients: Clients;
  }) {
    this.options = args.options;
    this.rig = args.rig;
    this.cluster = args.cluster;
    this.clients = args.clients;
    const { load, history } = args.clients;
    this.watch = new Watch({ load, history });
    // So that the logs of the processes can be laid beside the history.
    history.recorder.note(`it is ${new Date().toISOString()}`);
  }

  /** Everything runs, everybody is a member, and opens come at their rate. */
  static async start(options: WorldOptions, rig: Rig): Promise<SetWorld> {
    const cluster = await Cluster.start({ ...options, rig });
    const { topology } = cluster;
    const log = logTo(join(rig.dir, 'clients.log'));
    const clients = new Clients({ options, topology, connect: openSetNode, log });
    const world = new SetWorld({ options, rig, cluster, clients });
    await world.untilLed(LEADS_WITHIN_MS);
    await clients.people.gather();
    await clients.load.start();
    // What the first packets have left behind would make normal time look worse than it is.
    await pause(CALM_MS);
    return world;
  }

  /** The node that acknowledged last, and the other one. */
  get nodes(): { leader: SetNode; standby: SetNode } {
    return this.cluster.nodesOf(this.watch.newestEpoch);
  }

  /** Notes what is done to the system, and says it; ms of the history's clock. */
  note(text: string): number {
    this.options.say(`  ${text}`);
    return this.clients.history.recorder.note(text);
  }

  async untilLed(withinMs: number): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (performance.now() < endMs) {
      for (const node of this.cluster.nodes) {
        if ((await this.cluster.status(node))?.role === 'leading') return;
      }
      await pause(LOOK_MS);
    }
    throw new Error(`nobody leads after ${withinMs} ms`);
  }

  /** The other node follows and could take over; false when it does not in time. */
  async untilStandby(node: SetNode, withinMs: number): Promise<boolean> {
    const endMs = performance.now() + withinMs;
    while (performance.now() < endMs) {
      if ((await this.cluster.status(node))?.role === 'following') return true;
      await pause(LOOK_MS);
    }
    return false;
  }

  /** How long until this replica votes again, ms; null when it does not in time. */
  async untilVotes(index: number, withinMs: number): Promise<number | null> {
    const startMs = performance.now();
    while (performance.now() - startMs < withinMs) {
      const vote = await this.cluster.vote(index).catch(() => null);
      if (vote?.isVoter === true) return performance.now() - startMs;
      await pause(LOOK_MS);
    }
    return null;
  }

  /**
   * No more opens and no more faults: waits for every answer and for every cent, asks a part again,
   * stops all nodes, reads the disks and judges. Findings are in `findings`.
   * @param tamper a lie, told to the stopped disks or to the history, that has to be found out
   */
  async end(tamper: ((world: SetWorld) => Promise<void>) | null = null): Promise<Ending> {
    const { cluster, clients, findings } = this;
    await cluster.heal();
    const healedFromMs = performance.now();
    await clients.load.end();
    for (const failure of clients.load.failures) findings.break(failure);
    const money = await clients.settle(SETTLED_WITHIN_MS);
    if (money.pendingTransfers !== 0) {
      findings.break(`${money.pendingTransfers} transfers on their way for ever`);
    }
    findings.compareCents('mismatch', { expected: 0, actual: money.mismatchCents });
    const healedMs = await this.#untilEqual(healedFromMs);
    let askedAgain = 0;
    // A Set that does not serve would let everybody wait; it is a finding already.
    if (healedMs !== null && money.pendingTransfers === 0) {
      askedAgain = await clients.load.askAgain(ASKED_AGAIN_MAX);
      // A refusal may be an entry of its own.
      await this.#untilEqual(performance.now());
    }
    await clients.close();
    await cluster.stopNodes();
    await tamper?.(this);
    const disks = await this.readDisks();
    return {
      ...this.judge({ disks, isHealed: healedMs !== null, findings }),
      healedS: (healedMs ?? HEALED_WITHIN_MS) / 1_000,
      askedAgain,
    };
  }

  async readDisks(): Promise<Disk[]> {
    return Promise.all(this.cluster.servers.map((server) => readDisk({ server, set: SET })));
  }

  /** Holds the disks against the history; what does not hold goes to `findings`. */
  judge(args: { disks: readonly Disk[]; isHealed: boolean; findings: Findings }): Verdict {
    const { disks, isHealed, findings } = args;
    const { history } = this.clients;
    return judge({ disks, isHealed, history, quorum: QUORUM }, findings);
  }

  /** The log lines of a node's process, of all its runs. */
  async logOf(node: SetNode): Promise<string[]> {
    return (await readFile(node.process.logFile, 'utf8')).split('\n');
  }

  /** Leaves nothing running. */
  async abandon(): Promise<void> {
    await this.clients.close();
    await this.rig.close();
  }

  /** Liveness: three replicas with a vote, one head, and projections that have reached it. */
  async #untilEqual(fromMs: number): Promise<number | null> {
    for (;;) {
      const votes = await Promise.all(
        this.cluster.servers.map((_, index) => this.cluster.vote(index).catch(() => null)),
      );
      const heads = new Set(votes.map((vote) => vote?.headLsn ?? null));
      const isEqual = votes.every(
        (vote) => vote !== null && vote.isVoter && vote.projectedLsn === vote.headLsn,
      );
      if (isEqual && heads.size === 1) return performance.now() - fromMs;
      if (performance.now() - fromMs > HEALED_WITHIN_MS) {
        this.findings.break(
          `not equal ${HEALED_WITHIN_MS} ms after the last fault: ${said(votes)}`,
        );
        return null;
      }
      await pause(LOOK_MS);
    }
  }
}

function said(votes: readonly (Vote | null)[]): string {
  const words = votes.map((vote) =>
    vote === null
      ? 'no answer'
      : `${vote.isVoter ? 'votes' : 'no vote'} at ${vote.headLsn}, projected ${vote.projectedLsn}`,
  );
  return words.join('; ');
}

/** The clients' own log, for an inquest. */
function logTo(path: string): Log {
  return makeJsonLog({ clock: new SystemClock(), write: (line) => appendFileSync(path, line) });
}
