/** Journals with one lie each about ids, lanes, groups, answers or chance, and the rule that they break. */
import { asId, makeCommandId } from '../../lib/core/ids.ts';
import { setId, timeMs } from '../../lib/core/units.ts';
import { slotOf } from '../../lib/core/user.ts';
import { PEOPLE } from '../property/machine-sets.ts';
import { first, isOk, larger, once, refuse, withOutcome } from './check-changes.ts';
import type { Tamper } from './check-changes.ts';

const HOME_IS_SET_2 = PEOPLE.find((person) => slotOf(person) % 2 === 1);
const OTHER_ID = makeCommandId(Date.UTC(2026, 0, 2), new Uint8Array(10));

export const OTHER_TAMPERS: Readonly<Record<string, Tamper>> = {
  'a block of ids is given twice': {
    rule: /^C10 .*were given out/,
    change: first('ids.reserve', (op) => [op, op]),
  },
  'ids are never reserved': {
    rule: /^C10 .*never given out/,
    change: () => (op) => (isOk(op, 'ids.reserve') ? [] : null),
  },
  'an id of another Set is given': {
    rule: /^U4 .*of another Set/,
    change: first('ids.reserve', (op) => [
      withOutcome(op, { firstId: asId(op.outcome.firstId + 4096n) }),
    ]),
  },
  'an id is used twice': {
    alone: true,
    rule: /^C10 .*was used before/,
    change: first('transfer.deliver', (op) => {
      const [transfer, ...others] = op.command.transfers;
      const isFounded =
        transfer?.kind === 'group.found' && op.outcome.receipts[0]?.kind === 'message';
      if (!isFounded || others.length > 0) return null;
      const sends = op.sends.map((send) => ({ ...send, number: send.number + 1 }));
      return [op, { ...op, command: { ...op.command, first: op.command.first + 1 }, sends }];
    }),
  },
  'a first use is refused as a second': {
    rule: /^C10 .*not used/,
    change: first('transfer.deliver', (op) => {
      const [receipt] = op.outcome.receipts;
      const [transfer] = op.command.transfers;
      if (receipt?.kind !== 'message' || transfer?.kind !== 'group.found') return null;
      const [, ...rest] = op.outcome.receipts;
      return [withOutcome(op, { receipts: [{ kind: 'tombstone', reason: 'id_reused' }, ...rest] })];
    }),
  },
  'a number is left out': {
    rule: /^C12 .*number/,
    change: first('packet.send', (op) => [
      { ...op, sends: op.sends.map((send) => ({ ...send, number: send.number + 1 })) },
    ]),
  },
  'a credit in the lane of refunds': {
    rule: /^C12 .*travels/,
    change: first('packet.open', (op) => [
      { ...op, sends: op.sends.map((send) => ({ ...send, lane: 3 })) },
    ]),
  },
  'a claim that is not sent home': {
    rule: /^U2 .*claim.credit/,
    change: () => {
      let numbered = 0;
      return once((op, entry) => {
        if (entry.setId !== 1) return null;
        for (const { to, lane } of op.sends) if (to === 2 && lane === 2) numbered += 1;
        const [send] = op.sends;
        if (!isOk(op, 'packet.open') || send?.to !== 1) return null;
        const to = setId(2);
        const postings = op.postings.map((posting) =>
          posting.account.kind === 'clearing'
            ? { ...posting, account: { kind: 'clearing', peer: to } as const }
            : posting,
        );
        return [{ ...op, postings, sends: [{ ...send, to, number: numbered + 1 }] }];
      });
    },
  },
  'a stranger gets a wallet': {
    rule: /^U2 .*elsewhere/,
    change: first('wallet.open', (op, entry) => {
      if (entry.setId !== 1) return null;
      const user = HOME_IS_SET_2;
      if (user === undefined) return null;
      const postings = op.postings.map((posting) =>
        posting.account.kind === 'wallet'
          ? { ...posting, account: { kind: 'wallet', user } as const }
          : posting,
      );
      return [{ ...op, command: { ...op.command, user }, postings }];
    }),
  },
  'a message skips a seq': {
    rule: /^Q2 .*seq/,
    change: first('message.send', (op) => [withOutcome(op, { seq: op.outcome.seq + 1 })]),
  },
  'a join stands where no message ends': {
    rule: /^Q2 .*joins after/,
    change: first('group.join', (op) => [withOutcome(op, { joinedSeq: op.outcome.joinedSeq + 1 })]),
  },
  'somebody joins twice': {
    rule: /^M9 .*a second time/,
    change: first('group.join', (op) => [op, op]),
  },
  'a stranger leaves': {
    rule: /^M6 .*leaves and is no member/,
    change: first('group.leave', (op) => [
      { ...op, command: { ...op.command, user: 'stranger' as typeof op.command.user } },
    ]),
  },
  'a member version is skipped': {
    rule: /^rulings 18 .*version/,
    change: first('group.join', (op) => [withOutcome(op, { version: op.outcome.version + 1 })]),
  },
  'a hint that does not say who joined': {
    rule: /^rulings 18 .*member.hint is sent with other words/,
    change: first('group.join', (op) => [
      {
        ...op,
        sends: op.sends.map((send) =>
          send.transfer.kind === 'member.hint'
            ? { ...send, transfer: { ...send.transfer, present: false } }
            : send,
        ),
      },
    ]),
  },
  'one unread too many': {
    rule: /^Q5 /,
    change: first('message.read', (op) => [withOutcome(op, { unread: op.outcome.unread + 1 })]),
  },
  'one read too many': {
    rule: /^Q5 .*own after/,
    change: first('message.read', (op) => {
      const { readCount, unread } = op.outcome;
      return unread === 0
        ? null
        : [withOutcome(op, { readCount: readCount + 1, unread: unread - 1 })];
    }),
  },
  'a refusal is journaled': {
    rule: /^C7 .*not_a_member/,
    change: first('message.send', (op) => [refuse(op, 'not_a_member')]),
  },
  'a repeat is journaled': {
    rule: /^C7 .*already_opened/,
    change: first('packet.open', (op) => [withOutcome(op, { status: 'already_opened' })]),
  },
  'who has enough is refused': {
    rule: /^C1 .*is refused/,
    change: first('packet.send', (op) => [refuse(op, 'insufficient_funds')]),
  },
  'an id of tomorrow': {
    rule: /^C3 /,
    change: first('message.send', (op) => [
      { ...op, command: { ...op.command, commandId: OTHER_ID } },
    ]),
  },
  'another packet is promised': {
    rule: /^C9 /,
    change: first('packet.send', (op) => [
      withOutcome(op, { packetId: asId(op.outcome.packetId + 1n) }),
    ]),
  },
  'another group is promised': {
    rule: /^C9 /,
    change: first('group.create', (op) => [
      withOutcome(op, { groupId: asId(op.outcome.groupId + 1n) }),
    ]),
  },
  'an open of another time': {
    rule: /^L12 /,
    change: first('packet.open', (op) => [withOutcome(op, { at: timeMs(op.outcome.at + 1) })]),
  },
  'rules are lowered': {
    rule: /^L23 .*fall/,
    change: () => {
      let raised = false;
      return once((op) => {
        if (!isOk(op, 'set.configure')) return null;
        if (op.command.rules === 1) return null;
        if (raised) return null;
        raised = true;
        return [op, { ...op, command: { ...op.command, rules: 1 } }];
      });
    },
  },
  'a seed that was not announced': {
    rule: /^A7 .*not the one/,
    change: first('packet.expire', (op) => [withOutcome(op, { seed: new Uint8Array(32) })]),
  },
  'an end without a seed': {
    rule: /^A7 .*no seed/,
    change: first('packet.expire', (op) => [withOutcome(op, { seed: new Uint8Array(0) })]),
  },
  'a seed before the end': {
    rule: /^A7 .*before the end/,
    change: first('packet.open', (op) =>
      op.outcome.left > 0 ? [withOutcome(op, { seed: new Uint8Array(32) })] : null,
    ),
  },
  'a share is a cent off, and the last pays for it': {
    alone: true,
    rule: /^A[2-5] .*not/,
    change: () => {
      let packetId = -1n;
      let settled = false;
      return (op) => {
        if (isOk(op, 'packet.open')) {
          const { amountCents, left } = op.outcome;
          if (packetId === -1n && left > 0 && amountCents > 1) {
            packetId = op.command.packetId;
            return [larger(op, -1)];
          }
          if (op.command.packetId !== packetId || left > 0 || settled) return null;
          settled = true;
          return [larger(op, 1)];
        }
        const ends = isOk(op, 'packet.expire') && op.command.packetId === packetId && !settled;
        settled ||= ends;
        return ends ? [larger(op, 1)] : null;
      };
    },
  },
};
