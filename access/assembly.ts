import type { Id } from '../lib/core/ids.ts';
import { cents } from '../lib/core/units.ts';
import type { Cache } from '../lib/port/cache.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type { PaymentGateway } from '../lib/port/payment-gateway.ts';
import type { Random } from '../lib/port/random.ts';
import type { Router } from '../router/api.ts';
import { CursorMoves } from './cursor-moves.ts';
import { Dispatch } from './dispatch.ts';
import type { Door } from './door.ts';
import type { Publish } from './fan-out.ts';
import { FanOut } from './fan-out.ts';
import { Gate } from './grab.ts';
import { Grants } from './grants.ts';
import type { AccessLimits } from './limits.ts';
import { AccessMetrics } from './metrics.ts';
import { PacketMemo } from './packet-memo.ts';
import { People } from './people.ts';
import { Repair } from './repair.ts';
import type { Socket } from './sessions.ts';
import { Outlet, Session } from './sessions.ts';
import type { Tokens } from './tokens.ts';
import { Topics } from './topics.ts';
import { Waiters } from './waiters.ts';

export type AssemblyArgs = {
  readonly router: Router;
  readonly cache: Cache;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tokens: Tokens;
  readonly demoCents: number;
  /** Absent or null: money neither enters nor leaves. */
  readonly gateway?: PaymentGateway | null;
  readonly limits: AccessLimits;
  readonly publish: Publish;
};

/** The logic of one access node, without a network: tests drive it through {@link Socket}s. */
export type Assembly = {
  readonly dispatch: Dispatch;
  readonly metrics: AccessMetrics;
  open(socket: Socket): Session;
  close(session: Session): void;
  readonly connections: number;
  /** Sends each session the frame that is made for it. */
  tellAll(frame: () => string): void;
  /** Ends every session with this reason. */
  closeAll(reason: 'restart' | 'goingAway'): void;
  /** No timer of ours runs after this. */
  stop(): void;
};

export function assemble(args: AssemblyArgs): Assembly {
  const { router, cache, clock, random, log, limits, tokens } = args;
  const metrics = new AccessMetrics(args.metrics);
  // The repair works on the door, and the door's topics tell the repair: one of them comes second.
  const topics = new Topics(router, (groupId: Id) => repair.verify(groupId));
  const door: Door = {
    router,
    clock,
    random,
    log,
    limits,
    tokens,
    demoCents: cents(args.demoCents),
    gateway: args.gateway ?? null,
    people: new People({ router, clock, limits, topics }),
    topics,
    grants: new Grants({ router, clock, log, limits, topics }),
    packets: new PacketMemo(limits.packetsRemembered),
    gate: new Gate({ cache, random, failed: () => metrics.gateOpen() }),
    moves: new CursorMoves({ router, clock, periodMs: limits.cursorMoveMs }),
    waiters: new Waiters(clock),
    epochs: new Map(),
  };
  const repair = new Repair({ door, push: (message) => fanOut.message(message) });
  const fanOut = new FanOut({ door, publish: args.publish, repair });
  router.onEvents(fanOut);

  const outlet = new Outlet(clock);
  const sessions = new Set<Session>();
  const tokenCheck = clock.every(limits.tokenCheckMs, () => closeExpired(sessions, clock.now()));
  return {
    dispatch: new Dispatch(door, metrics),
    metrics,
    open(socket) {
      const session = new Session({ socket, outlet, clock, limits });
      sessions.add(session);
      metrics.connections(sessions.size);
      return session;
    },
    close(session) {
      session.gone();
      sessions.delete(session);
      metrics.connections(sessions.size);
    },
    get connections() {
      return sessions.size;
    },
    tellAll(frame) {
      for (const session of sessions) session.send(frame());
    },
    closeAll(reason) {
      for (const session of sessions) session.close(reason);
    },
    stop() {
      tokenCheck.cancel();
      repair.stop();
    },
  };
}

/** Also a socket that only listens ends with its token. */
function closeExpired(sessions: ReadonlySet<Session>, now: number): void {
  for (const session of sessions) {
    const { state } = session;
    if (state.phase === 'live' && state.tokenExpiresAt <= now) session.close('token');
  }
}
