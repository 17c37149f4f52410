import { assert } from '../lib/core/assert.ts';
import type { TimeMs } from '../lib/core/units.ts';
import type { Clock, Timer } from '../lib/port/clock.ts';
import { Bucket } from './admission.ts';
import type { CloseReason } from './errors.ts';
import { CLOSE } from './errors.ts';
import type { AccessLimits } from './limits.ts';
import type { Person } from './people.ts';

/** One WebSocket as the logic sees it; server.ts binds it to uWebSockets.js. */
export interface Socket {
  /** Writes frames at once. false: it is over its limit or gone, and takes nothing any more. */
  write(frames: readonly string[]): boolean;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** Sends a close frame behind what is written. `close` of the server follows. */
  end(code: number, reason: string): void;
  /** Cuts the line. */
  cut(): void;
}

/**
 * A write costs more than all that is in it, on both ends: three quarters of the frames of an open
 * are news of what others did, and people do not see 20 ms, and a claim shows as settled well within 50.
 */
const TELL_WAIT_MS = 20;
const TELL_FRAMES_MAX = 64;

export function groupTopic(groupId: string): string {
  return `g/${groupId}`;
}

export type SessionState =
  | { readonly phase: 'connecting'; readonly helloTimer: Timer }
  /** hello is being answered. */
  | { readonly phase: 'greeting'; readonly person: Person }
  | { readonly phase: 'live'; readonly person: Person; readonly tokenExpiresAt: TimeMs }
  /** Never written again. */
  | { readonly phase: 'closing' };

/** One socket's conversation. Replies of one turn of the loop leave in one write. */
export class Session {
  readonly #socket: Socket;
  readonly #outlet: Outlet;
  /** Before hello the socket pays for itself, after it the person does. */
  readonly #bucket: Bucket;
  #state: SessionState;
  #out: string[] = [];
  /** Something of `#out` leaves at the end of this turn, and the rest with it. */
  #urgent = false;

  constructor(args: { socket: Socket; outlet: Outlet; clock: Clock; limits: AccessLimits }) {
    const { socket, outlet, clock, limits } = args;
    this.#socket = socket;
    this.#outlet = outlet;
    this.#bucket = new Bucket({
      perSecond: limits.requestsPerSecond,
      burst: limits.requestsBurst,
      nowMs: clock.monotonicMs(),
    });
    this.#state = this.#waitForHello(clock, limits);
  }

  get state(): SessionState {
    return this.#state;
  }

  #waitForHello(clock: Clock, limits: AccessLimits): SessionState {
    const helloTimer = clock.after(limits.helloTimeoutMs, () => this.close('helloTimeout'));
    return { phase: 'connecting', helloTimer };
  }

  /** connecting → greeting: the token holds. */
  greet(person: Person): void {
    assert(this.#state.phase === 'connecting', 'only a connecting socket is greeted');
    this.#state.helloTimer.cancel();
    this.#state = { phase: 'greeting', person };
    person.sessions.add(this);
  }

  /** greeting → live. false when the socket went away in the meantime. */
  goLive(tokenExpiresAt: TimeMs): boolean {
    if (this.#state.phase !== 'greeting') return false;
    this.#state = { phase: 'live', person: this.#state.person, tokenExpiresAt };
    return true;
  }

  /** greeting → connecting: hello could not be answered and may be tried again. */
  backToConnecting(clock: Clock, limits: AccessLimits): void {
    if (this.#state.phase !== 'greeting') return;
    const { person } = this.#state;
    this.#leave(person, clock.monotonicMs());
    for (const groupId of person.groups.keys()) this.#socket.unsubscribe(groupTopic(groupId));
    this.#state = this.#waitForHello(clock, limits);
  }

  #leave(person: Person, nowMs: number): void {
    person.sessions.delete(this);
    if (person.sessions.size === 0) person.idleSinceMs = nowMs;
  }

  /** Milliseconds to wait before the next request may be taken; 0: now. */
  admit(nowMs: number): number {
    const state = this.#state;
    const person = state.phase === 'live' || state.phase === 'greeting' ? state.person : null;
    return (person === null ? this.#bucket : person.bucket).take(nowMs);
  }

  subscribe(topic: string): void {
    if (this.#state.phase !== 'closing') this.#socket.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    if (this.#state.phase !== 'closing') this.#socket.unsubscribe(topic);
  }

  /** Leaves at the end of this turn of the loop, behind what was told before. */
  send(frame: string): void {
    if (this.#state.phase === 'closing') return;
    this.#out.push(frame);
    this.#wake();
  }

  /** What nobody waits for leaves with the next reply, or within {@link TELL_WAIT_MS} by itself. */
  tell(frame: string): void {
    if (this.#state.phase === 'closing') return;
    const waiting = this.#out.push(frame);
    if (waiting >= TELL_FRAMES_MAX) this.#wake();
    else if (waiting === 1) this.#outlet.remember(this);
  }

  #wake(): void {
    if (this.#urgent) return;
    this.#urgent = true;
    this.#outlet.wake(this);
  }

  flush(): void {
    this.#urgent = false;
    if (this.#state.phase === 'closing' || this.#out.length === 0) return;
    const frames = this.#out;
    this.#out = [];
    if (!this.#socket.write(frames)) this.cut();
  }

  /** Writes what waits, says why, and never writes again. */
  close(reason: CloseReason): void {
    this.flush();
    if (this.#state.phase === 'closing') return;
    const { code, means } = CLOSE[reason];
    this.#end();
    this.#socket.end(code, means);
  }

  /** A slow consumer: it may connect again and resume; waiting for it would cost the others. */
  cut(): void {
    if (this.#state.phase === 'closing') return;
    this.#end();
    // Not now: we may be inside the library's own walk over its subscribers.
    this.#outlet.later(() => this.#socket.cut());
  }

  /** The socket is gone. */
  gone(): void {
    if (this.#state.phase !== 'closing') this.#end();
  }

  #end(): void {
    const state = this.#state;
    if (state.phase === 'connecting') state.helloTimer.cancel();
    if (state.phase === 'greeting' || state.phase === 'live') {
      this.#leave(state.person, this.#outlet.nowMs());
    }
    this.#state = { phase: 'closing' };
    this.#out = [];
  }
}

/** Sessions with something to write: at the end of this turn of the loop, or in a moment. */
export class Outlet {
  readonly #clock: Clock;
  #waiting: Session[] = [];
  /** Each may have written meanwhile. */
  #told: Session[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  later(run: () => void): void {
    this.#clock.soon(run);
  }

  wake(session: Session): void {
    if (this.#waiting.push(session) === 1) this.#clock.soon(() => this.#flush());
  }

  remember(session: Session): void {
    if (this.#told.push(session) === 1) this.#clock.after(TELL_WAIT_MS, () => this.#flushTold());
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const session of waiting) session.flush();
  }

  #flushTold(): void {
    const told = this.#told;
    this.#told = [];
    for (const session of told) session.flush();
  }
}
