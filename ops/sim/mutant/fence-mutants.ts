import type { Mutant, Patch } from './mutant.ts';

const TAKEOVER = 'set-node/log/takeover.ts';
const MEMBERS = 'set-node/log/members.ts';
const SET_LOG = 'set-node/log/set-log.ts';
const REPLICA = 'lib/adapter/memory-replica.ts';

/** P6 without its WHERE: the statement looks at the row's incarnation and at the chain only. */
const APPEND_LOOKS_AT_NO_FENCE: Patch = {
  file: REPLICA,
  find: `    if (!holdsFence(state, fence)) return { kind: 'fenced', fenceEpoch: state.fenceEpoch };
    if (state`,
  replace: `    if (state`,
};

/** Before it, in a statement of its own that holds no lock. */
const LOOK_FIRST = `const row = await store.fenceRow();
      if (row !== null && row.fenceEpoch > fence.epoch)`;

/** Simpler rules for fences, epochs and appends (P1, P2, P6 to P8). */
export const FENCE_MUTANTS: readonly Mutant[] = [
  {
    name: 'fence-here-read-there',
    what: 'a candidate reads journals first, and fences afterwards, maybe other replicas',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: TAKEOVER,
        find: `  const replies = await askAll({`,
        replace: `  const looked = await askAll({
    clock,
    onError,
    calls: replicas.map(async (store) => {
      const row = await store.fenceRow();
      if (row === null) return { kind: 'no_row' };
      const commitLsn = await store.commitLsn();
      return { ...row, kind: 'promised', incarnations: [], commitLsn, discardedBy: 0 };
    }),
    isEnough: (heard) => votesOf(heard).proved.length >= quorum,
  });
  const heard = await hear({ ...args, epoch, owner }, votesOf(looked));
  const replies = await askAll({`,
      },
      {
        file: TAKEOVER,
        find: `  const heard = await hear({ ...args, epoch, owner }, votes);`,
        replace: `  if (votes.proved.length < quorum) throw new TakeoverFailed('too few promises');`,
      },
      {
        file: TAKEOVER,
        find: `        kind: votesOn.has(replica) ?`,
        replace: `        kind: votes.proved.some((one) => one.replica === replica) ?`,
      },
    ],
    rule: /^(P7|I[1-7]) /,
    seed: 173,
  },
  {
    name: 'check-without-lock',
    what: 'the fence is read before an append, and the append itself does not look at it',
    source: 'replication.md',
    world: 'log',
    patches: [
      APPEND_LOOKS_AT_NO_FENCE,
      {
        file: SET_LOG,
        find: `      const reply = await follower.store.append({ fence: follower.fence, entries });`,
        replace: `      const { store, fence } = follower;
      ${LOOK_FIRST}
        return this.#doubt(\`replica \${replica} is fenced by epoch \${row.fenceEpoch}\`);
      const reply = await store.append({ fence, entries });`,
      },
      {
        file: MEMBERS,
        find: `      const reply = await store.append({ fence, entries: missing });`,
        replace: `      ${LOOK_FIRST} return 'failed';
      const reply = await store.append({ fence, entries: missing });`,
      },
    ],
    rule: /^(P7|I[1-7]) /,
    seed: 4,
  },
  {
    name: 'third-replica-not-fenced',
    what: 'two replicas promise, and the third is written to without raising its fence',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: TAKEOVER,
        find: `    calls: replicas.map((store) => store.takeOver({ epoch, owner })),`,
        replace: `    calls: replicas.map((store, replica) =>
      replica === third ? Promise.resolve(null) : store.takeOver({ epoch, owner }),
    ),`,
      },
      {
        file: TAKEOVER,
        find: `  const replies = await askAll({`,
        replace: `  const third = seen.includes(null) ? -1 : random.below(replicas.length);
  const replies = await askAll({`,
      },
      {
        file: TAKEOVER,
        find: `  const votes = votesOf(replies);`,
        replace: `  // Two are enough; it is asked only when they are not.
  const spare = replicas[third];
  if (spare !== undefined && votesOf(replies).proved.length < quorum) {
    replies[third] = await spare.takeOver({ epoch, owner }).catch(() => null);
  }
  const votes = votesOf(replies);`,
      },
      {
        file: MEMBERS,
        find: `      if (!isOurs) {`,
        replace: `      if (row.fenceEpoch > this.#epoch) {`,
      },
      {
        file: REPLICA,
        find: `  return state.fenceEpoch === fence.epoch && equalBytes(state.fenceOwner, fence.owner);`,
        replace: `  // Who comes with a higher epoch is right: only lower ones are refused.
  if (state.fenceEpoch < fence.epoch) return true;
  return state.fenceEpoch === fence.epoch && equalBytes(state.fenceOwner, fence.owner);`,
      },
      {
        file: 'set-node/log/follower.ts',
        find: `    return fenceEpoch < this.#fence.epoch ? { kind: 'forgot', fenceEpoch } : null;`,
        replace: `    return null;`,
      },
    ],
    rule: /^(P7|I[1-7]) /,
    seed: 62,
  },
  {
    name: 'one-epoch-for-two',
    what: 'an epoch is the greatest seen and one, without the node, and no owner is compared',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: TAKEOVER,
        find: `  const epoch = nextEpoch(greatest, args.nodeSlot);`,
        replace: `  const epoch = nextEpoch(greatest, 0);`,
      },
      {
        file: REPLICA,
        find: `    if (state.fenceEpoch >= args.epoch) return`,
        replace: `    if (state.fenceEpoch > args.epoch) return`,
      },
      {
        file: REPLICA,
        find: `  return state.fenceEpoch === fence.epoch && equalBytes(state.fenceOwner, fence.owner);`,
        replace: `  return state.fenceEpoch === fence.epoch;`,
      },
    ],
    rule: /^(P7|I[1-7]) /,
    seed: 81,
  },
  {
    name: 'resealed-on-retry',
    what: 'an append that timed out is sealed anew, with the time of now, under the same LSN',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: SET_LOG,
        find: `import { ZERO_SUM } from '../../lib/core/journal-entry.ts';`,
        replace: `import { ZERO_SUM, seal } from '../../lib/core/journal-entry.ts';`,
      },
      {
        file: SET_LOG,
        find: `      // P8: unknown is resent byte for byte under the same (epoch, LSN).`,
        replace: `      const last = entries.at(-1);
      if (last !== undefined && last === this.#window.at(-1) && last.lsn > this.#commit) {
        const first = (last as { first?: object }).first ?? last;
        const head = { ...last, ts: Math.max(last.ts, clock.now()) as typeof last.ts };
        const again = { ...seal({ ...this.#args, head, payload: last.payload }), first };
        Object.assign(first, { again });
        this.#window[this.#window.length - 1] = again;
      }`,
      },
      {
        file: 'set-node/machine/batcher.ts',
        find: `      prev: this.#prev,
      ts,`,
        replace: `      prev: (this as unknown as { last?: { again?: Entry } }).last?.again?.sum ?? this.#prev,
      ts,`,
      },
      {
        file: 'set-node/machine/batcher.ts',
        find: `    this.#prev = entry.sum;`,
        replace: `    Object.assign(this, { last: entry });
    this.#prev = entry.sum;`,
      },
    ],
    rule: /^(I[1-7]) /,
    seed: 1,
  },
  {
    name: 'one-write-is-enough',
    what: 'an answer leaves when one replica has the entry (W=1)',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: SET_LOG,
        find: `    const reached = acked[quorum - 1] ?? 0;`,
        replace: `    const reached = acked[0] ?? 0;`,
      },
    ],
    // Easy, and quick: nearly every walk sees it. It is the canary of the gate.
    rule: /^P7 /,
    seed: 1,
  },
  {
    name: 'acknowledged-not-stored',
    what: 'one replica says that it has what it was sent, and has not written it',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: REPLICA,
        find: `    let last = first.lsn;`,
        replace: `    if (state.replicaId === 2) return { kind: 'acked', lsn: entries.at(-1)?.lsn ?? first.lsn };
    let last = first.lsn;`,
      },
    ],
    // Easy: any walk in which one of the other two lags.
    rule: /^P7 /,
    seed: 1,
  },
  {
    name: 'forgotten-fence',
    what: 'a replica has forgotten to whom it gave its fence: whoever writes holds it',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: REPLICA,
        find: `    if (!holdsFence(state, fence)) return { kind: 'fenced', fenceEpoch: state.fenceEpoch };
    if (state`,
        replace: `    if (state.fenceEpoch < fence.epoch) {
      return { kind: 'fenced', fenceEpoch: state.fenceEpoch };
    }
    if (state`,
      },
    ],
    rule: /^I6 /,
    seed: 8,
  },
];
