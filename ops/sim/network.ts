import type { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { assert } from '../../lib/core/assert.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { setNodeCodecs } from '../../lib/runtime/grpc-codec.ts';
import { GrpcStream } from '../../lib/runtime/grpc-stream.ts';
import type { BatchStream, SetNodeClient, SetNodeStreams } from '../../lib/runtime/stream.ts';
import type { CallWorld } from './network-call.ts';
import { SimCall, untyped } from './network-call.ts';
import type { OpenCall, Opening } from './network-client.ts';
import { clientOver } from './network-client.ts';
import { Cuts } from './network-cuts.ts';
import { typedEnd } from './network-end.ts';
import { SimProcess } from './process.ts';
import type { Trace } from './trace.ts';

/** How bad the lines between processes are, in thousandths; a hundredth of one is the least. */
export type NetworkWeather = {
  /** Of batches that are under way for up to 400 ms instead of 3. */
  readonly slow: number;
  /** Of batches that the connection does not survive. */
  readonly broken: number;
  /** Of attempts that are refused although somebody listens. */
  readonly refused: number;
  /** Of connections with room for one batch at a time. */
  readonly narrow: number;
};

export const CALM_NETWORK: NetworkWeather = { slow: 0, broken: 0, refused: 0, narrow: 0 };

/** As in lib/runtime/grpc.ts. */
const WINDOW_BYTES = 1_048_576;
const STOP_GRACE_MS = 1_000;

const SLOW_MS = 400;
const QUICK_MS = 4;
const RESEND_MS = 200;
/** One line of the trace for so many batches. */
const NOTED_EVERY = 1_000;

type Server = {
  readonly process: SimProcess;
  readonly streams: SetNodeStreams;
  readonly open: Map<SimCall, { end(): void }>;
  stopped: boolean;
};

/**
 * Streams between processes in virtual time: the real adapter ({@link GrpcStream}) and the real
 * message format over lines that are slow, break and go silent. All chance is from the seed.
 */
export class SimNetwork {
  readonly #clock: Clock;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #weather: () => NetworkWeather;
  readonly #codecs = setNodeCodecs();
  readonly #world: CallWorld;
  readonly #nobody: SimProcess;
  readonly #servers = new Map<string, Server>();
  readonly #watched = new WeakSet<SimProcess>();
  readonly #calls = new Set<SimCall>();
  readonly #cuts: Cuts;
  #opened = 0;
  #batches = 0;
  /** Over all that was read, when and by whom: two walks of one seed read the same. */
  #digest = 0;

  /** `clock` is the world's. */
  constructor(args: {
    clock: Clock;
    chance: SeededRandom;
    trace: Trace;
    weather: () => NetworkWeather;
  }) {
    this.#clock = args.clock;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#weather = args.weather;
    this.#cuts = new Cuts(args.clock);
    this.#nobody = new SimProcess({ name: 'nobody', clock: args.clock });
    this.#world = {
      clock: args.clock,
      below: (n) => this.#chance.below(n),
      delayMs: () => this.#chance.below(this.#strikes(this.#weather().slow) ? SLOW_MS : QUICK_MS),
      resendMs: () => this.#chance.below(RESEND_MS),
      cutUntilMs: (from, to) => this.#cuts.untilMs(from.name, to.name),
      sent: (call) => {
        if (!this.#strikes(this.#weather().broken)) return;
        this.#trace.note(`net ${call.number} breaks`);
        call.break('connection dropped');
      },
      read: (call, bytes) => this.#note(call, bytes),
      gone: (call) => {
        this.#calls.delete(call);
        for (const { open } of this.#servers.values()) open.delete(call);
      },
    };
  }

  /** Calls that are open, or about to be, or whose end nobody has heard of yet. */
  get open(): number {
    return this.#calls.size;
  }

  /** Batches that were read, since the start. */
  get batches(): number {
    return this.#batches;
  }

  /**
   * One living process an address. `stop` refuses new streams, ends the open ones and cuts what is
   * left after one second, as `serveSetNode` does.
   */
  serve(address: string, process: SimProcess, streams: SetNodeStreams): { stop(): Promise<void> } {
    const before = this.#servers.get(address);
    assert(before === undefined || before.process.dead || before.stopped, `${address} is taken`);
    const server: Server = { process, streams, open: new Map(), stopped: false };
    this.#servers.set(address, server);
    this.#watch(process);
    return { stop: () => this.#stop(server) };
  }

  /** Opens nothing yet. What the client reports runs in the `hold` of `from`. */
  connect(address: string, from: SimProcess): SetNodeClient {
    this.#watch(from);
    const open: OpenCall = (opening) => this.#open({ address, from, opening });
    return clientOver({ open, codecs: this.#codecs, from });
  }

  /**
   * Nothing passes between two processes for `ms`, from the first to the second (`there`), from the
   * second to the first, or both. Nobody is told: what is sent waits until the line is whole, unless
   * an end misses the other's signs of life before that (after 3 to 8 s).
   */
  cut(a: string, b: string, { ms, way }: { ms: number; way: 'both' | 'there' | 'back' }): void {
    this.#trace.note(`net cut ${a} ${b} ${way} ${ms}`);
    if (way !== 'back') this.#cuts.cut({ from: a, to: b, ms });
    if (way !== 'there') this.#cuts.cut({ from: b, to: a, ms });
    const now = this.#clock.monotonicMs();
    for (const call of this.#between(a, b)) call.doubt(() => this.#cuts.lastsSince(now, { a, b }));
  }

  /** Every connection between two processes breaks; what is under way arrives in part. */
  reset(a: string, b: string): void {
    this.#trace.note(`net reset ${a} ${b}`);
    for (const call of this.#between(a, b)) call.break('connection reset');
  }

  #open<Ask, AskRead, Reply, ReplyRead>(args: {
    address: string;
    from: SimProcess;
    opening: Opening<Ask, AskRead, Reply, ReplyRead>;
  }): BatchStream<Ask> {
    const { address, from, opening } = args;
    const server = this.#servers.get(address);
    const call = new SimCall({
      number: ++this.#opened,
      world: this.#world,
      codec: untyped(opening.codec),
      client: from,
      server: server?.process ?? this.#nobody,
      windowBytes: this.#strikes(this.#weather().narrow) ? 1 : WINDOW_BYTES,
    });
    this.#calls.add(call);
    const stream = new GrpcStream<ReplyRead, Ask>({
      duplex: typedEnd(call.client),
      abort: () => call.leave(call.client, 'cancelled by the peer'),
    });
    stream.listen(opening.listener);
    call.client.on('metadata', () => stream.opened());
    const refused = this.#strikes(this.#weather().refused);
    const listens = server !== undefined && !server.process.dead && !server.stopped;
    const told = listens && !refused ? '' : ' refused';
    this.#trace.note(`net ${call.number} ${from.name} → ${address} ${opening.name}${told}`);
    if (listens && !refused) call.open(() => this.#take(call, server, opening));
    else call.refuse(`nobody listens at ${address}`);
    return stream;
  }

  #take<Ask, AskRead, Reply, ReplyRead>(
    call: SimCall,
    server: Server,
    { handler }: Opening<Ask, AskRead, Reply, ReplyRead>,
  ): void {
    const stream = new GrpcStream<AskRead, Reply>({
      duplex: typedEnd(call.server),
      abort: (reason) => call.leave(call.server, reason),
    });
    if (server.stopped) return call.leave(call.server, 'the server stops');
    server.open.set(call, stream);
    stream.listen(handler(server.streams, stream));
  }

  #stop(server: Server): Promise<void> {
    server.stopped = true;
    return new Promise((resolve) => {
      for (const stream of [...server.open.values()]) stream.end();
      server.process.clock.after(STOP_GRACE_MS, () => {
        for (const call of [...server.open.keys()]) call.break('the server stops');
        resolve();
      });
    });
  }

  #watch(process: SimProcess): void {
    if (this.#watched.has(process)) return;
    this.#watched.add(process);
    process.onDeath(() => {
      for (const call of [...this.#calls]) call.died(process);
    });
  }

  #between(a: string, b: string): readonly SimCall[] {
    return [...this.#calls].filter(({ client, server }) => {
      const names = [client.process.name, server.process.name];
      return names.includes(a) && names.includes(b);
    });
  }

  #strikes(thousandths: number): boolean {
    return thousandths > 0 && this.#chance.below(100_000) < thousandths * 100;
  }

  #note(call: SimCall, bytes: Buffer): void {
    this.#batches += 1;
    this.#mix(this.#clock.monotonicMs());
    this.#mix(call.number);
    for (const byte of bytes) this.#mix(byte);
    if (this.#batches % NOTED_EVERY > 0) return;
    this.#trace.note(`net ${this.#batches} batches ${this.#digest.toString(16)}`);
  }

  #mix(value: number): void {
    this.#digest = Math.imul(this.#digest ^ value, 0x0100_0193) >>> 0;
  }
}
