import { Member } from '../load/member.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import { randomBytes } from 'node:crypto';
import { BenchServer } from './server.ts';
import { median, quantile } from './statistics.ts';

const HOST = '127.0.0.1';
const GROUPS = 5;
/** Members of a group open all its packets: count is also the number of shares. */
const GROUP_MEMBERS = 100;
const PACKETS_PER_GROUP = 800;
const TOTAL_CENTS = 100_00;

export type Phase = {
  opensPerS: number;
  p50Ms: number;
  p99Ms: number;
  serverCpuUs: number;
  /** CPU that the load itself took, on the same cores. */
  clientCpuUs: number;
  /** Journal entries of all Sets. */
  batchesPerS: number;
  /** Answers and events that left over WebSockets. */
  framesPerOpen: number;
};

type Room = { members: Member[]; packets: string[] };

/** 500 sockets in 5 groups; every open wins a share, is journaled, projected and settled. */
export async function benchOpenEmbedded(args: {
  seconds: number;
  runs: number;
  log: (line: string) => void;
}): Promise<{ full: Phase; half: Phase }> {
  const server = await BenchServer.start({ sets: 2, replicas: 1 });
  try {
    const rooms = await prepare(server.port, args.log);
    await saturate({ server, rooms, seconds: 2 });
    const fulls: Phase[] = [];
    const halves: Phase[] = [];
    for (let run = 0; run < args.runs; run++) {
      const full = await saturate({ server, rooms, seconds: args.seconds });
      fulls.push(full);
      args.log(`  at most: ${line(full)}`);
      const half = await pace({ server, rooms, seconds: args.seconds, perS: full.opensPerS / 2 });
      halves.push(half);
      args.log(`  at half: ${line(half)}`);
    }
    return { full: middle(fulls), half: middle(halves) };
  } finally {
    await server.stop();
  }
}

function line(phase: Phase): string {
  return `${phase.opensPerS.toFixed(0)} opens/s, p50 ${phase.p50Ms.toFixed(1)} ms, p99 ${phase.p99Ms.toFixed(1)} ms, ${phase.serverCpuUs.toFixed(1)} µs CPU each (and ${phase.clientCpuUs.toFixed(1)} of the client), ${phase.batchesPerS.toFixed(0)} entries/s, ${phase.framesPerOpen.toFixed(1)} frames an open`;
}

function middle(phases: readonly Phase[]): Phase {
  const of = (pick: (phase: Phase) => number): number => median(phases.map(pick));
  return {
    opensPerS: of((phase) => phase.opensPerS),
    p50Ms: of((phase) => phase.p50Ms),
    p99Ms: of((phase) => phase.p99Ms),
    serverCpuUs: of((phase) => phase.serverCpuUs),
    clientCpuUs: of((phase) => phase.clientCpuUs),
    batchesPerS: of((phase) => phase.batchesPerS),
    framesPerOpen: of((phase) => phase.framesPerOpen),
  };
}

async function prepare(port: number, log: (line: string) => void): Promise<Room[]> {
  log(`preparing ${GROUPS * GROUP_MEMBERS} members and ${GROUPS * PACKETS_PER_GROUP} packets`);
  const rooms: Room[] = [];
  for (let group = 0; group < GROUPS; group++) {
    const members = await inSlices(GROUP_MEMBERS, 25, (index) =>
      Member.join({ host: HOST, port, userId: `member-${group}-${index}` }),
    );
    const [owner] = members;
    if (owner === undefined) throw new Error('a group has an owner');
    const { groupId } = await owner.need('group.create', {
      clientId: newId(),
      name: `group ${group}`,
    });
    const { invite } = await owner.need('group.invite', { groupId });
    await inSlices(GROUP_MEMBERS - 1, 25, (index) => {
      const member = members[index + 1];
      if (member === undefined) throw new Error('a member is there');
      return member.need('group.join', { invite });
    });
    const packets = await inSlices(PACKETS_PER_GROUP, 50, async (index) => {
      const sender = members[index % members.length];
      if (sender === undefined) throw new Error('a sender is there');
      const sent = await sender.need('packet.send', {
        groupId,
        clientId: newId(),
        totalCents: TOTAL_CENTS,
        count: GROUP_MEMBERS,
      });
      return String(sent['packetId']);
    });
    rooms.push({ members, packets });
  }
  return rooms;
}

