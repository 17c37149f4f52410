/**
 * One or two Sets without a driver: commands run one by one on the machine and on the model, and
 * ops are sealed into entries.
 */
import { makeCrypto, sha256 } from '../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { Writer } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { checkShape, decodeCommand, encodeCommand } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM, seal, writeOp } from '../../lib/core/journal-entry.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import { RULES_MIN } from '../../lib/core/rules.ts';
import type { Status } from '../../lib/core/status.ts';
import { epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { SetId } from '../../lib/core/units.ts';
import { SLOT_COUNT, slotOf } from '../../lib/core/user.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { World } from '../../set-node/machine/context.ts';
import { Seals } from '../../set-node/machine/findings.ts';
import { execute } from '../../set-node/machine/machine.ts';
import { DEFAULT_POLICY } from '../../set-node/machine/policy.ts';
import { decodeState, encodeState } from '../../set-node/machine/snapshot.ts';
import { SetState } from '../../set-node/machine/state.ts';
import { user } from '../golden/format-examples.ts';
import { compareMoney, compareSet } from './machine-compare.ts';
import type { Facts } from './machine-agree.ts';
import { TIGHT } from './machine-model-payments.ts';
import { agree } from './machine-agree.ts';
import { ModelSet } from './machine-model.ts';
import type { Script } from './machine-script.ts';

export type Execute = typeof execute;

/** Small, with awkward names; at two Sets some live here and some there. */
export const PEOPLE = ['alice', 'bob', '小红', 'refund', 'a:b'].map(user);
const START = Date.UTC(2026, 0, 1);
const OWNER = new Uint8Array(16).fill(7);
const SECRET = new Uint8Array(32).fill(9);

export class Cell {
  readonly setId: SetId;
  readonly model: ModelSet;
  state: SetState;
  readonly entries: Entry[] = [];
  readonly payload = new Writer(4_096);
  opCount = 0;
  /** Format of the entry that is being filled. */
  rules: number;

  constructor(set: number, homeOf: (user: string) => number) {
    this.setId = setId(set);
    this.state = new SetState(this.setId);
    this.rules = this.state.rules;
    this.model = new ModelSet(set, homeOf);
  }

  get sum(): Uint8Array {
    return this.entries.at(-1)?.sum ?? ZERO_SUM;
  }
}

/** What a courier has seen delivered of one lane; index 0 is number 1. */
export type Carried = (Receipt | undefined)[];
export type Genuine = Omit<Facts, 'ts'>;
export const GENUINE: Genuine = { genuineGrant: true, genuineInvite: true };

export class TestSets {
  readonly cells: readonly Cell[];
  readonly random: SeededRandom;
  readonly crypto = makeCrypto({ seedKey: new Uint8Array(32), clusterSecret: SECRET });
  readonly seals = new Seals(this.crypto);
  now = START;
  readonly policy = { ...DEFAULT_POLICY, ...TIGHT };
  readonly history: { cell: Cell; command: Command; genuine: Genuine }[] = [];
  /** How often each command came to each status: a script that does nothing proves nothing. */
  readonly seen = new Map<string, number>();
  readonly #execute: Execute;
  readonly #cutsEach: boolean;
  readonly #carried = new Map<string, Carried>();

  /** `cutsEach`: every op is an entry of its own, so that nothing uses what is not committed. */
  constructor(args: {
    script: Pick<Script, 'sets' | 'seed'>;
    execute?: Execute;
    cutsEach?: boolean;
  }) {
    const { sets, seed } = args.script;
    this.random = new SeededRandom(seed);
    this.#execute = args.execute ?? execute;
    this.#cutsEach = args.cutsEach ?? false;
    const homeOf = (name: string): number => 1 + (slotOf(name as UserId) % sets);
    this.cells = Array.from({ length: sets }, (_, index) => new Cell(index + 1, homeOf));
    for (const cell of this.cells) this.#found(cell);
  }

  #found(cell: Cell): void {
    const slots = new Uint8Array(SLOT_COUNT / 8);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (1 + (slot % this.cells.length) === cell.setId) slots[slot >> 3]! |= 1 << (slot & 7);
    }
    const one = { replicas: 1, quorum: 1, rules: RULES_MIN };
    this.submit(cell, { type: 'set.configure', clusterId: OWNER, ...one, slots });
    this.cut(cell);
  }

  /** A CONFIG entry of its own, like a leader's. */
  raiseRules(cell: Cell, rules: number): void {
    const { config } = cell.state;
    if (config === null || config.rules >= rules) return;
    this.cut(cell);
    this.submit(cell, { type: 'set.configure', ...config, rules });
    this.cut(cell);
  }

  home(person: UserId): Cell {
    return this.cell(1 + (slotOf(person) % this.cells.length));
  }

  cell(set: number): Cell {
    const cell = this.cells.find((each) => each.setId === set);
    if (cell === undefined) throw new Error(`there is no Set ${set}`);
    return cell;
  }

  /** Runs one command on machine and model, and compares. null: it has no shape. */
  submit(cell: Cell, command: Command, genuine: Genuine = GENUINE): Status | null {
    if (checkShape(command) !== null) return null;
    const bytes = encodeCommand(command);
    const ts = timeMs(this.now);
    const decision = this.#execute({
      state: cell.state,
      command: decodeCommand(bytes),
      found: this.seals.findings(command, ts),
      world: this.world(),
      place: { lsn: lsn(cell.state.lsn + 1), ts },
    });
    const { outcome, postings, sends, effects } = decision;
    this.#note(`${command.type} ${outcome.status}`);
    if ('became' in outcome) this.#note(`${command.type} ${outcome.became}`);
    cell.model.step(command, { ...genuine, ts }, decision);
    if (effects) {
      writeOp(cell.payload, { command: bytes, outcome, postings, sends });
      cell.opCount += 1;
    }
    if (command.type === 'transfer.deliver' && 'receipts' in outcome) {
      const carried = this.lane(`${command.from}/${cell.setId}/${command.lane}`);
      for (const [index, receipt] of outcome.receipts.entries()) {
        carried[command.first - 1 + index] = receipt;
        this.#note(`${command.transfers[index]?.kind} ${receipt.kind}`);
      }
    }
    this.history.push({ cell, command, genuine });
    compareSet(cell, PEOPLE);
    compareMoney(this.cells);
    if (this.#cutsEach) this.cut(cell);
    return outcome.status;
  }

  #note(name: string): void {
    this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
  }

  lane(name: string): Carried {
    let lane = this.#carried.get(name);
    if (lane === undefined) this.#carried.set(name, (lane = []));
    return lane;
  }

  world(): World {
    const bound = (packetId: Id): Uint8Array => new TextEncoder().encode(String(packetId));
    return {
      ts: timeMs(this.now),
      policy: this.policy,
      freshSeed: () => ({ seed: this.random.bytes(32), nonce: this.random.bytes(12) }),
      sealSeed: (args) => this.crypto.sealSeed({ ...args, bound: bound(args.packetId) }),
      openSeed: (args) => this.crypto.openSeed({ ...args, bound: bound(args.packetId) }),
      homeOf: (person) => this.home(person).setId,
    };
  }

  /** Seals what was decided since the last time as one entry. */
  cut(cell: Cell): void {
    if (cell.opCount === 0) return;
    const { state } = cell;
    const entry = seal({
      head: {
        setId: cell.setId,
        lsn: lsn(state.lsn + 1),
        epoch: epoch(256),
        leaderId: OWNER,
        kind: 'OPS',
        prev: cell.sum,
        ts: timeMs(this.now),
        commitLsn: state.lsn,
        acked: [state.lsn, lsn(0), lsn(0)],
        format: cell.rules,
        opCount: cell.opCount,
        money: state.money(),
      },
      payload: cell.payload.finish(),
      hash: sha256,
    });
    cell.payload.reset();
    cell.opCount = 0;
    cell.entries.push(entry);
    state.lsn = entry.lsn;
    state.ts = entry.ts;
    cell.rules = state.rules;
  }

  /** The leader's memory becomes what a snapshot kept of it. */
  restart(cell: Cell): void {
    this.cut(cell);
    const written = encodeState({ state: cell.state, sum: cell.sum });
    const { state, sum } = decodeState({ ...written, setId: cell.setId });
    agree('sum in a snapshot', [...sum], [...cell.sum]);
    const again = encodeState({ state, sum });
    agree('snapshot of a snapshot', hexOf(again.chunks), hexOf(written.chunks));
    cell.state = state;
    compareSet(cell, PEOPLE);
  }
}

export function hexOf(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString('hex');
}
