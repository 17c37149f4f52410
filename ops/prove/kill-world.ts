import { join } from 'node:path';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Random } from '../../lib/port/random.ts';
import { Recorder } from '../rig/history.ts';
import { EmbeddedProcess } from './embedded.ts';
import { Findings } from './findings.ts';
import { Member } from './member.ts';
import type { Tags } from './member.ts';

export type KillOptions = {
  readonly rounds: number;
  /** Opens of one round. */
  readonly opens: number;
  /** How many of them wait for an answer at the same time; all: they are asked at once. */
  readonly outstanding: number;
  /** Packets that they are of. */
  readonly packets: number;
  readonly sets: number;
  readonly seed: number;
  /** A lie that the proof has to find out; null in earnest. */
  readonly sabotage: Sabotage | null;
  readonly say: (line: string) => void;
};

export const SABOTAGES = ['lose-ack', 'extra-cent'] as const;
export type Sabotage = (typeof SABOTAGES)[number];

/** Far below the 40 requests that a person may send at once, so that asking again fits too. */
const OPENS_A_MEMBER = 10;
/** Enough for a thousand rounds of sending. */
export const DEMO_CENTS = 10_000_000;
const CONNECT_AT_ONCE = 25;

/** What one open was told, once and for all. */
export type Told =
  | {
      readonly kind: 'claim';
      readonly amountCents: number;
      readonly order: number;
      readonly at: number;
      readonly status: string;
      /** `set:epoch:lsn` of the entry that the answer rests on. */
      readonly mark: string;
    }
  | { readonly kind: 'refused'; readonly code: string };

export type SentPacket = {
  readonly packetId: string;
  readonly sender: Member;
  readonly totalCents: number;
  readonly count: number;
};

export type Open = {
  readonly packet: SentPacket;
  readonly member: Member;
  /** null: not yet answered in a final way. */
  told: Told | null;
  /** Answered before the kill: the promise that this proof is about. */
  acknowledged: boolean;
};

/** The process under proof, its members, and what must be true of them. */
export class KillWorld {
  readonly options: KillOptions;
  readonly dataDir: string;
  readonly random: Random;
  readonly recorder = new Recorder<Tags>();
  readonly findings = new Findings();
  readonly members: readonly Member[];
  /** Every open of every round. */
  readonly opens: Open[] = [];
  readonly packets: SentPacket[] = [];
  readonly restartSeconds: number[] = [];
  groupId = '';
  #process: EmbeddedProcess | null = null;

  constructor(args: { options: KillOptions; dataDir: string; random: Random }) {
    this.options = args.options;
    this.dataDir = args.dataDir;
    this.random = args.random;
    const { recorder } = this;
    // Ids of commands carry their time; they need not repeat from the seed.
    const random = new SystemRandom();
    this.members = Array.from({ length: membersFor(args.options) }, (_, index) => {
      return new Member({ userId: `member-${index + 1}`, recorder, random });
    });
  }

  get process(): EmbeddedProcess {
    if (this.#process === null) throw new Error('no process runs');
    return this.#process;
  }

  /** Starts the process on the world's data and signs everybody in. */
  async start(): Promise<void> {
    const { sets } = this.options;
    const args = [`--sets=${sets}`, `--demo-cents=${DEMO_CENTS}`];
    this.#process = await EmbeddedProcess.start({ dataDir: this.dataDir, args });
    const waiting = [...this.members];
    const connect = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        await next.connect(this.process);
      }
    };
    await Promise.all(Array.from({ length: CONNECT_AT_ONCE }, connect));
  }

  /** Restarts after a kill, and notes how long it took. */
  async restart(): Promise<void> {
    for (const member of this.members) member.close();
    await this.start();
    this.restartSeconds.push(this.process.readySeconds);
  }

  /** One group with everybody in it. */
  async gather(): Promise<void> {
    const [owner, ...others] = this.members;
    if (owner === undefined) throw new Error('nobody is here');
    const asked = { round: 0, phase: 'prepare' } as const;
    const clientId = owner.newId();
    const input = { clientId, name: 'proof' };
    const group = await owner.need({ ...asked, op: 'group.create', input });
    this.groupId = String(group['groupId']);
    const { groupId } = this;
    const invited = await owner.need({ ...asked, op: 'group.invite', input: { groupId } });
    const { invite } = invited;
    await Promise.all(
      others.map((one) => one.need({ ...asked, op: 'group.join', input: { invite } })),
    );
  }

  /** A clean end of the last process; true when it ended with status 0. */
  async stop(): Promise<boolean> {
    for (const member of this.members) member.close();
    const ended = await this.process.stop();
    this.#process = null;
    return ended.status === 0;
  }

  /** Leaves no process behind, whatever happened. */
  async abandon(): Promise<void> {
    for (const member of this.members) member.close();
    this.#process?.kill();
    await this.#process?.ended;
    this.#process = null;
  }

  replicaPath(set: number): string {
    return join(this.dataDir, `set-${set}`, 'replica-0.sqlite');
  }

  /** What the wallet must hold: demo money, less what was sent, and what was claimed. */
  expectedBalance(userId: string): number {
    let balance = DEMO_CENTS;
    for (const { sender, totalCents } of this.packets) {
      if (sender.userId === userId) balance -= totalCents;
    }
    for (const { member, told } of this.opens) {
      if (member.userId === userId && told?.kind === 'claim') balance += told.amountCents;
    }
    return balance;
  }
}

/** People who open one packet. */
export function openersOf({ opens, packets }: KillOptions): number {
  return Math.ceil(opens / packets);
}

export function membersFor(options: Pick<KillOptions, 'opens' | 'packets'>): number {
  const openers = Math.ceil(options.opens / options.packets);
  return Math.max(2, openers, Math.ceil(options.opens / OPENS_A_MEMBER));
}
