import { useRef, useState } from 'preact/hooks';
import { utf8Length } from '../../../lib/core/bytes.ts';
import { LIMITS } from '../../../lib/core/limits.ts';
import { Envelope, SendIcon } from './icons.tsx';

export function Composer(props: {
  readonly onSend: (body: string) => void;
  readonly onPacket: () => void;
}) {
  const [text, setText] = useState('');
  const area = useRef<HTMLTextAreaElement>(null);
  const body = text.trim();
  const isTooLong = utf8Length(body) > LIMITS.messageBytesMax;

  function send(): void {
    if (body === '' || isTooLong) return;
    props.onSend(body);
    setText('');
    area.current?.focus();
  }

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <button
        type="button"
        class="composer-packet"
        data-testid="packet-new"
        aria-label="Send a red packet (红包)"
        title="Send a red packet"
        onClick={props.onPacket}
      >
        <Envelope class="envelope envelope-small" />
      </button>
      <label class="composer-field">
        <span class="visually-hidden">Message</span>
        {/* The copy of the text in the attribute makes the field as high as its lines. */}
        <span class="grow" data-text={`${text} `}>
          <textarea
            ref={area}
            data-testid="message-input"
            rows={1}
            value={text}
            placeholder="Message"
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              // Enter also ends the choice of a Chinese character: that one is not ours.
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              send();
            }}
          />
        </span>
      </label>
      <button
        class="composer-send"
        data-testid="message-send"
        aria-label="Send"
        disabled={body === '' || isTooLong}
      >
        <SendIcon />
      </button>
      {isTooLong && (
        <p class="problem composer-problem" role="alert">
          That is too long for one message.
        </p>
      )}
    </form>
  );
}
