import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { TaggedReply } from '../../lib/core/batch.ts';
import { decodeCommands, encodeReplies } from '../../lib/core/batch.ts';
import type { Command } from '../../lib/core/command.ts';
import { decodeCommand } from '../../lib/core/command.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { encodeOutcome } from '../../lib/core/outcome.ts';
import type { SetId } from '../../lib/core/units.ts';
import { setId } from '../../lib/core/units.ts';
import type { SetNodeServer } from '../../lib/runtime/grpc.ts';
import { openSetNode, serveSetNode } from '../../lib/runtime/grpc.ts';
import type { BatchStream } from '../../lib/runtime/stream.ts';
import type { CommandReplyBatch } from '../../proto/gen/hongbao/CommandReplyBatch.ts';
import type { EventBatch } from '../../proto/gen/hongbao/EventBatch.ts';
import type { EventInterest__Output } from '../../proto/gen/hongbao/EventInterest.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { QueryReply } from '../../proto/gen/hongbao/QueryReply.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { createRouter } from '../../router/router.ts';
import { firstTopology } from '../../router/topology.ts';

const SILENT = { info() {}, warn() {}, error() {} };

const NOTHING = Buffer.alloc(0);

type Seen = { tag: number; hex: string; command: Command };

/** A Set behind a real gRPC server: answers what the test says, and remembers what came. */
export class FakeSet {
  readonly id: SetId;
  readonly address: string;
  /** Each message of the command stream, with its commands. */
  readonly messages: Seen[][] = [];
  readonly interests: EventInterest__Output[] = [];
  readonly eventStreams: BatchStream<EventBatch>[] = [];
  commandStreams = 0;
  /** 0: it does not lead. */
  epoch = 7;
  /** The outcome of a command, or null for no answer. */
  decide: (command: Command) => Outcome | null = () => null;
  reply: (query: Query__Output) => QueryReply | null = () => null;
  /** Newest epoch that leads as far as it knows. */
  leaderEpoch = 0;
  /** SIGSTOP: connections stay, nothing comes. */
  paused = false;
  #signs: (() => void)[] = [];
  #timer: NodeJS.Timeout | null = null;
  #current: BatchStream<CommandReplyBatch> | null = null;
  #server: SetNodeServer | null = null;
  #lsn = 0;

  /** `node`: another node of the same Set. */
  constructor(id: number, folder: string, node = '') {
    this.id = setId(id);
    this.address = `unix:${join(folder, `${id}${node}.sock`)}`;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => this.tell(), 500);
    this.#server = await serveSetNode({
      address: this.address,
      handlers: {
        commands: (stream) => {
          this.commandStreams += 1;
          this.#current = stream;
          this.#tell(() => stream.send({ ...this.#standing(), body: NOTHING }));
          return {
            message: (batch) => this.#commands(stream, batch.body),
            closed: () => {},
          };
        },
        queries: (stream) => {
          this.#tell(() => stream.send(this.#standing()));
          return {
            message: (batch) => {
              const replies = batch.queries.flatMap((query) => {
                const reply = this.reply(query);
                return reply === null ? [] : [{ ...reply, tag: query.tag }];
              });
              if (replies.length > 0) stream.send({ ...this.#standing(), replies });
            },
            closed: () => {},
          };
        },
        events: (stream) => {
          this.eventStreams.push(stream);
          return { message: (interest) => void this.interests.push(interest), closed: () => {} };
        },
        status: () => ({ setId: this.id, role: 'leading', epoch: this.epoch }),
        stepDown: () => Promise.resolve(false),
        upgrade: () => Promise.resolve({ raised: false, reason: 'a fake' }),
      },
    });
  }

  /** Says on every stream whether it leads; now, and twice a second. */
  tell(): void {
    if (!this.paused) for (const sign of this.#signs) sign();
  }

  #standing(): { setId: number; epoch: number; leaderEpoch: number } {
    return { setId: this.id, epoch: this.epoch, leaderEpoch: this.leaderEpoch };
  }

  #tell(sign: () => void): void {
    this.#signs.push(sign);
    if (!this.paused) setImmediate(sign);
  }

  /** What a killed process does: no more answers, connections gone. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#signs = [];
    this.cut();
    await this.#server?.stop();
  }

  /** Breaks the command stream and leaves the server. */
  cut(): void {
    this.#current?.abort('cut by the test');
  }

  #commands(stream: BatchStream<CommandReplyBatch>, body: Uint8Array): void {
    const items = decodeCommands(body).map(({ tag, command }) => ({
      tag,
      hex: Buffer.from(command).toString('hex'),
      command: decodeCommand(command),
    }));
    this.messages.push(items);
    if (this.paused) return;
    const replies: TaggedReply[] = [];
    for (const { tag, command } of items) {
      const outcome = this.decide(command);
      if (outcome === null) continue;
      this.#lsn += 1;
      replies.push({ tag, lsn: this.#lsn, outcome: encodeOutcome(outcome) });
    }
    if (replies.length === 0) return;
    stream.send({
      setId: this.id,
      epoch: this.epoch,
      queueWaitUs: 123,
      body: encodeReplies(replies),
    });
  }
}

export type World = {
  readonly sets: readonly FakeSet[];
  readonly router: TopologyRouter;
  close(): Promise<void>;
};

/** Fake Sets 0 .. count-1, served, and a router to them over unix sockets. */
export async function makeWorld(args: { sets: number; started?: boolean }): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'hb-'));
  const sets = Array.from({ length: args.sets }, (_, id) => new FakeSet(id, folder));
  if (args.started !== false) await Promise.all(sets.map((set) => set.start()));
  const router = createRouter({
    topology: firstTopology({
      clusterId: '00'.repeat(16),
      sets: sets.map((set) => ({
        id: set.id,
        state: 'active',
        weight: 1,
        region: '',
        nodes: [{ primary: set.address, backup: '' }],
        replicas: [],
      })),
    }),
    clock: new SystemClock(),
    random: new SystemRandom(),
    log: SILENT,
    connect: openSetNode,
  });
  return {
    sets,
    router,
    close: async () => {
      await router.close();
      await Promise.all(sets.map((set) => set.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until `condition` holds, at most `withinMs`. */
export async function until(condition: () => boolean, withinMs = 5_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
