/** A process of its own for what needs a fresh heap: memory of things, CPU of an open, replay. */
import { decodeCommand } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM, unseal } from '../../lib/core/journal-entry.ts';
import { encodeOutcome } from '../../lib/core/outcome.ts';
import { cents } from '../../lib/core/units.ts';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import type { Recovered } from '../../set-node/log/replay.ts';
import { applyEntry, nothingReplayed } from '../../set-node/log/replay.ts';
import { decodeState, encodeState } from '../../set-node/machine/snapshot.ts';
import { SetState } from '../../set-node/machine/state.ts';
import type { BusySize } from './busy-set.ts';
import { makeBusySet, makeForeignPackets, opensOf } from './busy-set.ts';
import { BENCH_SET, SetMaker, user } from './set-maker.ts';

export type StateJob =
  | { readonly kind: 'memory'; readonly of: 'packet' | 'wallet'; readonly count: number }
  /** Answers `{ ready: true }`, then a run's figure to each message. */
  | { readonly kind: 'cpu'; readonly packets: number; readonly runs: number }
  | { readonly kind: 'replay'; readonly size: BusySize; readonly runs: number };

export type ReplayFigures = {
  readonly entries: number;
  readonly journalBytes: number;
  readonly opens: number;
  /** Of each run. */
  readonly opensPerS: readonly number[];
  readonly opensPerCpuS: readonly number[];
  readonly wholeSeconds: readonly number[];
  readonly snapshotBytes: number;
  readonly snapshotEncodeS: number;
  readonly snapshotDecodeS: number;
};

/** Packets that a run of `cpu` opens, 100 shares each. */
const OPENED = 1_000;

async function run(job: StateJob): Promise<void> {
  switch (job.kind) {
    case 'memory':
      return reply(memoryOf(job));
    case 'cpu':
      return cpuOfOpens(job);
    case 'replay':
      return reply(replayFigures(job));
  }
}

function reply(value: unknown): void {
  process.send?.(value);
}

/** Everything on and off the heap that a thing of the state keeps alive, bytes. */
function memoryOf({ of, count }: Extract<StateJob, { kind: 'memory' }>): number {
  const maker = new SetMaker({ onEntry: () => undefined, replicas: 3 });
  // What is made once (tables, compiled code) is made before.
  if (of === 'packet') makeForeignPackets(maker, 256);
  else openWallets(maker, { first: 0, count: 256 });
  const before = heapBytes();
  if (of === 'packet') makeForeignPackets(maker, count);
  else openWallets(maker, { first: 256, count });
  const after = heapBytes();
  const there = of === 'packet' ? maker.state.packets.size : maker.state.people.size;
  if (there < count) throw new Error(`${there} of ${count} are there`);
  return (after - before) / count;
}

function openWallets(maker: SetMaker, { first, count }: { first: number; count: number }): void {
  for (let index = first; index < first + count; index++) {
    maker.need({ type: 'wallet.open', user: user(`member-${index}`), welcomeCents: cents(100) });
  }
  maker.flush();
}

function heapBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('this process runs with --expose-gc');
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/**
 * Microseconds of CPU, all threads, of one open among `packets` live ones: of the newest 1,000
 * packet after packet, and of 1,000 from everywhere share after share.
 */
function cpuOfOpens({ packets, runs }: Extract<StateJob, { kind: 'cpu' }>): void {
  const warm = new SetMaker({ onEntry: () => undefined, replicas: 3 });
  for (const spread of [false, true, false, true]) {
    const warmed = makeForeignPackets(warm, OPENED);
    openAll(warm, opensOf({ maker: warm, packets: warmed, spread }));
  }
  // A small state is made anew for each measurement: its packets end.
  const isSmall = packets < OPENED * 2 * (runs + 1);
  const make = (): { maker: SetMaker; live: Id[] } => {
    const maker = new SetMaker({ onEntry: () => undefined, replicas: 3 });
    return { maker, live: makeForeignPackets(maker, packets) };
  };
  let { maker, live } = make();
  const measure = (spread: boolean): number => {
    if (isSmall) ({ maker, live } = make());
    const step = spread ? Math.floor(live.length / OPENED) : 1;
    const chosen = spread
      ? live.filter((_, index) => index % step === 0).slice(0, OPENED)
      : live.slice(-OPENED);
    const opened = new Set(chosen);
    live = live.filter((packetId) => !opened.has(packetId));
    const opens = opensOf({ maker, packets: chosen, spread });
    globalThis.gc?.();
    return openAll(maker, opens);
  };
  process.on('message', () => reply({ newestUs: measure(false), everywhereUs: measure(true) }));
  reply({ ready: true });
}

