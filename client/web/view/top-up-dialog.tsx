import { useRef, useState } from 'preact/hooks';
import type { ChatModel } from '../model.ts';
import { formatCents, parseCents } from '../money.ts';
import { explain } from '../words.ts';
import { CloseIcon } from './icons.tsx';
import { Modal } from './modal.tsx';

/** Asks for an amount, then shows the way to the page where it can be paid. */
export function TopUpDialog(props: { readonly model: ChatModel; readonly onClose: () => void }) {
  const { model, onClose } = props;
  const [amount, setAmount] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [page, setPage] = useState<{ url: string; amountCents: number } | null>(null);
  /** Kept with the amount it was made for: trying again is the same payment. */
  const attempt = useRef({ amountCents: 0, clientId: '' });

  async function topUp(): Promise<void> {
    const amountCents = parseCents(amount);
    if (amountCents === null || amountCents === 0) return setProblem('Give an amount like 12.50.');
    if (attempt.current.amountCents !== amountCents) {
      attempt.current = { amountCents, clientId: model.client.newId() };
    }
    setBusy(true);
    setProblem(null);
    try {
      const { checkoutUrl } = await model.client.wallet.topup(attempt.current);
      setPage({ url: checkoutUrl, amountCents });
    } catch (error) {
      setProblem(explain(error));
    }
    setBusy(false);
  }

  return (
    <Modal label="Top up" class="modal" onClose={onClose}>
      <form
        class="modal-body"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void topUp();
        }}
      >
        <div class="modal-head">
          <h2>Top up</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </div>
        {page === null ? (
          <>
            <label class="field">
              <span>Amount in yuan</span>
              <input
                data-testid="topup-amount"
                inputMode="decimal"
                value={amount}
                onInput={(event) => setAmount(event.currentTarget.value)}
                placeholder="100.00"
                aria-describedby="topup-problem"
                autofocus
              />
            </label>
            <p class="problem" id="topup-problem" role="alert">
              {problem}
            </p>
            <button class="button primary wide" data-testid="topup-ask" disabled={isBusy}>
              {isBusy ? 'One moment…' : 'Continue'}
            </button>
          </>
        ) : (
          // A link, not a window that opens by itself: browsers block those.
          <a
            class="button primary wide"
            data-testid="topup-pay"
            href={page.url}
            target="_blank"
            rel="noopener noreferrer"
            onClick={onClose}
          >
            Pay {formatCents(page.amountCents)}
          </a>
        )}
      </form>
    </Modal>
  );
}
