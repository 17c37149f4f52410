import { sleep } from './backoff.ts';
import { HongbaoError, localError } from './errors.ts';
import type { Platform } from './platform.ts';
import { wholeStatement, wholeYear } from './statement.ts';
import type { AppOp, Claim, Input, Output, Packet } from './protocol.ts';

export type RequestOptions = {
  /** When to give up, milliseconds from now; 30 s. The outcome may then be unknown. */
  readonly deadlineMs?: number;
};

/** What the typed methods need of a client. */
export interface Caller {
  readonly platform: Platform;
  request<Op extends AppOp>(op: Op, d: Input<Op>, options?: RequestOptions): Promise<Output<Op>>;
  newId(): string;
}

/** What came of an attempt to get a share. Losing is an answer, not an exception. */
export type GrabResult = Output<'packet.open'> | { status: 'drained' } | { status: 'expired' };

type Without<T, Key extends keyof T> = Omit<T, Key> & Partial<Pick<T, Key>>;

const GRAB_DEADLINE_MS = 30_000;
const CLAIMS_PAGE = 100;

/**
 * Sending takes a `clientId` or makes one. Keep the one you passed when a send fails with a
 * retryable error: sending again under it can never send a second packet.
 */
export function packetOps(caller: Caller) {
  return {
    send: (d: Without<Input<'packet.send'>, 'clientId'>, options?: RequestOptions) =>
      caller.request('packet.send', { ...d, clientId: d.clientId ?? caller.newId() }, options),
    grab: (packetId: string) => caller.request('packet.grab', { packetId }),
    open: (packetId: string) => caller.request('packet.open', { packetId }),
    get: (packetId: string): Promise<Packet> => caller.request('packet.get', { packetId }),
    claims: (d: Input<'packet.claims'>) => caller.request('packet.claims', d),
    /** Every claim, in order of opening. */
    allClaims: (packetId: string) => allClaims(caller, packetId),
    /** Stands in line, waits as often as it is told to, and opens. */
    grabAndOpen: (packetId: string, options?: RequestOptions) =>
      grabAndOpen(caller, packetId, options),
  };
}

async function allClaims(caller: Caller, packetId: string): Promise<Claim[]> {
  const all: Claim[] = [];
  for (;;) {
    const afterOrder = all.at(-1)?.order ?? 0;
    const d = { packetId, afterOrder, limit: CLAIMS_PAGE };
    const { claims } = await caller.request('packet.claims', d);
    // Orders only grow: a server that repeats itself must not keep us here.
    const fresh = claims.filter((claim) => claim.order > afterOrder);
    all.push(...fresh.toSorted((a, b) => a.order - b.order));
    if (fresh.length < CLAIMS_PAGE) return all;
  }
}

async function grabAndOpen(
  caller: Caller,
  packetId: string,
  options: RequestOptions = {},
): Promise<GrabResult> {
  const { platform } = caller;
  const deadline = platform.monotonicMs() + (options.deadlineMs ?? GRAB_DEADLINE_MS);
  for (;;) {
    const left = deadline - platform.monotonicMs();
    if (left <= 0) throw localError('timeout', 'the line for this packet did not move in time');
    const { status, retryAfterMs } = await caller.request(
      'packet.grab',
      { packetId },
      { deadlineMs: left },
    );
    switch (status) {
      case 'wait':
        // The server's delay has its jitter already (rulings 20).
        await sleep(platform, Math.min(Math.max(retryAfterMs, 50), left));
        continue;
      case 'drained':
      case 'expired':
        return { status };
      case 'go':
      case 'already_opened':
        return open(caller, packetId, deadline - platform.monotonicMs());
    }
  }
}

async function open(caller: Caller, packetId: string, deadlineMs: number): Promise<GrabResult> {
  try {
    return await caller.request('packet.open', { packetId }, { deadlineMs });
  } catch (error) {
    if (error instanceof HongbaoError && error.code === 'packet_drained') {
      return { status: 'drained' };
    }
    if (error instanceof HongbaoError && error.code === 'packet_expired') {
      return { status: 'expired' };
    }
    throw error;
  }
}

/** Messages of one group leave one after the other: a retry must not let a later one overtake. */
export function messageOps(caller: Caller) {
  const lanes = new Map<string, Promise<unknown>>();

  function inTurn<T>(groupId: string, run: () => Promise<T>): Promise<T> {
    const before = lanes.get(groupId) ?? Promise.resolve();
    const turn = before.then(run, run);
    lanes.set(groupId, turn);
    // Whoever called sees a failure; the lane only wants to know that the turn is over.
    void Promise.allSettled([turn]).then(() => {
      if (lanes.get(groupId) === turn) lanes.delete(groupId);
    });
    return turn;
  }

  return {
    /** Takes a `clientMsgId` or makes one; keep it to send the same message again. */
    send: (d: Without<Input<'message.send'>, 'clientMsgId'>, options?: RequestOptions) => {
      const full = { ...d, clientMsgId: d.clientMsgId ?? caller.newId() };
      return inTurn(d.groupId, () => caller.request('message.send', full, options));
    },
    history: (d: Input<'message.history'>) => caller.request('message.history', d),
    /** The cursor of this person, on all devices. */
    read: (groupId: string, seq: number) => caller.request('message.read', { groupId, seq }),
  };
}

export function groupOps(caller: Caller) {
  return {
    create: (d: Without<Input<'group.create'>, 'clientId'>, options?: RequestOptions) =>
      caller.request('group.create', { ...d, clientId: d.clientId ?? caller.newId() }, options),
    get: (groupId: string) => caller.request('group.get', { groupId }),
    list: () => caller.request('group.list', {}),
    invite: (groupId: string, lifetimeMs?: number) =>
      caller.request('group.invite', { groupId, lifetimeMs }),
    join: (invite: string) => caller.request('group.join', { invite }),
    leave: (groupId: string, clientId = caller.newId()) =>
      caller.request('group.leave', { groupId, clientId }),
  };
}

export function walletOps(caller: Caller) {
  return {
    get: () => caller.request('wallet.get', {}),
    history: (d: Input<'wallet.history'> = {}) => caller.request('wallet.history', d),
    /** All lines of `fromAt` <= time < `toAt` with the balances around them, page by page. */
    statement: (d: { fromAt?: number; toAt?: number } = {}) => wholeStatement(caller, d),
    /** Cents that were there when all of that millisecond had happened. */
    balanceAt: (at: number) => caller.request('wallet.balanceAt', { at }),
    /** A year of UTC+8; asks as often as there are pages of shares. */
    statistics: (year: number) => wholeYear(caller, year),
    /** Money from outside: it is in the wallet once somebody has paid at `checkoutUrl`. */
    topup: (d: Without<Input<'wallet.topup'>, 'clientId'>, options?: RequestOptions) =>
      caller.request('wallet.topup', { ...d, clientId: d.clientId ?? caller.newId() }, options),
    /** Leaves the wallet at once; the gateway pays out, or it comes back. */
    withdraw: (d: Without<Input<'wallet.withdraw'>, 'clientId'>, options?: RequestOptions) =>
      caller.request('wallet.withdraw', { ...d, clientId: d.clientId ?? caller.newId() }, options),
  };
}
