import type { Mutant, Patch } from './mutant.ts';

const HEARING = 'set-node/log/hearing.ts';
const TAKEOVER = 'set-node/log/takeover.ts';
const MEMBERS = 'set-node/log/members.ts';
const REPLICA = 'lib/adapter/memory-replica.ts';

/** Another chain than that of the one winner: per LSN, from all that was heard. */
function chosenPerLsn(pick: string): Patch {
  return {
    file: HEARING,
    find: `function choose(voices: readonly Voice[]): Voice {
  return voices.reduce(`,
    replace: `function choose(voices: readonly Voice[]): Voice {
  const winner = longest(voices);
  const tail: Entry[] = [];
  for (let at = 0; ; at++) {
    const here = voices.flatMap((voice) => voice.tail[at] ?? []);
    const entry = here.reduce<Entry | undefined>((best, one) => (${pick} ? one : best), undefined);
    if (entry === undefined) return { ...winner, tail };
    tail.push(entry);
  }
}

function longest(voices: readonly Voice[]): Voice {
  return voices.reduce(`,
  };
}

/** The winner itself is given the chosen chain first; the others are fed from it, as ever. */
const WINNER_IS_WRITTEN: Patch = {
  file: MEMBERS,
  find: `    let truncated = replica === chain.winner;`,
  replace: `    let truncated = replica === chain.winner;
    const { tail } = chain as Partial<Adopted>;
    if (truncated && tail !== undefined) {
      let after = lsn(chain.end - tail.length);
      for (const entry of tail) {
        const [mine] = await store.read({ after, limitBytes: 1 });
        if (mine === undefined || !equalBytes(mine.sum, entry.sum)) break;
        after = entry.lsn;
      }
      const head = await headOf(store, after);
      if (head.lsn > after && (await store.truncate({ fence, after, head })) !== 'done') {
        return 'failed';
      }
      for (const entry of tail.filter((one) => one.lsn > after)) {
        const reply = await store.append({ fence, entries: [entry] });
        if (reply.kind !== 'acked') return 'failed';
      }
    }`,
};

const NO_CHAIN_CHECK: readonly Patch[] = [
  {
    file: REPLICA,
    find: `      const chained = before !== null && equalBytes(before, entry.prev);`,
    replace: `      const chained = before !== null;`,
  },
  {
    file: 'set-node/log/differences.ts',
    find: `      unseal({ entry, prev, hash });
      prev = entry.sum;
    }
    return good;`,
    replace: `      unseal({ entry, prev: null, hash });
      prev = entry.sum;
    }
    return good;`,
  },
  {
    file: 'lib/adapter/replica-arguments.ts',
    find: `    assert(prev === null || equalBytes(prev.sum, entry.prev), 'entries are chained');`,
    replace: '',
  },
];

/** Simpler rules for what a new leader goes on with (P3 to P5). */
export const CHOOSE_MUTANTS: readonly Mutant[] = [
  {
    name: 'union-of-tails',
    what: 'a new leader goes on with whatever entry somebody has at each LSN',
    source: 'replication.md',
    world: 'log',
    patches: [chosenPerLsn('best === undefined'), WINNER_IS_WRITTEN, ...NO_CHAIN_CHECK],
    rule: /^I[1-7] /,
    seed: 44,
  },
  {
    name: 'highest-epoch-per-lsn',
    what: 'a new leader goes on with the entry of the highest epoch at each LSN, chained or not',
    source: 'replication.md',
    world: 'log',
    patches: [
      chosenPerLsn('best === undefined || one.epoch > best.epoch'),
      WINNER_IS_WRITTEN,
      ...NO_CHAIN_CHECK,
    ],
    rule: /^I[1-7] /,
    seed: 5,
  },
  {
    name: 'highest-epoch-per-lsn-chained',
    what: 'a new leader goes on with the highest epoch at each LSN, as far as that is a chain',
    source: 'replication.md',
    world: 'log',
    patches: [
      chosenPerLsn(
        '(best === undefined || one.epoch > best.epoch) &&' +
          ' (at === 0 || equalBytes(one.prev, tail[at - 1]?.sum ?? ZERO_SUM))',
      ),
      WINNER_IS_WRITTEN,
    ],
    rule: /^I[1-7] /,
    seed: 5,
  },
  {
    name: 'no-epoch-start',
    what: 'what a new leader adopted counts as committed as soon as two replicas have it',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: 'set-node/lead/leader.ts',
        find: `    startEpoch({ args, adopted, recovered, setLog });
    await beforeTimeout({ ...args, committed });
`,
        replace: '',
      },
      {
        file: 'set-node/lead/leader.ts',
        find: `    adoptedLsn,
    onCommit: (at) => {`,
        replace: `    adoptedLsn,
    adoptedSum: adopted.tail.at(-1)?.sum ?? recovered.sum,
    onCommit: (at) => {`,
      },
      {
        file: 'set-node/log/set-log.ts',
        find: `    if (reached > this.#commit && reached > adoptedLsn) {`,
        replace: `    if (reached > this.#commit && reached === adoptedLsn) {
      this.#commit = adoptedLsn;
      this.#commitSum = (this.#args as unknown as { adoptedSum: Uint8Array }).adoptedSum;
      onCommit(this.#commit);
    }
    if (reached > this.#commit && reached > adoptedLsn) {`,
      },
    ],
    rule: /^(P7|I[1278]) /,
    seed: 4,
  },
  {
    name: 're-stamped-entries',
    what: 'a new leader seals what it adopted anew, in its own epoch',
    source: 'replication.md',
    world: 'log',
    patches: [
      {
        file: TAKEOVER,
        find: `import { OWNER_BYTES } from '../../lib/core/journal-entry.ts';`,
        replace: `import { OWNER_BYTES, seal } from '../../lib/core/journal-entry.ts';`,
      },
      {
        file: TAKEOVER,
        find: `  const { tail } = winner;
  for`,
        replace: `  const { applied, hash } = args;
  const known = Math.max(applied.lsn, ...voices.map(({ reply }) => reply.commitLsn));
  let prev = applied.sum;
  const tail = winner.tail.map((entry) => {
    const { payload } = entry;
    const head = { ...entry, epoch, leaderId: owner, prev };
    const adopted = entry.lsn <= known ? entry : seal({ head, payload, hash });
    prev = adopted.sum;
    return adopted;
  });
  for`,
      },
      WINNER_IS_WRITTEN,
    ],
    rule: /^I[1-7] /,
    seed: 1,
  },
];
