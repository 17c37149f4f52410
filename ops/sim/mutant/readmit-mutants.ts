import type { Mutant, Patch } from './mutant.ts';

const MEMBERS = 'set-node/log/members.ts';
const REPLICA = 'lib/adapter/memory-replica.ts';
const ARGUMENTS = 'lib/adapter/replica-arguments.ts';

const NO_ROW: Patch['find'] = `    if (state === null) return { kind: 'no_row' };`;

/** Simpler rules for replicas that lost their disk, or restarted (P0, P9). */
export const READMIT_MUTANTS: readonly Mutant[] = [
  {
    name: 'empty-replica-votes',
    what: 'a replica without a row inserts a default one when a candidate asks, and votes',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: REPLICA,
        find: `    const { state } = disk;
${NO_ROW}`,
        replace: `    if (disk.state === null && this.#defaults !== null) await this.bootstrap(this.#defaults);
    const { state } = disk;
${NO_ROW}`,
      },
      {
        file: REPLICA,
        find: `    assert(replicaId >= 0 && replicaId < replicas, 'a replica is 0 .. replicas - 1');`,
        replace: `    // What its server would read in its configuration.
    this.#defaults = { clusterId, replicaId, replicas };`,
      },
      {
        file: REPLICA,
        find: `  #closed = false;
`,
        replace: `  #closed = false;
  #defaults: Bootstrap | null = null;
`,
      },
    ],
    rule: /^I[1-7] /,
    seed: 65,
  },
  {
    name: 'readmitted-as-before',
    what: 'a replica is re-admitted in the incarnation that it had before',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `    const incarnation = this.#epoch * READMITS_PER_EPOCH + this.#readmits;`,
        replace: `    const incarnation = this.#incarnations[replica] ?? 1;`,
      },
      {
        file: ARGUMENTS,
        find: `  if (row.incarnation >= by.incarnation || row.fenceEpoch > by.epoch) return false;`,
        replace: `  if (row.incarnation > by.incarnation || row.fenceEpoch > by.epoch) return false;`,
      },
    ],
    rule: /^(I[1-7]|I10) /,
    seed: 29,
  },
  {
    name: 'readmitted-recorded-on-one',
    what: 'a new incarnation is recorded on one of the other replicas only',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `    if (others.length !== replicas.length - 1 && !this.#trusted) return 'waits';`,
        replace: `    if (others.length === 0) return 'waits';`,
      },
      {
        file: MEMBERS,
        find: `    for (const [other, fence] of others) {
      const call`,
        replace: `    for (const [other, fence] of others.slice(0, 1)) {
      const call`,
      },
    ],
    rule: /^(I[1-7]|I10) /,
    seed: 3,
  },
  {
    name: 'readmitted-self-made',
    what: 'a replica that restarted makes a new incarnation up itself, and votes',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: REPLICA,
        find: `    const { state } = disk;
${NO_ROW}`,
        replace: `    if (disk.state !== null && disk.state.incarnation !== this.#alive) {
      disk.state = { ...disk.state, incarnation: disk.state.incarnation + 1 };
      this.#alive = disk.state.incarnation;
    }
    const { state } = disk;
${NO_ROW}`,
      },
    ],
    rule: /^(I[1-7]|I10) /,
    seed: 7,
  },
  {
    name: 'word-of-the-readmitter-ignored',
    what: 'what the leader that re-admitted a replica says of it never counts as evidence',
    source: 'issue 4: found by the walk',
    world: 'log',
    patches: [
      {
        file: 'set-node/log/tripwire.ts',
        find: `    const counts = by === admittedBy && args.proved && committed > 0;`,
        replace: `    const counts = false;`,
      },
    ],
    rule: /^I[1279] /,
    seed: 33,
  },
  {
    name: 'restore-without-incarnation-check',
    what: 'a replica takes a restore that lands late for a new one',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: REPLICA,
        find: `return 'has_vote';
    if (!this.#mayReadmit(args)) return 'fenced';`,
        replace: `return 'has_vote';
    if (disk.state !== null && !mayFollow(args, disk.state)) return 'fenced';`,
      },
    ],
    rule: /^I7 /,
    seed: 29,
  },
];
