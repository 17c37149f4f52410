import type { Mutant } from './mutant.ts';

/** Packets travel alone, so that one of them can be given up. No mistake yet: nothing else changes. */
const CREATES_ALONE = {
  file: 'reconciler/lane.ts',
  find: `      if (count > 0 && bytes > DELIVERY_BYTES_MAX) break;`,
  replace: `      if (count > 0 && bytes > DELIVERY_BYTES_MAX) break;
      // Code 1 is packet.create.
      if (count > 0 && [head, each].some((one) => one.transfer[0] === 1)) break;`,
} as const;

/** Where a delivery has failed, whatever the reason. */
const NO_RECEIPTS = `    if (receipts?.length !== transfers.length) {`;

/** The sender's Set is told of a tombstone that its receiver never wrote, and pays the money back. */
const TAKE_BACK = `{
        const receipts = [{ kind: 'tombstone', reason: 'set_unavailable' }] as const;
        route.lane.received({ receipts, epoch: mark.epoch, lsn: mark.lsn }, delivery);
        return this.#pump(route);
      }`;

/**
 * Simpler rules about money and ids, each as somebody would have written it who believed in it:
 * where an assertion of ours would see the mistake first, it says what the simpler rule says. So it
 * is the checkers that must see it, from the journals alone.
 */
