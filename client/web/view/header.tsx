import type { ChatModel } from '../model.ts';
import { formatCents } from '../money.ts';
import { Avatar } from './avatar.tsx';
import { Envelope, LeaveIcon } from './icons.tsx';

const STATES = { connected: 'Online', connecting: 'Connecting…', closed: 'Signed out' } as const;

export function Header(props: { readonly model: ChatModel; readonly onTopUp: () => void }) {
  const { model, onTopUp } = props;
  const { state } = model;
  return (
    <header class="header">
      <span class="brand">
        <Envelope class="envelope envelope-small" />
        <span class="brand-name">
          <span class="brand-latin">Hongbao </span>
          <span lang="zh">红包</span>
        </span>
      </span>
      <span
        class={`connection is-${state}`}
        data-testid="connection"
        data-state={state}
        role="status"
      >
        <span class="dot" aria-hidden="true" />
        <span class="connection-text">{STATES[state]}</span>
      </span>
      <Money model={model} />
      <button
        class="icon-button on-red"
        data-testid="top-up"
        aria-label="Top up"
        title="Top up"
        onClick={onTopUp}
      >
        +
      </button>
      <span class="me" title={model.me}>
        <Avatar name={model.me} />
        <span class="me-name">{model.me}</span>
      </span>
      <button
        class="icon-button on-red"
        data-testid="sign-out"
        aria-label="Sign out"
        title="Sign out"
        onClick={() => model.stop()}
      >
        <LeaveIcon />
      </button>
    </header>
  );
}

/** The balance, and what is on its way into it. */
function Money(props: { readonly model: ChatModel }) {
  const { balance } = props.model;
  if (balance === null) {
    return (
      <span class="money" aria-label="Balance is loading">
        <span class="money-balance">…</span>
      </span>
    );
  }
  const { balanceCents, arrivingCents } = balance;
  return (
    <span class="money" aria-live="polite" aria-label="Balance">
      {arrivingCents > 0 && (
        <span class="money-arriving" data-testid="arriving" data-cents={arrivingCents}>
          +{formatCents(arrivingCents)} arriving
        </span>
      )}
      {/* A new key is a new element: that starts the animation again. */}
      <span
        key={balanceCents}
        class="money-balance"
        data-testid="balance"
        data-cents={balanceCents}
      >
        {formatCents(balanceCents)}
      </span>
    </span>
  );
}
