import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { SUM_BYTES } from '../../../lib/core/journal-entry.ts';
import { epoch, lsn } from '../../../lib/core/units.ts';
import { randomBatch } from './random-batch.ts';
import { once, pick, randomChain, randomEntry, randomScan } from './random-entry.ts';
import type { Script } from './script.ts';
import type { Readmission } from './script-guide.ts';
import { OWNERS, READ_BYTES_MAX, ScriptGuide } from './script-guide.ts';

const STEPS_MIN = 20;
const STEPS_MAX = 60;
const CLUSTER = new Uint8Array(16).fill(0xc1);
const OTHER_CLUSTER = new Uint8Array(16).fill(0xd2);

type Move = (maker: ScriptMaker) => Promise<void>;

/** How often which move is tried; what is written most in production is tried most. */
const MOVES: readonly (readonly [number, Move])[] = [
  [26, (maker) => maker.append()],
  [9, (maker) => maker.takeOver()],
  [6, (maker) => maker.setCommit()],
  [6, (maker) => maker.project()],
  [6, (maker) => maker.scan()],
  [4, (maker) => maker.read()],
  [5, (maker) => maker.truncate()],
  [7, (maker) => maker.readmit()],
  [4, (maker) => maker.restore()],
  [4, (maker) => maker.admit()],
  [3, (maker) => maker.recordIncarnation()],
  [2, (maker) => maker.unprove()],
  [5, (maker) => maker.beat()],
  [4, (maker) => maker.look()],
  [3, (maker) => maker.snapshot()],
  [2, (maker) => maker.bootstrap()],
  [3, (maker) => maker.incident()],
  [1, (maker) => maker.close()],
];
/** Calls and nothing that opens it again. */
const MOVES_AFTER_CLOSE: readonly Move[] = [
  (maker) => maker.append(),
  (maker) => maker.takeOver(),
  (maker) => maker.read(),
  (maker) => maker.scan(),
  (maker) => maker.look(),
];
const MOVES_WEIGHT = MOVES.reduce((sum, [weight]) => sum + weight, 0);

/**
 * 20 to 60 steps of several rival leaders, drawn from the seed. They are tried on a replica in
 * memory while they are made, so that most calls fit what they find; the rest are late, repeated,
 * of another owner, epoch, incarnation or chain.
 */
export async function makeScript(seed: number): Promise<Script> {
  const guide = new ScriptGuide(seed);
  const maker = new ScriptMaker(guide);
  await maker.begin();
  while (!maker.isDone) await maker.move();
  return { seed, steps: guide.steps };
}

class ScriptMaker {
  readonly #guide: ScriptGuide;
  readonly #random: SeededRandom;
  readonly #target: number;
  #copies = 0;

  constructor(guide: ScriptGuide) {
    this.#guide = guide;
    this.#random = guide.random;
    this.#target = STEPS_MIN + this.#random.below(STEPS_MAX - STEPS_MIN + 1);
  }

  get isDone(): boolean {
    return this.#guide.steps.length >= this.#target;
  }

