import type { Mutant, Patch } from './mutant.ts';

const VOTES = 'set-node/log/votes.ts';
const HEARING = 'set-node/log/hearing.ts';
const TAKEOVER = 'set-node/log/takeover.ts';
const MEMBERS = 'set-node/log/members.ts';
const PROOF = 'set-node/log/proof.ts';
const SET_LOG = 'set-node/log/set-log.ts';
const FOLLOWER = 'set-node/log/follower.ts';
const REPLICA = 'lib/adapter/memory-replica.ts';
const ARGUMENTS = 'lib/adapter/replica-arguments.ts';

/** P2 asks whether a replica was away, and takes its word all the same. */
const VOTES_WITHOUT_PROOF: Patch = {
  file: VOTES,
  find: `promised.filter((one) => one.reply.proved && isNewest(one, incarnations))`,
  replace: `promised.filter((one) => isNewest(one, incarnations))`,
};

/** P6 without its last condition. */
const APPENDS_WITHOUT_PROOF: Patch = {
  file: REPLICA,
  find: `if (state.incarnation !== fence.incarnation || this.#alive !== state.incarnation) {`,
  replace: `if (state.incarnation !== fence.incarnation) {`,
};

/** A leader that looks at an idle replica asks for no more than P6 does. */
const IDLE_WITHOUT_PROOF: Patch = {
  file: FOLLOWER,
  find: `const votes = row.proved && row.incarnation === this.#fence.incarnation;`,
  replace: `const votes = row.incarnation === this.#fence.incarnation;`,
};

/** Whoever reads the fence rows to prove that it leads takes a doubtful one, too. */
const READS_WITHOUT_PROOF: Patch = {
  file: PROOF,
  find: `      row.proved &&
      row.fenceEpoch`,
  replace: `      row.fenceEpoch`,
};

/** Promises count for as long as the candidate lives, whatever became of who gave them. */
const HOUSE_NOT_ASKED_AGAIN: Patch = {
  file: HEARING,
  find: `    if (fullHouse && !trusted && !(await areFenced(args, asked))) {`,
  replace: `    if (args.quorum === 0) {`,
};

