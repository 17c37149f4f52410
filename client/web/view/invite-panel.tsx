import { useEffect, useRef, useState } from 'preact/hooks';
import type { ChatModel } from '../model.ts';
import { explain } from '../words.ts';

/** The link that lets others in, with a button that copies it. */
export function InvitePanel(props: { readonly model: ChatModel; readonly groupId: string }) {
  const { model, groupId } = props;
  const [link, setLink] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isCopied, setCopied] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    model
      .inviteLink(groupId)
      .then(setLink)
      .catch((error: unknown) => setProblem(explain(error)));
  }, [groupId]);

  async function copy(): Promise<void> {
    if (link === null) return;
    area.current?.select();
    try {
      await navigator.clipboard.writeText(link);
      setCopied(true);
    } catch {
      // Plain-http pages have no clipboard: the link is selected for the keyboard.
      setProblem('Press Ctrl+C or ⌘C to copy the link.');
    }
  }

  return (
    <section class="invite" aria-label="Invitation">
      <p class="hint">Whoever opens this link joins the group. It works for seven days.</p>
      <div class="invite-row">
        {link === null ? (
          <span class="invite-link is-waiting">{problem === null ? 'Making a link…' : ''}</span>
        ) : (
          <textarea
            ref={area}
            class="invite-link"
            data-testid="invite-link"
            aria-label="Invitation link"
            readOnly
            rows={1}
            onFocus={(event) => event.currentTarget.select()}
          >
            {link}
          </textarea>
        )}
        <button class="button small" disabled={link === null} onClick={() => void copy()}>
          {isCopied ? 'Copied' : 'Copy'}
        </button>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
    </section>
  );
}
