import { useRef, useState } from 'preact/hooks';
import { utf8Length } from '../../../lib/core/bytes.ts';
import { LIMITS } from '../../../lib/core/limits.ts';
import type { ChatModel } from '../model.ts';
import { explain } from '../words.ts';
import { CloseIcon } from './icons.tsx';
import { Modal } from './modal.tsx';

export function NewGroupDialog(props: { readonly model: ChatModel; readonly onClose: () => void }) {
  const { model, onClose } = props;
  const [name, setName] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  /** Kept with the name it was made for: trying again never creates a second group. */
  const attempt = useRef({ name: '', clientId: '' });

  async function create(): Promise<void> {
    const wanted = name.trim();
    if (wanted === '') return setProblem('Give the group a name.');
    if (utf8Length(wanted) > LIMITS.groupNameBytesMax) return setProblem('That name is too long.');
    if (attempt.current.name !== wanted) {
      attempt.current = { name: wanted, clientId: model.client.newId() };
    }
    setBusy(true);
    setProblem(null);
    try {
      await model.createGroup(wanted, attempt.current.clientId);
      onClose();
    } catch (error) {
      setProblem(explain(error));
      setBusy(false);
    }
  }

  return (
    <Modal label="New group" class="modal" onClose={onClose}>
      <form
        class="modal-body"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void create();
        }}
      >
        <div class="modal-head">
          <h2>New group</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </div>
        <label class="field">
          <span>Name of the group</span>
          <input
            data-testid="group-name"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            placeholder="Family 一家人"
            aria-describedby="group-problem"
            autofocus
          />
        </label>
        <p class="problem" id="group-problem" role="alert">
          {problem}
        </p>
        <button class="button primary wide" data-testid="group-create" disabled={isBusy}>
          {isBusy ? 'Creating…' : 'Create'}
        </button>
      </form>
    </Modal>
  );
}