/** Rulings 6: the simpler rules about a replica that restarted, each planted alone. */
export const AMNESIA_MUTANTS: readonly Mutant[] = [
  {
    name: 'old-copy-votes',
    what: 'a replica that restarted votes and stores by its disk, as ever',
    source: 'rulings 6',
    world: 'log',
    patches: [VOTES_WITHOUT_PROOF, APPENDS_WITHOUT_PROOF, IDLE_WITHOUT_PROOF],
    rule: /^I[127] /,
    seed: 3,
  },
  {
    name: 'old-copy-promises',
    what: 'a replica that restarted has a vote in a takeover; it must only not acknowledge',
    source: 'rulings 6',
    world: 'log',
    patches: [VOTES_WITHOUT_PROOF],
    rule: /^I[127] /,
    seed: 23,
  },
  {
    name: 'old-copy-acknowledges',
    what: 'a replica that restarted acknowledges what its old fence allows',
    source: 'rulings 6',
    world: 'log',
    patches: [APPENDS_WITHOUT_PROOF, IDLE_WITHOUT_PROOF],
    rule: /^I[127] /,
    seed: 3,
  },
  {
    name: 'old-copy-confirms-reads',
    what: 'a replica that restarted confirms that its old leader still leads',
    source: 'rulings 6',
    world: 'log',
    patches: [READS_WITHOUT_PROOF],
    rule: /^I9 /,
    seed: 39,
  },
  {
    name: 'acked-alone',
    what: 'no alive row: only what entries say of acknowledgements puts a replica in doubt',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: REPLICA,
        find: `      proved: this.#alive === state.incarnation,
      incarnations`,
        replace: `      proved: true,
      incarnations`,
      },
      {
        file: REPLICA,
        find: `      proved: this.#alive === state.incarnation,
    };`,
        replace: `      proved: true,
    };`,
      },
      APPENDS_WITHOUT_PROOF,
    ],
    rule: /^I[1279] /,
    seed: 3,
  },
  {
    name: 'leader-vouches',
    what: 'a leader that remembers the fence and the head of a restarted replica clears its doubt',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `      const votes = row.proved && isNewest && !damaged && !setLog.hasForgotten(replica);`,
        replace: `      const remembered = (setLog as SetLog).remembered(replica);
      const vouches = remembered !== null && row.fenceEpoch === this.#epoch;
      const [last] =
        vouches && remembered > 0
          ? await store.read({ after: lsn(remembered - 1), limitBytes: 1 })
          : [];
      const sane = isNewest && !damaged && !setLog.hasForgotten(replica);
      const cleared = !row.proved && sane && vouches && (remembered === 0 || last !== undefined);
      if (cleared) await (store as unknown as { vouch(of: Fence): Promise<void> }).vouch(fence);
      const votes = (row.proved || cleared) && sane;`,
      },
      {
        file: SET_LOG,
        find: `  isActive(replica: number): boolean {`,
        replace: `  remembered(replica: number): number | null {
    return this.#followers[replica]?.acked ?? null;
  }

  isActive(replica: number): boolean {`,
      },
      {
        file: REPLICA,
        find: `  async unprove({ fence }`,
        replace: `  async vouch(fence: Fence): Promise<void> {
    if (this.#holds(fence)) this.#alive = fence.incarnation;
  }

  async unprove({ fence }`,
      },
    ],
    rule: /^I[1279] /,
    seed: 3,
  },
  {
    name: 'same-incarnation',
    what: 'a replica is re-admitted under the incarnation that it had',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `    const incarnation = this.#epoch * READMITS_PER_EPOCH + this.#readmits;`,
        replace: `    const incarnation = Math.max(1, this.#incarnations[replica] ?? 0);`,
      },
      {
        file: ARGUMENTS,
        find: `  if (row.incarnation >= by.incarnation || row.fenceEpoch > by.epoch) return false;`,
        replace: `  if (row.incarnation > by.incarnation || row.fenceEpoch > by.epoch) return false;`,
      },
    ],
    rule: /^I[1279] /,
    seed: 35,
  },
  {
    name: 'recorded-on-one',
    what: 'a new incarnation is recorded on one other replica, not on all',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `      if ((await this.#store(other).recordIncarnation(call)) !== 'done') return null;
    }`,
        replace: `      const done = await this.#store(other).recordIncarnation(call).catch(() => null);
      if (done === 'done') recorded += 1;
    }
    if (recorded < 1) return null;`,
      },
      {
        file: MEMBERS,
        find: `    const proved = kind === 'absent';`,
        replace: `    const proved = kind === 'absent';
    let recorded = 0;`,
      },
    ],
    rule: /^I[1279] /,
    seed: 3,
  },
  {
    name: 'bare-journal',
    what: 'a replica is re-admitted first, and its journal is brought to the commit point later',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `    const head = await fromDonor(() => placeAt(this.#store(chain.winner), chain.end));`,
        replace: `    const head = await headOf(store, lsn(0));
    const bare = await this.#isPrefix(replica, { winner: chain.winner, end: head.lsn });`,
      },
      {
        file: MEMBERS,
        find: `      if (missing.length === 0 && !differs) continue;
      identity`,
        replace: `      if (bare || (missing.length === 0 && !differs)) continue;
      identity`,
      },
      {
        file: MEMBERS,
        find: `      head: above.lsn > chain.end ? above : head,
    });
    if (admitted`,
        replace: `      head: bare ? head : await fromDonor(() => placeAt(this.#store(chain.winner), chain.end)),
    });
    if (admitted`,
      },
      {
        file: MEMBERS,
        find: `    setLog.join({ replica, fence: identity, acked: chain.end });
    this.#args.onReadmitted`,
        replace: `    setLog.join({ replica, fence: identity, acked: bare ? head.lsn : chain.end });
    this.#args.onReadmitted`,
      },
      {
        file: MEMBERS,
        find: `  /**
   * Under which identity a replica is re-admitted.`,
        replace: `  async #isPrefix(replica: number, { winner, end }: Chain): Promise<boolean> {
    const [mine, theirs] = await Promise.all(
      [replica, winner].map((each) => placeAt(this.#store(each), end).catch(() => null)),
    );
    return mine?.sum !== undefined && theirs?.sum !== undefined && equalBytes(mine.sum, theirs.sum);
  }

  /**
   * Under which identity a replica is re-admitted.`,
      },
    ],
    rule: /^I[127] /,
    seed: 15,
  },
  {
    name: 'old-acknowledgements-kept',
    what: 'what a replica acknowledged before its re-admission still counts',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: SET_LOG,
        find: `    const follower = newFollower({ ...args, store, clock: this.#args.clock });`,
        replace: `    const before = this.#followers[args.replica]?.acked ?? args.acked;
    const acked = before > args.acked ? before : args.acked;
    const follower = newFollower({ ...args, acked, store, clock: this.#args.clock });`,
      },
    ],
    rule: /^(P7|I[127]) /,
    seed: 19,
  },
  {
    name: 'full-house-not-fenced',
    what: 'a full house is not asked again, after its tails were read, whether it holds the fence',
    source: 'rulings 6',
    world: 'log',
    patches: [HOUSE_NOT_ASKED_AGAIN],
    rule: /^I[127] /,
    seed: 115,
  },
  {
    name: 'one-pass-full-house',
    what: 'a full house decides by the tails that came with each promise, read once',
    source: 'rulings 6',
    world: 'log',
    patches: [
      HOUSE_NOT_ASKED_AGAIN,
      {
        file: TAKEOVER,
        find: `    calls: replicas.map((store) => store.takeOver({ epoch, owner })),`,
        replace: `    calls: replicas.map(async (store) => {
      const reply = await store.takeOver({ epoch, owner });
      if (reply.kind !== 'promised') return reply;
      const told: Entry[] = [];
      for (;;) {
        const more = await store.read({ after: lsn(told.length), limitBytes: 2 ** 30 });
        if (more.length === 0) return { ...reply, told };
        told.push(...more);
      }
    }),`,
      },
      {
        file: HEARING,
        find: `  const store = args.replicas[replica];
  assert(store !== undefined, 'a reply has its replica');
  const { applied } = args;`,
        replace: `  const { told } = reply as unknown as { told: readonly Entry[] };
  const store = {
    read: async ({ after: from }: { after: number }): Promise<Entry[]> => told.slice(from),
    readSnapshot: async (): Promise<null> => null,
  };
  const { applied } = args;`,
      },
    ],
    rule: /^I[127] /,
    seed: 67,
  },
  {
    name: 'alive-row-resent',
    what: 'an admission that was not heard of is finished later: its alive row is sent again',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `    const admitted = await store.admit({`,
        replace: `    const admit = async (args: Parameters<ReplicaStore['admit']>[0]): Promise<string> => {
      try {
        return await store.admit(args);
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'unknown') throw error;
      }
      const { resendAlive } = store as unknown as { resendAlive(of: number): Promise<string> };
      for (;;) {
        const done = await resendAlive(args.incarnation).catch(() => null);
        if (done !== null) return done;
        await new Promise<void>((resolve) => void this.#args.clock.after(100, resolve));
      }
    };
    const admitted = await admit({`,
      },
      {
        file: REPLICA,
        find: `  async unprove({ fence }`,
        replace: `  async resendAlive(incarnation: number): Promise<string> {
    if (this.#use().state?.incarnation !== incarnation) return 'fenced';
    this.#alive = incarnation;
    return 'done';
  }

  async unprove({ fence }`,
      },
    ],
    rule: /^I[1279] /,
    seed: 31,
  },
  {
    name: 'lost-beside-doubtful',
    what: 'a lost disk is re-admitted when the others have recorded it, proved or not',
    source: 'rulings 6',
    world: 'log',
    patches: [
      {
        file: MEMBERS,
        find: `    if (kind === 'absent' && others.some(([other]) => !this.#proved.has(other))) return 'waits';
`,
        replace: '',
      },
      {
        file: MEMBERS,
        find: `    const proved = kind === 'absent';`,
        replace: `    const proved = false;`,
      },
    ],
    rule: /^I[1279] /,
    seed: 39,
  },
];