function openAll(maker: SetMaker, opens: readonly Uint8Array[]): number {
  const before = process.cpuUsage();
  let won = 0;
  for (const bytes of opens) {
    const outcome = maker.decide(bytes, decodeCommand(bytes));
    if (encodeOutcome(outcome).length > 2) won += 1;
  }
  maker.flush();
  const { user: own, system } = process.cpuUsage(before);
  if (won !== opens.length) throw new Error('every open of this bench wins');
  return (own + system) / won;
}

function replayFigures(job: Extract<StateJob, { kind: 'replay' }>): ReplayFigures {
  const { size, runs } = job;
  const entries: { entry: Entry; opens: boolean }[] = [];
  let opens = false;
  const maker = new SetMaker({ onEntry: (entry) => entries.push({ entry, opens }), replicas: 3 });
  makeBusySet({
    maker,
    size,
    onPhase: (phase) => {
      opens = phase === 'open';
    },
  });
  const figures = { opensPerS: [0], opensPerCpuS: [0], wholeSeconds: [0] };
  let recovered: Recovered = { state: maker.state, sum: maker.sum, ...nothingReplayed() };
  for (let round = 0; round <= runs; round++) {
    globalThis.gc?.();
    recovered = { state: new SetState(BENCH_SET), sum: ZERO_SUM, ...nothingReplayed() };
    const timed = replayOnce(entries, recovered);
    // The first round warms the compiler up.
    if (round > 0) for (const name of NAMES) figures[name].push(timed[name]);
  }
  for (const name of NAMES) figures[name].shift();
  if (recovered.state.lsn !== maker.state.lsn) throw new Error('the replay is whole');
  const { state } = recovered;
  if (state.money().walletsCents !== maker.state.money().walletsCents) {
    throw new Error('the replay has the same money');
  }
  const startMs = performance.now();
  const snapshot = encodeState(recovered);
  const encodedMs = performance.now();
  decodeState({ setId: BENCH_SET, ...snapshot });
  const decodedMs = performance.now();
  return {
    ...figures,
    entries: entries.length,
    journalBytes: entries.reduce((sum, { entry }) => sum + entry.payload.length, 0),
    opens: size.packets * size.claims,
    snapshotBytes: snapshot.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    snapshotEncodeS: (encodedMs - startMs) / 1_000,
    snapshotDecodeS: (decodedMs - encodedMs) / 1_000,
  };
}

const NAMES = ['opensPerS', 'opensPerCpuS', 'wholeSeconds'] as const;

/** Verifies and applies like a start does; entries that hold opens are timed apart. */
function replayOnce(
  entries: readonly { entry: Entry; opens: boolean }[],
  recovered: Recovered,
): Record<(typeof NAMES)[number], number> {
  let opens = 0;
  let openMs = 0;
  let openCpuUs = 0;
  let prev: Uint8Array = ZERO_SUM;
  const startMs = performance.now();
  for (const { entry, opens: holdsOpens } of entries) {
    const beginMs = performance.now();
    const begin = process.cpuUsage();
    unseal({ entry, prev, hash: sha256 });
    prev = entry.sum;
    applyEntry(recovered, entry);
    if (!holdsOpens) continue;
    const used = process.cpuUsage(begin);
    openCpuUs += used.user + used.system;
    openMs += performance.now() - beginMs;
    opens += entry.opCount;
  }
  return {
    opensPerS: opens / (openMs / 1_000),
    opensPerCpuS: opens / (openCpuUs / 1_000_000),
    wholeSeconds: (performance.now() - startMs) / 1_000,
  };
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '{}') as StateJob);
