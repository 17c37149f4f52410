import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import type { Id } from '../core/ids.ts';
import { parseId } from '../core/ids.ts';
import type { PaymentResult } from '../core/payment.ts';
import type { Cents, TimeMs } from '../core/units.ts';
import { cents, timeMs } from '../core/units.ts';
import { isCount, parseObject } from './callback-signature.ts';

export type SandboxRecord = {
  readonly kind: 'checkout' | 'payout';
  readonly paymentId: Id;
  readonly amountCents: Cents;
  /** Of checkouts. */
  readonly dueAt: TimeMs | null;
  /** Of payouts, else empty. */
  readonly destination: string;
  readonly state: 'pending' | PaymentResult;
  readonly reference: string;
};

/** What the sandbox gateway promised, a JSON line for each change: the last line of a payment holds. */
export class SandboxLedger {
  readonly #records = new Map<Id, SandboxRecord>();
  #file: number | null = null;
  /** Whole lines in the file, bytes. */
  #size = 0;

  /** @param path null: in memory only. Throws when the file cannot be used. */
  constructor(path: string | null) {
    if (path === null) return;
    this.#size = existsSync(path) ? this.#load(readFileSync(path)) : 0;
    this.#file = openSync(path, 'a', 0o600);
    // A crash may have left half a line: nobody was told of it, and the next one must not follow it.
    ftruncateSync(this.#file, this.#size);
  }

  get(paymentId: Id): SandboxRecord | undefined {
    return this.#records.get(paymentId);
  }

  checkouts(): readonly SandboxRecord[] {
    return [...this.#records.values()].filter(({ kind }) => kind === 'checkout');
  }

  /**
   * On disk before it returns: a payout that was told is never forgotten. False: it could not be
   * written, and nothing was done.
   */
  put(record: SandboxRecord): boolean {
    if (this.#file !== null && !this.#append(this.#file, record)) return false;
    this.#records.set(record.paymentId, record);
    return true;
  }

  #append(file: number, record: SandboxRecord): boolean {
    const line = { ...record, paymentId: String(record.paymentId) };
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    try {
      // A disk that fills up takes a part of it and says so only by this number.
      if (writeSync(file, bytes) === bytes.length) {
        fdatasyncSync(file);
        this.#size += bytes.length;
        return true;
      }
    } catch {
      // As above: what is there of it goes.
    }
    ftruncateSync(file, this.#size);
    return false;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  /** The bytes up to the end of the last whole line. */
  #load(bytes: Buffer): number {
    let start = 0;
    for (;;) {
      const end = bytes.indexOf('\n', start);
      if (end < 0) return start;
      const record = readRecord(bytes.subarray(start, end));
      if (record === null) throw new Error(`the sandbox's ledger cannot be read at byte ${start}`);
      this.#records.set(record.paymentId, record);
      start = end + 1;
    }
  }
}

function readRecord(bytes: Uint8Array): SandboxRecord | null {
  const line = parseObject(bytes);
  if (line === null) return null;
  const { kind, paymentId, amountCents, dueAt, destination, state, reference } = line;
  const id = typeof paymentId === 'string' ? parseId(paymentId) : null;
  if (id === null || !isCount(amountCents) || (dueAt !== null && !isCount(dueAt))) return null;
  if (kind !== 'checkout' && kind !== 'payout') return null;
  if (state !== 'pending' && state !== 'paid' && state !== 'denied') return null;
  if (typeof destination !== 'string' || typeof reference !== 'string') return null;
  return {
    kind,
    paymentId: id,
    amountCents: cents(amountCents),
    dueAt: dueAt === null ? null : timeMs(dueAt),
    destination,
    state,
    reference,
  };
}
