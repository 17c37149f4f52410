import { useEffect, useRef, useState } from 'preact/hooks';
import { utf8Length } from '../../../lib/core/bytes.ts';
import { LIMITS } from '../../../lib/core/limits.ts';
import type { ChatModel } from '../model.ts';
import { formatAmount, formatCents, parseCents } from '../money.ts';
import { explain, isUncertain } from '../words.ts';
import { CloseIcon } from './icons.tsx';
import { Modal } from './modal.tsx';

const GREETING = '恭喜发财，大吉大利';

type Draft = {
  readonly amount: string;
  readonly count: string;
  readonly kind: 'lucky' | 'equal';
  readonly greeting: string;
};

type Checked =
  | { readonly ok: true; readonly totalCents: number; readonly count: number }
  /** `problem` is null while there is simply not enough typed yet. */
  | { readonly ok: false; readonly problem: string | null };

/** The first limit that the draft breaks, in words. The server checks again. */
function check(draft: Draft, balanceCents: number): Checked {
  const totalCents = parseCents(draft.amount);
  const count = /^\d{1,4}$/.test(draft.count.trim()) ? Number(draft.count) : null;
  const no = (problem: string | null): Checked => ({ ok: false, problem });
  if (draft.amount.trim() !== '' && totalCents === null) {
    return no('Write the amount as 10 or 10.50.');
  }
  if (totalCents !== null && totalCents > LIMITS.packetTotalCentsMax) {
    return no(`A red packet holds at most ${formatCents(LIMITS.packetTotalCentsMax)}.`);
  }
  if (totalCents !== null && totalCents > balanceCents) {
    return no(`Your wallet holds ${formatCents(balanceCents)}.`);
  }
  if (draft.count.trim() !== '' && (count === null || count < 1)) {
    return no('The number of shares is a whole number from 1.');
  }
  if (count !== null && count > LIMITS.packetCountMax) {
    return no(`At most ${LIMITS.packetCountMax} people can share a red packet.`);
  }
  if (utf8Length(draft.greeting.trim()) > LIMITS.greetingBytesMax) {
    return no('The greeting is too long.');
  }
  if (totalCents === null || totalCents === 0 || count === null) return no(null);
  if (totalCents < count * LIMITS.shareCentsMin) return no('Everybody must get at least ¥0.01.');
  return { ok: true, totalCents, count };
}

