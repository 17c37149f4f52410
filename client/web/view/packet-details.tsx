import { useEffect, useState } from 'preact/hooks';
import type { Claim, Packet } from '../../index.ts';
import type { ChatModel } from '../model.ts';
import { formatAmount, formatCents } from '../money.ts';
import type { PacketCard } from '../packet-book.ts';
import { durationText, exactClockText } from '../time.ts';
import { explain } from '../words.ts';
import { Avatar } from './avatar.tsx';
import { FairBadge } from './fair-badge.tsx';

/** Events come fast while many open: the list is read again at most this often. */
const RELOAD_MS = 300;

/** What one got, and who got what. */
export function PacketDetails(props: {
  readonly model: ChatModel;
  readonly card: PacketCard;
  /** Just opened: the amount is announced and shown large at once. */
  readonly isFresh: boolean;
}) {
  const { model, card } = props;
  const [problem, setProblem] = useState<string | null>(null);
  const { packetId } = card;

  useEffect(() => {
    const timer = setTimeout(
      () => {
        model.packets
          .loadDetails(packetId)
          .then(() => setProblem(null))
          .catch((error: unknown) => setProblem(explain(error)));
      },
      card.details === null || props.isFresh ? 0 : RELOAD_MS,
    );
    return () => clearTimeout(timer);
  }, [packetId, card.taken, card.phase]);

  const { details } = card;
  const mine = card.mine ?? null;
  return (
    <div class={`details ${props.isFresh ? 'is-fresh' : ''}`} data-testid="packet-claims">
      <div class="details-arch" aria-hidden="true" />
      <div class="details-head">
        <Avatar name={card.sender} class="is-large" />
        <p class="details-sender">
          {card.sender}’s red packet
          {card.kind === 'lucky' && (
            <span class="kind-mark" lang="zh" title="Random shares">
              拼
            </span>
          )}
        </p>
        <p class="details-greeting">{card.greeting}</p>
        {mine !== null && <Won amountCents={mine.amountCents} arriving={isArriving(model)} />}
      </div>
      <p class="details-summary">{summaryOf(card)}</p>
      <p class="problem" role="alert">
        {problem}
      </p>
      {details !== null && details.totalCents === null && (
        <p class="hint centred">Amounts are shown to those who opened it, and at its end.</p>
      )}
      <ol class="claims">
        {card.claims.toReversed().map((claim) => (
          <ClaimRow
            key={claim.order}
            claim={claim}
            isMe={claim.userId === model.me}
            isBest={isBest(claim, details)}
          />
        ))}
      </ol>
      <FairBadge model={model} card={card} />
    </div>
  );
}

function isArriving(model: ChatModel): boolean {
  return (model.balance?.arrivingCents ?? 0) > 0;
}

function Won(props: { readonly amountCents: number; readonly arriving: boolean }) {
  return (
    <div class="won" role="status">
      <p class="won-amount" data-testid="packet-amount-won" data-cents={props.amountCents}>
        <span class="currency">¥</span>
        {formatAmount(props.amountCents)}
      </p>
      <p class="won-note">{props.arriving ? 'Arriving in your wallet…' : 'It is in your wallet'}</p>
    </div>
  );
}

function ClaimRow(props: {
  readonly claim: Claim;
  readonly isMe: boolean;
  readonly isBest: boolean;
}) {
  const { claim, isMe, isBest: best } = props;
  return (
    <li
      class={`claim ${best ? 'is-best' : ''}`}
      data-testid="packet-claim-row"
      data-user={claim.userId}
      data-cents={claim.amountCents}
    >
      <Avatar name={claim.userId} />
      <span class="claim-who">
        <span class="claim-name">
          {claim.userId}
          {isMe && <span class="claim-me"> · you</span>}
        </span>
        <time class="claim-time">{exactClockText(claim.at)}</time>
      </span>
      <span class="claim-money">
        <span class="claim-amount">{formatCents(claim.amountCents)}</span>
        {best && (
          <span class="claim-best" data-testid="packet-best">
            <span aria-hidden="true">👑</span> <span lang="zh">手气最佳</span> Best luck
          </span>
        )}
      </span>
    </li>
  );
}

/** Known only when nobody can do better any more, and only where there is luck. */
function isBest(claim: Claim, details: Packet | null): boolean {
  if (details === null || details.phase === 'live' || details.kind !== 'lucky') return false;
  return details.count > 1 && details.best?.order === claim.order;
}

function summaryOf(card: PacketCard): string {
  const { details, taken, count } = card;
  const opened = `${taken} of ${count} opened`;
  if (details === null || details.totalCents === null) return opened;
  const { totalCents, takenCents, refundedCents, createdAt, endedAt, phase } = details;
  const money = `${formatCents(takenCents ?? 0)} of ${formatCents(totalCents)}`;
  if (phase === 'drained' && endedAt !== null) {
    const time = durationText(endedAt - createdAt);
    return `${count === 1 ? 'Opened' : `All ${count} opened`} in ${time}, ${formatCents(totalCents)}`;
  }
  if (phase === 'refunded') {
    return `${opened}, ${money}; ${formatCents(refundedCents ?? 0)} went back`;
  }
  return `${opened}, ${money}`;
}
