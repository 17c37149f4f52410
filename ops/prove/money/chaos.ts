import { unreachable } from '../../../lib/core/assert.ts';
import type { RigProcess } from '../../rig/process.ts';
import type { RigServer } from '../../rig/server.ts';
import type { Findings } from '../findings.ts';
import { pause } from '../member.ts';
import type { MoneyCluster, SetPlace } from './cluster.ts';
import type { History, Hurt } from './history.ts';
import type { Fault } from './plan.ts';

const LOOK_MS = 50;
/** A fault waits so long for its victim to be whole again, or to be found; then it is left out. */
const VICTIM_WITHIN_MS = 15_000;
/** A replica that is not back by then is a finding: leaders that die delay its re-admission. */
const VOTES_WITHIN_MS = 180_000;

/** Carries out a plan. One replica of a Set at a time, each after the last is re-admitted (rulings 6). */
export class Chaos {
  readonly #cluster: MoneyCluster;
  readonly #history: History;
  readonly #findings: Findings;
  readonly #say: (line: string) => void;
  /** Processes and whole Sets' replicas that are being hurt. */
  readonly #busy = new Set<unknown>();
  readonly #counts = new Map<string, number>();
  /** Faults whose victim was not to be had. */
  leftOut = 0;

  constructor(args: {
    readonly cluster: MoneyCluster;
    readonly history: History;
    readonly findings: Findings;
    readonly say: (line: string) => void;
  }) {
    this.#cluster = args.cluster;
    this.#history = args.history;
    this.#findings = args.findings;
    this.#say = args.say;
  }

  /** How often each victim was hurt in each way: `leader kill` → 12. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** All faults in their time; resolves when the last one is mended. */
  async run(plan: readonly Fault[]): Promise<void> {
    const startMs = performance.now();
    const hurting: Promise<void>[] = [];
    for (const fault of plan) {
      await pause(Math.max(0, startMs + fault.atMs - performance.now()));
      hurting.push(
        this.#hurt(fault).catch((error: unknown) => {
          this.#findings.break(`${fault.harm} of a ${fault.victim}: ${String(error)}`);
        }),
      );
    }
    await Promise.all(hurting);
  }

  async #hurt(fault: Fault): Promise<void> {
    const { victim } = fault;
    const cluster = this.#cluster;
    switch (victim) {
      case 'leader':
      case 'standby':
        return this.#hurtNode(fault);
      case 'replica':
        return this.#hurtReplica(fault);
      case 'reconciler':
        return this.#hurtProcess(fault, cluster.reconcilers[fault.index]?.process);
      case 'access':
        return this.#hurtProcess(fault, cluster.access[fault.index]?.process);
      case 'nats':
        return this.#hurtNats(fault);
      default:
        return unreachable(victim);
    }
  }

  /** Whoever leads, or stands by, at this moment. */
  async #hurtNode(fault: Fault): Promise<void> {
    const set = this.#cluster.sets[fault.set];
    if (set === undefined) throw new Error(`there is no Set ${fault.set}`);
    const endMs = performance.now() + VICTIM_WITHIN_MS;
    for (;;) {
      const slot = await this.#cluster.leaderOf(set);
      const at = slot === null || fault.victim === 'leader' ? slot : set.nodes.length - 1 - slot;
      const process = at === null ? undefined : set.nodes[at]?.process;
      if (process !== undefined && !this.#busy.has(process)) {
        return this.#hurtProcess(fault, process);
      }
      if (performance.now() > endMs) return this.#leaveOut();
      await pause(LOOK_MS);
    }
  }

  async #hurtProcess(fault: Fault, process: RigProcess | undefined): Promise<void> {
    if (process === undefined) throw new Error(`there is no ${fault.victim} ${fault.index}`);
    if (!(await this.#take([process]))) return this.#leaveOut();
    const hurt = this.#begin(fault, process.name);
    try {
      await harm(fault, process);
    } finally {
      this.#end(hurt, [process]);
    }
  }

  async #hurtReplica(fault: Fault): Promise<void> {
    const set = this.#cluster.sets[fault.set];
    const server = set?.servers[fault.index];
    if (server === undefined) throw new Error(`there is no replica ${fault.index}`);
    // A server that Sets share is a replica of each of them.
    const touched = this.#cluster.sets.filter(({ servers }) => servers.includes(server));
    if (!(await this.#take(touched))) return this.#leaveOut();
    const hurt = this.#begin(fault, server.name);
    try {
      await harm(fault, server);
      await Promise.all(touched.map((one) => this.#untilVoters(one)));
    } finally {
      this.#end(hurt, touched);
    }
  }

  /** Every replica of the Set has a vote again. */
  async #untilVoters(set: SetPlace): Promise<void> {
    const endMs = performance.now() + VOTES_WITHIN_MS;
    for (;;) {
      const votes = await this.#cluster.votes(set);
      if (votes.every((vote) => vote?.isVoter === true)) return;
      if (performance.now() > endMs) {
        return this.#findings.break(`Set ${set.id}: a replica is not re-admitted`);
      }
      await pause(LOOK_MS);
    }
  }

  async #hurtNats(fault: Fault): Promise<void> {
    const { nats } = this.#cluster;
    if (nats === null) throw new Error('there is no NATS');
    if (!(await this.#take([nats]))) return this.#leaveOut();
    const hurt = this.#begin(fault, nats.name);
    try {
      if (fault.harm === 'wipe') {
        await nats.wipe();
        await pause(fault.awayMs);
        await nats.start();
      } else await harm(fault, nats);
    } finally {
      this.#end(hurt, [nats]);
    }
  }

  /** Waits until none of them is being hurt, and takes them; false when that takes too long. */
  async #take(victims: readonly unknown[]): Promise<boolean> {
    const endMs = performance.now() + VICTIM_WITHIN_MS;
    while (victims.some((victim) => this.#busy.has(victim))) {
      if (performance.now() > endMs) return false;
      await pause(LOOK_MS);
    }
    for (const victim of victims) this.#busy.add(victim);
    return true;
  }

  #leaveOut(): void {
    this.leftOut += 1;
  }

  #begin({ victim, harm: kind, awayMs }: Fault, name: string): Hurt {
    const what = `${victim} ${kind}`;
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    this.#say(`  ${what}: ${name}, ${awayMs} ms`);
    const hurt: Hurt = { what: `${what}: ${name}`, fromMs: this.#history.now(), toMs: null };
    this.#history.hurts.push(hurt);
    return hurt;
  }

  #end(hurt: Hurt, victims: readonly unknown[]): void {
    hurt.toMs = this.#history.now();
    for (const victim of victims) this.#busy.delete(victim);
  }
}

async function harm({ harm: kind, awayMs }: Fault, process: RigProcess | RigServer): Promise<void> {
  if (kind === 'pause') {
    await process.pause();
    await pause(awayMs);
    // A node that stood still for too long may have ended itself when it woke.
    if (process.pid !== null) process.resume();
    else await process.start();
    return;
  }
  await process.kill();
  await pause(awayMs);
  await process.start();
}