/** Fills a red packet. One sheet is one packet: however often "try again" is pressed. */
export function PacketSheet(props: {
  readonly model: ChatModel;
  readonly groupId: string;
  readonly onClose: () => void;
}) {
  const { model, groupId, onClose } = props;
  const [draft, setDraft] = useState<Draft>({ amount: '', count: '', kind: 'lucky', greeting: '' });
  const [failure, setFailure] = useState<{ text: string; isUncertain: boolean } | null>(null);
  const [isBusy, setBusy] = useState(false);
  const clientId = useRef('');
  const isOpen = useRef(true);
  useEffect(
    () => () => {
      isOpen.current = false;
    },
    [],
  );
  const checked = check(draft, model.balance?.balanceCents ?? 0);
  // Perhaps it was sent. Another amount would be another packet: only the same one may follow.
  const isLocked = isBusy || failure?.isUncertain === true;

  function change(part: Partial<Draft>): void {
    setDraft({ ...draft, ...part });
    setFailure(null);
    clientId.current = '';
  }

  async function send(): Promise<void> {
    if (!checked.ok || isBusy) return;
    if (clientId.current === '') clientId.current = model.client.newId();
    setBusy(true);
    setFailure(null);
    const { totalCents, count } = checked;
    const greeting = draft.greeting.trim() === '' ? GREETING : draft.greeting.trim();
    const { kind } = draft;
    const id = clientId.current;
    try {
      const { status } = await model.client.packet.send({
        groupId,
        clientId: id,
        totalCents,
        count,
        kind,
        greeting,
      });
      if (status === 'arriving') model.say('Your red packet is on its way to the group.');
      onClose();
    } catch (error) {
      // Closed while it was being sent: what became of the money is said all the same.
      if (!isOpen.current) model.say(explain(error));
      setFailure({ text: explain(error), isUncertain: isUncertain(error) });
      setBusy(false);
    }
  }

  const problem = failure?.text ?? (checked.ok ? null : checked.problem);
  const total = parseCents(draft.amount) ?? 0;
  return (
    <Modal label="Send a red packet" class="modal sheet" onClose={onClose}>
      <form
        class="modal-body"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <div class="modal-head">
          <h2>
            Send a red packet <span lang="zh">发红包</span>
          </h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </div>
        <KindChoice kind={draft.kind} isLocked={isLocked} onChange={(kind) => change({ kind })} />
        <div class="field-pair">
          <label class="field">
            <span>Total amount</span>
            <span class="affix">
              <span aria-hidden="true">¥</span>
              <input
                data-testid="packet-amount"
                inputMode="decimal"
                autocomplete="off"
                placeholder="0.00"
                value={draft.amount}
                disabled={isLocked}
                onInput={(event) => change({ amount: event.currentTarget.value })}
                aria-describedby="packet-problem"
                autofocus
              />
            </span>
          </label>
          <label class="field">
            <span>Shares</span>
            <span class="affix">
              <input
                data-testid="packet-count"
                inputMode="numeric"
                autocomplete="off"
                placeholder="3"
                value={draft.count}
                disabled={isLocked}
                onInput={(event) => change({ count: event.currentTarget.value })}
                aria-describedby="packet-problem"
              />
              <span aria-hidden="true" lang="zh">
                个
              </span>
            </span>
          </label>
        </div>
        <label class="field">
          <span>Greeting</span>
          <input
            data-testid="packet-greeting"
            placeholder={GREETING}
            value={draft.greeting}
            disabled={isLocked}
            onInput={(event) => change({ greeting: event.currentTarget.value })}
          />
        </label>
        <p class="sheet-total" aria-live="polite">
          <span class="currency">¥</span>
          {formatAmount(total)}
        </p>
        <p class="sheet-note">{noteOf(draft, checked)}</p>
        <p class="problem" id="packet-problem" role="alert">
          {problem}
        </p>
        <button
          class="button primary wide"
          data-testid="packet-send"
          disabled={!checked.ok || isBusy}
        >
          {buttonText(isBusy, failure !== null)}
        </button>
      </form>
    </Modal>
  );
}

function buttonText(isBusy: boolean, hasFailed: boolean): string {
  if (isBusy) return 'Sending…';
  return hasFailed ? 'Try again' : 'Put the money in · 塞钱进红包';
}

function noteOf(draft: Draft, checked: Checked): string {
  if (!checked.ok) return draft.kind === 'lucky' ? 'Random shares' : 'Everybody gets the same';
  const { totalCents, count } = checked;
  const each = (totalCents - (totalCents % count)) / count;
  if (draft.kind === 'lucky') return `Random shares, ${formatCents(each)} on average`;
  const rest = totalCents - each * count;
  if (rest === 0) return `${formatCents(each)} for each`;
  return `${formatCents(each)} for each, one cent more for the first ${rest}`;
}

function KindChoice(props: {
  readonly kind: Draft['kind'];
  readonly isLocked: boolean;
  readonly onChange: (kind: Draft['kind']) => void;
}) {
  const options = [
    { kind: 'lucky', name: 'Lucky', chinese: '拼手气' },
    { kind: 'equal', name: 'Equal', chinese: '普通' },
  ] as const;
  return (
    <fieldset class="segments" disabled={props.isLocked}>
      <legend class="visually-hidden">How the money is shared</legend>
      {options.map(({ kind, name, chinese }) => (
        <label key={kind} class={`segment ${props.kind === kind ? 'is-chosen' : ''}`}>
          <input
            type="radio"
            name="kind"
            class="visually-hidden"
            data-testid={`packet-kind-${kind}`}
            checked={props.kind === kind}
            onChange={() => props.onChange(kind)}
          />
          {name} <span lang="zh">{chinese}</span>
        </label>
      ))}
    </fieldset>
  );
}
