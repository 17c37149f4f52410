import { useState } from 'preact/hooks';
import type { Verdict } from '../../index.ts';
import type { ChatModel } from '../model.ts';
import type { PacketCard } from '../packet-book.ts';
import { explain } from '../words.ts';
import { ShieldIcon } from './icons.tsx';

/** The promise made before the first open, and a button that holds the packet to it. */
export function FairBadge(props: { readonly model: ChatModel; readonly card: PacketCard }) {
  const { model, card } = props;
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const seedHash = card.details?.seedHash ?? card.seedHash;
  const hasEnded = card.phase !== 'live';

  async function verify(): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      await model.packets.verify(card.packetId);
    } catch (error) {
      setProblem(explain(error));
    }
    setBusy(false);
  }

  return (
    <details class="fair" data-testid="packet-fair">
      <summary>
        <ShieldIcon /> Provably fair
        {card.verdict?.status === 'verified' && <span class="fair-tick">verified</span>}
      </summary>
      <p class="hint">
        Before the first person opened it, this fingerprint fixed every share. When the packet has
        ended, the secret behind it is shown, and your own device can draw all shares again.
      </p>
      <dl class="fair-facts">
        <dt>Fingerprint (SHA-256)</dt>
        <dd>{seedHash}</dd>
        {card.details?.seed !== null && card.details?.seed !== undefined && (
          <>
            <dt>Secret</dt>
            <dd>{card.details.seed}</dd>
          </>
        )}
      </dl>
      {hasEnded ? (
        <button
          class="button small"
          data-testid="packet-verify"
          disabled={isBusy}
          onClick={() => void verify()}
        >
          {isBusy ? 'Drawing the shares again…' : 'Verify on this device'}
        </button>
      ) : (
        <p class="hint">You can verify it when all shares are taken or it has expired.</p>
      )}
      <p class="verdict" role="status" data-testid="packet-verdict">
        {card.verdict === null ? null : verdictText(card.verdict)}
      </p>
      <p class="problem" role="alert">
        {problem}
      </p>
    </details>
  );
}

function verdictText(verdict: Verdict): string {
  switch (verdict.status) {
    case 'verified':
      return verdict.shares === 1
        ? '✓ The share is exactly what the fingerprint promised.'
        : `✓ All ${verdict.shares} shares are exactly what the fingerprint promised.`;
    case 'broken':
      return verdict.order === undefined
        ? `✗ The ${verdict.what.replace('_', ' ')} does not fit the fingerprint.`
        : `✗ Share ${verdict.order} is not what the fingerprint promised.`;
    case 'not_verifiable':
      return WHY_NOT[verdict.reason];
  }
}

const WHY_NOT = {
  not_ended: 'Not yet: the packet is still open.',
  amounts_hidden: 'Not here: you may not see the amounts.',
  receivers_hidden: 'Not here: who may open it is not public.',
  claims_missing: 'Not yet: the list is still being completed. Try again in a moment.',
} as const;