async function inSlices<T>(
  count: number,
  size: number,
  make: (index: number) => Promise<T>,
): Promise<T[]> {
  const all: T[] = [];
  for (let at = 0; at < count; at += size) {
    const slice = Array.from({ length: Math.min(size, count - at) }, (_, index) =>
      make(at + index),
    );
    all.push(...(await Promise.all(slice)));
  }
  return all;
}

function newId(): string {
  return makeCommandId(Date.now(), randomBytes(10));
}

/** Each member's next packet; a packet is opened by all of its group at about the same time. */
type Cursor = { member: Member; packets: string[]; next: number };

const cursors = new WeakMap<Member, Cursor>();

function cursorsOf(rooms: readonly Room[]): Cursor[] {
  return rooms.flatMap(({ members, packets }) =>
    members.map((member) => {
      const known = cursors.get(member) ?? { member, packets, next: 0 };
      cursors.set(member, known);
      return known;
    }),
  );
}

/** Closed loop, one open in flight per socket: the most that 500 people can make of it. */
async function saturate(args: {
  server: BenchServer;
  rooms: Room[];
  seconds: number;
}): Promise<Phase> {
  const { server, rooms, seconds } = args;
  const end = performance.now() + seconds * 1_000;
  return measured(server, (open) =>
    Promise.all(
      cursorsOf(rooms).map(async (cursor) => {
        while (performance.now() < end && cursor.next < cursor.packets.length) await open(cursor);
      }),
    ),
  );
}

/** Open loop: a fixed rate whatever the answers do, so that a slow server cannot hide. */
async function pace(args: {
  server: BenchServer;
  rooms: Room[];
  seconds: number;
  perS: number;
}): Promise<Phase> {
  const { server, rooms, seconds, perS } = args;
  const list = cursorsOf(rooms);
  return measured(server, async (open) => {
    const opens: Promise<void>[] = [];
    const start = performance.now();
    while (performance.now() - start < seconds * 1_000) {
      const due = Math.floor(((performance.now() - start) / 1_000) * perS);
      while (opens.length < due) {
        const cursor = list[opens.length % list.length];
        if (cursor === undefined || cursor.next >= cursor.packets.length) break;
        opens.push(open(cursor));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(opens);
  });
}

async function measured(
  server: BenchServer,
  drive: (open: (cursor: Cursor) => Promise<void>) => Promise<unknown>,
): Promise<Phase> {
  const times: number[] = [];
  const refusals = new Map<string, number>();
  const open = (cursor: Cursor): Promise<void> =>
    new Promise((resolve) => {
      const packetId = cursor.packets[cursor.next++];
      const start = performance.now();
      cursor.member.request('packet.open', {
        d: { packetId },
        done: (answer) => {
          if (answer.ok === true) times.push(performance.now() - start);
          else
            refusals.set(
              answer.error?.code ?? '?',
              (refusals.get(answer.error?.code ?? '?') ?? 0) + 1,
            );
          resolve();
        },
      });
    });
  const names = ['hongbao_set_batches_total', 'hongbao_access_frames_out_total'];
  const before = await server.counters(names);
  const cpu = await server.cpuUs();
  const start = performance.now();
  const ours = process.cpuUsage();
  await drive(open);
  const seconds = (performance.now() - start) / 1_000;
  const client = process.cpuUsage(ours);
  const used = (await server.cpuUs()) - cpu;
  const after = await server.counters(names);
  const [batches = 0, frames = 0] = after.map((value, index) => value - (before[index] ?? 0));
  if (refusals.size > 0) throw new Error(`opens were refused: ${JSON.stringify([...refusals])}`);
  return {
    opensPerS: times.length / seconds,
    p50Ms: median(times),
    p99Ms: quantile(times, 0.99),
    serverCpuUs: used / times.length,
    clientCpuUs: (client.user + client.system) / times.length,
    batchesPerS: batches / seconds,
    framesPerOpen: frames / times.length,
  };
}