  /** Most replicas are made and led at first; some are met as strangers. */
  async begin(): Promise<void> {
    if (once(this.#random, 8)) return;
    if (once(this.#random, 6)) await this.bootstrap();
    await this.#guide.take({
      kind: 'bootstrap',
      args: [{ clusterId: CLUSTER, replicaId: 0, replicas: 3 }],
      stillNew: null,
    });
    if (!once(this.#random, 8)) await this.takeOver();
  }

  async move(): Promise<void> {
    if (once(this.#random, 12)) return this.sayAgain();
    // Without a vote nothing else happens: as a leader would, most often see to that.
    if (this.#guide.row?.proved !== true && once(this.#random, 2)) return this.readmit();
    let at = this.#random.below(MOVES_WEIGHT);
    for (const [weight, make] of MOVES) {
      if (at < weight) return make(this);
      at -= weight;
    }
  }

  async sayAgain(): Promise<void> {
    const { earlierCall } = this.#guide;
    if (earlierCall !== null) await this.#guide.take(earlierCall);
  }

  async bootstrap(): Promise<void> {
    const random = this.#random;
    await this.#guide.take({
      kind: 'bootstrap',
      args: [
        {
          clusterId: once(random, 16) ? OTHER_CLUSTER : CLUSTER,
          replicaId: once(random, 8) ? random.below(4) : 0,
          replicas: once(random, 4) ? 1 : 3,
        },
      ],
      stillNew: once(random, 2) ? null : once(random, 2),
    });
  }

  async takeOver(): Promise<void> {
    const at = this.#guide.row?.fenceEpoch ?? 0;
    const isNew = !once(this.#random, 4);
    const owner = once(this.#random, 60) ? new Uint8Array(15) : pick(this.#random, OWNERS);
    const next = isNew ? this.#guide.epochAbove(at) : this.#guide.epochNear(at);
    await this.#guide.take({ kind: 'takeOver', args: [{ epoch: next, owner }] });
  }

  async append(): Promise<void> {
    const fence = this.#guide.fence();
    const entries = randomBatch(this.#guide, fence);
    this.#guide.sent.push(entries);
    await this.#guide.take({ kind: 'append', args: [{ fence, entries }] });
  }

  async truncate(): Promise<void> {
    const head = this.#guide.head;
    const after = lsn(Math.max(0, head.lsn + 1 - this.#random.below(5)));
    const args = { fence: this.#guide.fence(), after, head: this.#guide.placeNear(head) };
    await this.#guide.take({ kind: 'truncate', args: [args] });
  }

  async recordIncarnation(): Promise<void> {
    const random = this.#random;
    const args = {
      fence: this.#guide.fence(),
      replica: once(random, 20) ? 3 : random.below(3),
      incarnation: 1 + random.below(6),
      proved: once(random, 2),
    };
    await this.#guide.take({ kind: 'recordIncarnation', args: [args] });
  }

  async unprove(): Promise<void> {
    await this.#guide.take({ kind: 'unprove', args: [{ fence: this.#guide.fence() }] });
  }

  /** What a leader does with a replica in doubt, all of it or the beginning. */
  async readmit(): Promise<void> {
    if (this.#guide.row?.proved === true) {
      if (once(this.#random, 3)) await this.unprove();
      else await this.incident();
    }
    if (once(this.#random, 4)) return;
    const by = this.#guide.readmission();
    if (!once(this.#random, 5)) await this.restore(by);
    if (!once(this.#random, 5)) await this.admit(by);
    // Said again, as by a network that delivers twice.
    if (once(this.#random, 4)) await this.admit(by);
  }

  async restore(as: Readmission = this.#guide.readmission()): Promise<void> {
    const random = this.#random;
    const { journal } = this.#guide;
    const by = {
      epoch: epoch(Math.max(0, as.epoch - random.below(2))),
      owner: pick(random, OWNERS),
    };
    const after = lsn(once(random, 2) ? 0 : random.below(journal.length + 1));
    const base = journal[after - 1] ?? null;
    const rest = journal.slice(after, journal.length - random.below(3));
    const kept = once(random, 5) ? [] : rest;
    const entries = [
      ...kept,
      ...randomChain(random, { ...by, prev: kept.at(-1) ?? base, count: random.below(4) }),
    ];
    switch (random.below(16)) {
      // Does not continue the row at `after`.
      case 0: {
        const like = base ?? randomEntry(random, { ...by, prev: null });
        const prev = { ...like, lsn: after, sum: random.bytes(SUM_BYTES) };
        entries.splice(0, Infinity, ...randomChain(random, { ...by, prev, count: 2 }));
        break;
      }
      // Against the rules of the port.
      case 1:
        entries.reverse();
        break;
      default:
    }
    await this.#guide.take({ kind: 'restore', args: [{ ...as, after, entries }] });
  }

  async admit(by: Readmission = this.#guide.readmission()): Promise<void> {
    const random = this.#random;
    const args = {
      ...by,
      incarnations: [by.incarnation, 1 + random.below(3), 1],
      clusterId: once(random, 16) ? OTHER_CLUSTER : CLUSTER,
      replicaId: once(random, 12) ? 1 : 0,
      head: this.#guide.placeNear(this.#guide.head),
    };
    await this.#guide.take({ kind: 'admit', args: [args] });
  }

  async setCommit(): Promise<void> {
    const { journal } = this.#guide;
    const entry = journal[journal.length - 1 - this.#random.below(4)];
    const place = entry ?? this.#guide.head;
    await this.#guide.take({ kind: 'setCommit', args: [this.#guide.placeNear(place)] });
  }

  async project(): Promise<void> {
    const head = this.#guide.head;
    // Most projections come after a commit, or there is nothing to do.
    if (head.lsn > 0 && !once(this.#random, 4)) await this.setCommit();
    const to = lsn(Math.max(0, head.lsn + 2 - this.#random.below(6)));
    await this.#guide.take({ kind: 'project', args: [to] });
  }

  async scan(): Promise<void> {
    if (once(this.#random, 2)) await this.project();
    await this.#guide.take({ kind: 'scan', args: [randomScan(this.#random)] });
  }

  async read(): Promise<void> {
    const random = this.#random;
    const head = this.#guide.head;
    const after = lsn(Math.max(0, head.lsn + 1 - random.below(head.lsn + 3)));
    // A limit that is reached exactly, and what costs nothing comes after it.
    const size = this.#guide.journal[after]?.payload.length ?? 0;
    const limitBytes = pick(random, [0, size, size, 200, 600, 3_000, 70_000, READ_BYTES_MAX]);
    await this.#guide.take({ kind: 'read', args: [{ after, limitBytes }] });
  }

  async beat(): Promise<void> {
    const at = this.#guide.epochNear(this.#guide.row?.fenceEpoch ?? 0);
    const kind = once(this.#random, 4) ? 'resign' : 'beat';
    await this.#guide.take({ kind, args: [at] });
    if (once(this.#random, 3)) await this.#guide.take({ kind: 'readBeat', args: [] });
  }

  async look(): Promise<void> {
    const kind = pick(this.#random, [
      'fenceRow',
      'fenceRow',
      'commitLsn',
      'projectedLsn',
      'readBeat',
      'probe',
    ] as const);
    await this.#guide.take({ kind, args: [] });
  }

  async snapshot(): Promise<void> {
    const random = this.#random;
    if (once(random, 3)) return this.#guide.take({ kind: 'readSnapshot', args: [] });
    const head = this.#guide.head;
    const chunks = Array.from({ length: random.below(4) }, () => random.bytes(random.below(50)));
    const at = lsn(Math.max(0, head.lsn - random.below(3)));
    const args = { lsn: at, chunks, manifest: random.bytes(random.below(20)) };
    await this.#guide.take({ kind: 'writeSnapshot', args: [args] });
    if (once(random, 2)) await this.#guide.take({ kind: 'readSnapshot', args: [] });
  }

  async incident(): Promise<void> {
    const random = this.#random;
    const { journal } = this.#guide;
    const at = 1 + random.below(journal.length + 1);
    switch (random.below(12)) {
      case 0:
        return this.#guide.take({ kind: 'wipe' });
      case 1:
        return this.#guide.take({ kind: 'drop-fence-row' });
      case 2:
        return this.#guide.take({ kind: 'drop-manifest' });
      case 3:
      case 4:
        return this.#guide.take({ kind: 'rot', at });
      case 5:
      case 6:
        return this.#guide.take({ kind: 'copy-disk', copy: this.#copies++ });
      case 7:
      case 8:
        if (this.#copies === 0)
          return this.#guide.take({ kind: 'copy-disk', copy: this.#copies++ });
        return this.#guide.take({ kind: 'restore-disk', copy: random.below(this.#copies) });
      default:
        return this.#guide.take({ kind: 'restart' });
    }
  }

  /** Calls to a store that is closed, until the server is back. */
  async close(): Promise<void> {
    await this.#guide.take({ kind: 'close' });
    for (let count = this.#random.below(4); count > 0; count--) {
      await pick(this.#random, MOVES_AFTER_CLOSE)(this);
      if (once(this.#random, 2)) await this.sayAgain();
    }
    if (once(this.#random, 3)) await this.#guide.take({ kind: 'close' });
    await this.#guide.take({ kind: 'restart' });
  }
}
