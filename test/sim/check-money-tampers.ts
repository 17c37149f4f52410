/** Journals with one lie about money each, and the rule of it that they break. */
import { asId } from '../../lib/core/ids.ts';
import type { Op } from '../../lib/core/journal-entry.ts';
import { cents, epoch, lsn, timeMs } from '../../lib/core/units.ts';
import {
  credits,
  first,
  isOk,
  larger,
  more,
  once,
  withGrant,
  withOutcome,
} from './check-changes.ts';
import type { OpOf, Tamper } from './check-changes.ts';

export const MONEY_TAMPERS: Readonly<Record<string, Tamper>> = {
  'a leg is a cent off': {
    rule: /^M1 .*sum to 1/,
    change: first('wallet.open', (op) => [{ ...op, postings: more(op.postings, [0, 1]) }]),
  },
  'more is issued than was said': {
    rule: /^M2 /,
    change: first('wallet.open', (op) => [{ ...op, postings: more(op.postings, [-5, 5]) }]),
  },
  'a wallet pays what it has not': {
    rule: /^M3 .*wallet/,
    change: () => (op) => (isOk(op, 'wallet.open') ? [] : null),
  },
  'the last share is a cent short': {
    rule: /^M4 .*the last leaves 1 cents/,
    change: first('packet.open', (op) =>
      op.outcome.left === 0 && op.outcome.amountCents > 1 ? [larger(op, -1)] : null,
    ),
  },
  'an empty share': {
    rule: /^M4 .*a share of 0/,
    change: first('packet.open', (op) => [larger(op, -op.outcome.amountCents)]),
  },
  'a share leaves nothing for the others': {
    rule: /^M4 .*stay for/,
    change: first('packet.open', (op) => (op.outcome.left > 1 ? [larger(op, 1_000)] : null)),
  },
  'fewer are left': {
    rule: /^M4 .*left after/,
    change: first('packet.open', (op) => [withOutcome(op, { left: op.outcome.left + 1 })]),
  },
  'a refund keeps a cent back': {
    rule: /^M4 .*refunds/,
    change: first('packet.expire', (op) => [larger(op, -1)]),
  },
  'a claim pays more than its share': {
    rule: /^M4 .*posted -1 more/,
    change: first('packet.open', (op) => [{ ...op, postings: more(op.postings, [-1, 1]) }]),
  },
  'an order number is skipped': {
    rule: /^M5 .*order 2 after 0/,
    change: first('packet.open', (op) =>
      op.outcome.order === 1 ? [withOutcome(op, { order: 2 })] : null,
    ),
  },
  'a person claims twice': {
    alone: true,
    rule: /^M5 .*a second share/,
    change: () => {
      const claimed = new Map<bigint, OpOf<'packet.open'>>();
      return once((op) => {
        if (!isOk(op, 'packet.open')) return null;
        const { packetId } = op.command;
        const earlier = claimed.get(packetId);
        claimed.set(packetId, op);
        return earlier === undefined
          ? null
          : [{ ...op, command: { ...op.command, user: earlier.command.user } }];
      });
    },
  },
  'no grant': {
    rule: /^M6 .*no grant/,
    change: first('packet.open', (op) => [withGrant(op, null)]),
  },
  'a grant for another group': {
    alone: true,
    rule: /^M6 .*the grant is for/,
    change: first('packet.open', (op) => [withGrant(op, { groupId: asId(9n) })]),
  },
  'an old grant': {
    rule: /^M6 .*is 60001 ms old/,
    change: first('packet.open', (op, { ts }) => [
      withGrant(op, { issuedAt: timeMs(ts - 60_001) }),
    ]),
  },
  'a grant of a time when he was no member': {
    rule: /^M6 .*was no member/,
    change: first('packet.open', (op) => [withGrant(op, { groupLsn: lsn(1) })]),
  },
  'a grant of what was not committed': {
    rule: /^M6 .*which has committed/,
    change: first('packet.open', (op) => [withGrant(op, { groupLsn: lsn(99_999) })]),
  },
  'somebody else opens an exclusive packet': {
    alone: true,
    rule: /^M6 .*not for him/,
    change: () => {
      const exclusive = new Set<bigint>();
      return once((op) => {
        if (isOk(op, 'packet.send') && op.command.definition.kind === 'exclusive') {
          exclusive.add(op.command.definition.packetId);
        }
        if (!isOk(op, 'packet.open') || !exclusive.has(op.command.packetId)) return null;
        const [send] = op.sends;
        if (send === undefined || !('user' in send.transfer)) return null;
        // With a grant that the Set alone cannot see through.
        const command = { ...op.command, user: 'refund' as typeof op.command.user };
        return [{ ...op, command }];
      });
    },
  },
  'a message of a stranger': {
    rule: /^M6 .*is no member/,
    change: first('message.send', (op) => [
      { ...op, command: { ...op.command, user: 'stranger' as typeof op.command.user } },
    ]),
  },
  'a share after the end': {
    rule: /^M7 .*is drained/,
    change: first('packet.open', (op) => (op.outcome.left === 0 ? [op, op] : null)),
  },
  'a packet ends twice': {
    rule: /^M7 .*is refunded/,
    change: first('packet.expire', (op) => [op, op]),
  },
  'a share of a packet that never was': {
    rule: /^M7 .*there is no packet/,
    change: first('packet.open', (op) => [
      { ...op, command: { ...op.command, packetId: asId(op.command.packetId + 1n) } },
    ]),
  },
  'a debit without a transfer': {
    rule: /^M8 .*no packet.create is sent/,
    change: first('packet.send', (op) => [{ ...op, sends: [] }]),
  },
  'a transfer without a debit': {
    rule: /^M8 /,
    change: first('packet.send', (op) => [{ ...op, postings: [] }]),
  },
  'a credit that credits nobody': {
    rule: /^M8 .*posted/,
    change: first('transfer.deliver', (op) =>
      credits(op.command.transfers) && op.postings.length > 0 ? [{ ...op, postings: [] }] : null,
    ),
  },
  'a credit that comes twice': {
    rule: /^M8 .*was taken, and is applied now/,
    change: first('transfer.deliver', (op) =>
      credits(op.command.transfers) && op.postings.length > 0 ? [op, op] : null,
    ),
  },
  'a credit of more than was sent': {
    rule: /^M8 .*is not what was sent/,
    change: first('transfer.deliver', (op) => {
      const [transfer] = op.command.transfers;
      if (!credits(op.command.transfers) || transfer?.kind !== 'claim.credit') return null;
      if (op.postings.length === 0) return null;
      const transfers = [{ ...transfer, amountCents: cents(transfer.amountCents + 1) }];
      const postings = more(op.postings, [-1, 1]);
      return [{ ...op, command: { ...op.command, transfers }, postings }];
    }),
  },
  'a credit for somebody else': {
    rule: /^M8 .*is not what was sent/,
    change: first('transfer.deliver', (op) => {
      const [transfer] = op.command.transfers;
      if (!credits(op.command.transfers) || transfer?.kind !== 'claim.credit') return null;
      if (op.postings.length === 0) return null;
      const transfers = [{ ...transfer, user: 'thief' as typeof transfer.user }];
      return [{ ...op, command: { ...op.command, transfers } }];
    }),
  },
  'a first delivery is called a duplicate': {
    rule: /^M8 .*never received before/,
    change: first('transfer.deliver', (op) =>
      credits(op.command.transfers) && op.postings.length > 0
        ? [withOutcome({ ...op, postings: [] }, { receipts: [{ kind: 'duplicate' }] })]
        : null,
    ),
  },
  'a transfer that nobody sent': {
    rule: /^M8 .*never committed there/,
    change: first('transfer.deliver', (op) =>
      credits(op.command.transfers) ? [{ ...op, command: { ...op.command, first: 999 } }] : null,
    ),
  },
  'done before it was received': {
    rule: /^M8 .*were received/,
    change: () =>
      once((op) =>
        isOk(op, 'packet.open') || isOk(op, 'packet.send')
          ? [
              op,
              ...op.sends.map(({ to, lane, number: upTo }): Op => {
                const receipt = { receiptEpoch: epoch(1), receiptLsn: lsn(1) };
                const command = {
                  type: 'transfer.ack',
                  to,
                  lane,
                  upTo,
                  tombstones: [],
                  ...receipt,
                };
                const outcome = { type: 'transfer.ack', status: 'ok', upTo };
                return { command, outcome, postings: [], sends: [] } as unknown as Op;
              }),
            ]
          : null,
      ),
  },
  'a receipt of a later LSN than was committed': {
    rule: /^M8 .*are committed there/,
    change: first('transfer.ack', (op) => [
      { ...op, command: { ...op.command, receiptLsn: lsn(99_999) } },
    ]),
  },
  'a receipt goes back': {
    rule: /^M8 .*goes back/,
    change: first('transfer.ack', (op) => [op, op]),
  },
  'a refund without a tombstone': {
    rule: /^M8 .*posted/,
    change: first('transfer.ack', (op) => [
      {
        ...op,
        postings: [
          ...op.postings,
          { account: { kind: 'clearing', peer: op.command.to }, amountCents: cents(-1) },
          { account: { kind: 'issuer' }, amountCents: cents(1) },
        ],
      },
    ]),
  },
  'a refund on a tombstone that was made up': {
    rule: /^M8 .*was not refused with/,
    change: first('transfer.ack', (op) =>
      op.command.tombstones.length === 0
        ? [
            {
              ...op,
              command: {
                ...op.command,
                tombstones: [{ number: op.command.upTo, reason: 'bad_argument' }],
              },
            },
          ]
        : null,
    ),
  },
  'a refused packet is not refunded': {
    rule: /^M8 .*without a refund/,
    change: first('transfer.ack', (op) =>
      op.postings.length > 0
        ? [{ ...op, command: { ...op.command, tombstones: [] }, postings: [] }]
        : null,
    ),
  },
  'a tombstone, and a packet after all': {
    rule: /^M8 .*was refused/,
    change: () => {
      const refused = new Map<string, { packetId: bigint }>();
      return once((op) => {
        if (op.command.type !== 'transfer.deliver' || !('receipts' in op.outcome)) return null;
        const { from, lane, first: number } = op.command;
        if (op.outcome.receipts[0]?.kind !== 'tombstone') return null;
        const key = `${from}/${lane}/${number}`;
        if (refused.has(key)) return null;
        const receipts = op.outcome.receipts.map(() => ({ kind: 'applied' }));
        return [op, withOutcome({ ...op, postings: [], sends: [] }, { receipts })];
      });
    },
  },
  'an announcement is refused and the group is there': {
    rule: /^M8 .*announcement is refused/,
    change: first('transfer.deliver', (op) => {
      const at = op.outcome.receipts.findIndex(
        (receipt, index) =>
          receipt.kind === 'message' && op.command.transfers[index]?.kind === 'packet.announce',
      );
      if (at === -1) return null;
      const receipts = op.outcome.receipts.map((receipt, index) =>
        index === at ? { kind: 'tombstone', reason: 'group_not_found' } : receipt,
      );
      return [withOutcome(op, { receipts })];
    }),
  },
  'a message is sent twice under one id': {
    rule: /^M9 .*message.send/,
    change: first('message.send', (op) => [op, withOutcome(op, { seq: op.outcome.seq + 1 })]),
  },
  'a packet is sent twice under one id': {
    rule: /^M9 .*packet.send/,
    change: first('packet.send', (op) => [op, op]),
  },
  'somebody is welcomed twice': {
    rule: /^M9 .*welcomed again/,
    change: first('wallet.open', (op) => [op, op]),
  },
  'a balance that is none': {
    rule: /^M10 .*is told/,
    change: first('wallet.open', (op) => [
      withOutcome(op, { balanceCents: op.outcome.balanceCents + 1 }),
    ]),
  },
};
