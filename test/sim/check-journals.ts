/** Journals of the real machine in the order of their commits, and ways to tamper with them. */
import fc from 'fast-check';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import type { Posting } from '../../lib/core/account.ts';
import { Writer } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import { grantMac } from '../../lib/core/grant.ts';
import { setOfId } from '../../lib/core/ids.ts';
import type { Entry, Op } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM, decodeOps, seal, writeOp } from '../../lib/core/journal-entry.ts';
import { cents } from '../../lib/core/units.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import { SetBooks } from '../../reconciler/audit/set-books.ts';
import { Violation } from '../../reconciler/audit/violation.ts';
import { script } from '../property/machine-script.ts';
import type { Script } from '../property/machine-script.ts';
import type { Cell, Genuine } from '../property/machine-sets.ts';
import { TestWorld } from '../property/machine-world.ts';

/**
 * The world of the machine tests where, as in the real system, nothing is used before the entry
 * that holds it is sealed: grants name the LSN of their group's Set, transfers leave and receipts
 * come only from sealed entries.
 */
export class SealedWorld extends TestWorld {
  /** Filled while the parent still constructs: no initialiser here. */
  declare journal: Entry[];

  override cut(cell: Cell): void {
    this.journal ??= [];
    const before = cell.entries.length;
    super.cut(cell);
    this.journal.push(...cell.entries.slice(before));
  }

  override submit(cell: Cell, command: Command, genuine?: Genuine) {
    const isTransfer = command.type.startsWith('transfer.');
    if (isTransfer) for (const each of this.cells) this.cut(each);
    const status = super.submit(cell, dated(this, command), genuine);
    if (isTransfer || command.type.startsWith('group.')) this.cut(cell);
    return status;
  }
}

/** The grants of the parent world all say LSN 1: they shall say what their Set has committed. */
function dated(world: TestWorld, command: Command): Command {
  const { type } = command;
  if (type !== 'packet.send' && type !== 'packet.pay' && type !== 'packet.open') return command;
  const { grant } = command;
  if (grant === null || grant.groupLsn !== 1) return command;
  const user = command.type === 'packet.open' ? command.user : command.definition.sender;
  const group = world.cell(setOfId(grant.groupId));
  const unsigned = { ...grant, groupLsn: group.state.lsn };
  const key = world.seals.keyOf(group.setId);
  const isForged = !grantMac(key, user, grant).every((byte, at) => byte === grant.mac[at]);
  const mac = grantMac(key, user, unsigned);
  if (isForged) mac[0]! ^= 1;
  return { ...command, grant: { ...unsigned, mac } };
}

export function scripts(
  sets: 1 | 2,
  args: { seed: number; days: number; steps: number },
): Script[] {
  const { seed, days, steps } = args;
  return fc.sample(script({ sets, steps }), { seed, numRuns: days });
}

/** A day with everything carried and sealed at its end. */
export function live(day: Script): SealedWorld {
  const world = new SealedWorld({ script: day });
  for (const step of day.steps) world.run(step);
  world.flush();
  for (const cell of world.cells) world.cut(cell);
  return world;
}

/** What the books say of a journal: null, or the violation's message. */
export function audit(journal: readonly Entry[], books = new ClusterBooks([1, 2])): string | null {
  try {
    for (const entry of journal) books.addCommitted(entry.setId, entry);
    return null;
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return error.message;
  }
}

/** {@link audit} by the books of single Sets, which know nothing of each other. */
export function auditAlone(journal: readonly Entry[]): string | null {
  const books = [1, 2].map((setId) => new SetBooks(setId));
  try {
    for (const entry of journal) books[entry.setId - 1]?.add(entry);
    return null;
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return error.message;
  }
}

/** What a tamperer makes of an op: others in its place, or null for "leave this one". */
export type Change = (op: Op, entry: Entry) => readonly Op[] | null;

/**
 * The journal with some ops changed, sealed again: checksums, chains and totals are those of an
 * honest writer of these ops. null: nothing was changed.
 */
export function tamper(journal: readonly Entry[], change: Change): Entry[] | null {
  const sums = new Map<number, Uint8Array>();
  const totals = new Map<number, Record<Posting['account']['kind'], number>>();
  let changes = 0;
  const tampered = journal.map((entry) => {
    const total = totals.get(entry.setId) ?? {
      wallet: 0,
      packet: 0,
      clearing: 0,
      issuer: 0,
      gateway: 0,
    };
    totals.set(entry.setId, total);
    const ops = decodeOps(entry).flatMap((op) => {
      const made = change(op, entry);
      if (made !== null) changes += 1;
      return made ?? [op];
    });
    const w = new Writer();
    for (const op of ops) {
      writeOp(w, { ...op, command: encodeCommand(op.command) });
      for (const { account, amountCents } of op.postings) {
        // In flight to the gateway is in flight.
        total[account.kind === 'gateway' ? 'clearing' : account.kind] += amountCents;
      }
    }
    const money = {
      walletsCents: cents(total.wallet),
      packetsCents: cents(total.packet),
      clearingCents: cents(total.clearing + total.gateway),
      issuerCents: cents(total.issuer),
    };
    const sealed = reseal({
      ...entry,
      prev: sums.get(entry.setId) ?? ZERO_SUM,
      opCount: ops.length,
      // `seal` refuses totals that do not sum to zero: the auditor must see that in the ops.
      money: sumOf(money) === 0 ? money : entry.money,
      payload: w.finish(),
    });
    sums.set(entry.setId, sealed.sum);
    return sealed;
  });
  return changes === 0 ? null : tampered;
}

function sumOf(money: Entry['money']): number {
  return money.walletsCents + money.packetsCents + money.clearingCents + money.issuerCents;
}

export function reseal(entry: Entry): Entry {
  const { sum: _, payload, ...head } = entry;
  return seal({ head, payload, hash: sha256 });
}

/** The journal with another head for one entry, and the rest of its Set chained to it. */
export function rehead(journal: readonly Entry[], target: Entry, head: Partial<Entry>): Entry[] {
  const sums = new Map<number, Uint8Array>();
  return journal.map((entry) => {
    const prev = sums.get(entry.setId) ?? ZERO_SUM;
    const sealed = reseal({ ...entry, prev, ...(entry === target ? head : {}) });
    sums.set(entry.setId, sealed.sum);
    return sealed;
  });
}