export const MONEY_MUTANTS: readonly Mutant[] = [
  {
    name: 'refund-on-timeout',
    what: 'the sender takes the money back when no receipt came within two seconds',
    source: 'replication.md',
    world: 'whole',
    patches: [
      CREATES_ALONE,
      {
        file: 'reconciler/courier.ts',
        find: NO_RECEIPTS,
        replace: `${NO_RECEIPTS}
      const [oldest] = delivery.held;
      const isLate = oldest !== undefined && clock.monotonicMs() - oldest.seenAtMs > 2_000;
      if (isLate && oldest.transfer[0] === 1) ${TAKE_BACK}`,
      },
    ],
    rule: /^M[28] /,
    seed: 1,
  },
  {
    name: 'done-on-publish',
    what: 'an outbox entry is done when it was handed over, not when its receiver has committed it',
    source: 'replication.md',
    world: 'whole',
    patches: [
      {
        file: 'reconciler/courier.ts',
        find: `    const { outcome, mark } = await this.#send(to, {`,
        replace: `    const { outcome, mark } = this.#publish(to, {`,
      },
      {
        file: 'reconciler/courier.ts',
        find: `  #send(to: SetId, command: Command | EncodedCommand): ReturnType<Router['command']> {`,
        replace: `  #publish(to: SetId, command: EncodedCommand & { type: 'transfer.deliver' }) {
    void this.#send(to, command);
    // The head ends with the count, u16.
    const count = (command.bytes[12] ?? 0) + 256 * (command.bytes[13] ?? 0);
    const receipts = Array.from({ length: count }, () => ({ kind: 'applied' }) as const);
    const outcome: Outcome = { type: command.type, status: 'ok', receipts };
    return { outcome, mark: { setId: to, epoch: 0, lsn: 0 } };
  }

  #send(to: SetId, command: Command | EncodedCommand): ReturnType<Router['command']> {`,
      },
    ],
    rule: /^M[28] /,
    seed: 1,
  },
  {
    name: 'dedup-window',
    what: 'the receiver remembers the last four numbers of a lane, not every number for ever',
    source: 'replication.md',
    world: 'whole',
    patches: [
      {
        file: 'set-node/machine/inbox.ts',
        find: `    return lane !== undefined && (args.number <= lane.upTo || lane.above.has(args.number));`,
        replace: `    if (lane === undefined) return false;
    const isRecent = args.number <= lane.upTo && args.number > lane.upTo - 4;
    return isRecent || lane.above.has(args.number);`,
      },
      {
        file: 'set-node/machine/inbox.ts',
        find: `    else lane.above.add(args.number);`,
        replace: `    else if (args.number > lane.upTo) lane.above.add(args.number);`,
      },
    ],
    rule: /^M[28] /,
    seed: 1,
  },
  {
    name: 'cancel-without-tombstone',
    what: 'a receiver that refuses without writing it down is believed, and the sender is refunded',
    source: 'replication.md',
    world: 'whole',
    patches: [
      CREATES_ALONE,
      {
        file: 'reconciler/courier.ts',
        find: NO_RECEIPTS,
        // 'retry' is a refusal that says that it was not done: true of this copy, and of no other.
        replace: `${NO_RECEIPTS}
      const [head] = delivery.held;
      const isRefused = retryOf(outcome.status) === 'retry';
      if (isRefused && head?.transfer[0] === 1) ${TAKE_BACK}`,
      },
    ],
    rule: /^M[28] /,
    seed: 1,
  },
  {
    name: 'two-shares-a-person',
    what: 'no uniqueness of (packet, user): who asks again while the packet lives gets another share',
    source: 'replication.md',
    world: 'whole',
    patches: [
      {
        file: 'set-node/machine/decide-packet.ts',
        find: `  if (earlier !== undefined) {`,
        replace: `  if (earlier !== undefined && packet.end !== null) {`,
      },
      {
        // A list of claims, as a map that takes every one.
        file: 'set-node/machine/apply.ts',
        find: `  claims.set(user, { order, amountCents, at });`,
        replace: `  const line = (claims.has(user) ? \`\${user} \${order}\` : user) as UserId;
  claims.set(line, { order, amountCents, at });`,
      },
    ],
    rule: /^M5 /,
    seed: 1,
  },
  {
    name: 'last-share-off-by-one',
    what: 'the last share leaves a cent, like every share before it',
    source: 'replication.md',
    world: 'whole',
    patches: [
      {
        file: 'lib/core/allocation.ts',
        find: `  if (left === 1) return remaining;`,
        replace: `  if (left === 1) return cents(Math.max(1, remaining - 1));`,
      },
      {
        file: 'lib/core/allocation.ts',
        find: `  assert(remaining === 0, 'the last share takes all');`,
        replace: `  assert(remaining <= 1, 'the last share takes all');`,
      },
      {
        file: 'set-node/machine/apply.ts',
        find: `  assert(left > 0 || rest === 0, 'M4: the last takes all');`,
        replace: `  assert(left > 0 || rest <= 1, 'M4: the last takes all');`,
      },
    ],
    rule: /^M4 /,
    seed: 1,
  },
  {
    name: 'ids-from-a-clock',
    what: 'a block of ids begins at the time of day, not where the last one ended',
    source: 'issue 4',
    world: 'log',
    patches: [
      {
        file: 'set-node/machine/decide.ts',
        find: `        cursor: state.idCursor,`,
        replace: `        cursor: { ms: 0, sequence: 0 },`,
      },
      {
        file: 'set-node/machine/state.ts',
        find: `      cursor.ms > ms || (cursor.ms === ms && cursor.sequence >= sequence + count),`,
        replace: `      cursor.ms >= ms,`,
      },
    ],
    rule: /^I1 /,
    seed: 1,
  },
  {
    name: 'ids-without-a-reserve',
    what: 'until its first block comes an access node counts ids by itself',
    source: 'issue 4',
    world: 'whole',
    patches: [
      {
        file: 'router/ids.ts',
        find: `import { idPlus, setOfId } from '../lib/core/ids.ts';`,
        replace: `import { idPlus, packId, setOfId } from '../lib/core/ids.ts';`,
      },
      {
        file: 'router/ids.ts',
        find: `  #left = 0;`,
        replace: `  #left = 0;
  #own = 0;`,
      },
      {
        file: 'router/ids.ts',
        find: `    if (block === undefined) return null;`,
        replace: `    if (block === undefined) {
      this.#own += 1;
      return packId({ ms: 1, set: this.#set, sequence: this.#own % 4_096 });
    }`,
      },
    ],
    rule: /^C10 /,
    seed: 1,
  },
  {
    name: 'ids-before-their-commit',
    what: 'a block of ids is handed out when it is decided, before its entry is committed',
    source: 'rulings 4',
    world: 'whole',
    patches: [
      {
        file: 'set-node/lead/driver.ts',
        find: `      this.#replies.add({ sink, tag, lsn: dependsOn, outcome: encodeOutcome(outcome) });`,
        replace: `      const answer = encodeOutcome(outcome);
      if (command.type === 'ids.reserve') sink.reply(tag, next - 1, answer);
      else this.#replies.add({ sink, tag, lsn: dependsOn, outcome: answer });`,
      },
    ],
    rule: /^(P7|C10) /,
    seed: 1,
  },
  {
    name: 'known-id-is-a-retry',
    what: 'a create with an id that is known is taken for a retry, whoever sends it, and is done',
    source: 'issue 4',
    world: 'log',
    patches: [
      {
        file: 'set-node/machine/deliver.ts',
        find: `  if (state.packets.has(packetId) || args.ended.has(packetId)) return tombstone('id_reused');`,
        replace: `  if (state.packets.has(packetId) || args.ended.has(packetId))
    return { receipt: { kind: 'stale' }, postings: [], sends: [] };`,
      },
    ],
    rule: /^M8 /,
    seed: 1,
  },
];
