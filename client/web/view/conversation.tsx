import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { MessageLog } from '../message-log.ts';
import type { ChatModel } from '../model.ts';
import { Avatar } from './avatar.tsx';
import type { Opened } from './chat.tsx';
import { Composer } from './composer.tsx';
import { BackIcon, InviteIcon } from './icons.tsx';
import { InvitePanel } from './invite-panel.tsx';
import { MessageList } from './message-list.tsx';

const NEAR_BOTTOM_PX = 80;
const NEAR_TOP_PX = 120;
const FACES_MAX = 4;

/** One group: who is in it, what was said, and the line to say something. */
export function Conversation(props: {
  readonly model: ChatModel;
  readonly log: MessageLog;
  readonly onOpen: (opened: Opened) => void;
}) {
  const { model, log, onOpen } = props;
  const [isInviting, setInviting] = useState(false);
  const isAlone = log.isLoaded && log.summary.memberCount <= 1;
  return (
    <section class="conversation" aria-label={log.summary.name}>
      <ConversationHead model={model} log={log} onInvite={() => setInviting(!isInviting)} />
      {(isInviting || isAlone) && <InvitePanel model={model} groupId={log.groupId} />}
      <Scroller model={model} log={log} onOpen={onOpen} />
      <Composer
        onSend={(body) => model.send(log, body)}
        onPacket={() => onOpen({ kind: 'new_packet', groupId: log.groupId })}
      />
    </section>
  );
}

function ConversationHead(props: {
  readonly model: ChatModel;
  readonly log: MessageLog;
  readonly onInvite: () => void;
}) {
  const { model, log } = props;
  const { name, memberCount } = log.summary;
  return (
    <div class="conversation-head">
      <button
        class="icon-button only-narrow"
        data-testid="back"
        aria-label="Back to the groups"
        onClick={() => model.closeGroup()}
      >
        <BackIcon />
      </button>
      <div class="conversation-title">
        <h2>{name}</h2>
        <p title={log.members.join(', ')}>
          {memberCount === 1 ? '1 member' : `${memberCount} members`}
        </p>
      </div>
      <span class="faces" aria-hidden="true">
        {log.members.slice(0, FACES_MAX).map((member) => (
          <Avatar key={member} name={member} class="is-small" />
        ))}
      </span>
      <button class="button small" data-testid="invite" onClick={props.onInvite}>
        <InviteIcon /> Invite
      </button>
    </div>
  );
}

/** Stays at the bottom while one reads there, and in place while older messages come in above. */
function Scroller(props: {
  readonly model: ChatModel;
  readonly log: MessageLog;
  readonly onOpen: (opened: Opened) => void;
}) {
  const { model, log, onOpen } = props;
  const box = useRef<HTMLDivElement>(null);
  const place = useRef({ atBottom: true, height: 0, top: 0, first: 0, outgoing: 0 });
  const [hasNews, setNews] = useState(false);
  const first = log.messages[0]?.seq ?? 0;
  const end = `${log.last?.seq ?? 0}/${log.outgoing.length}/${log.isLoaded}`;
  const packets = model.packets.unannounced(log.groupId, (id) => log.hasPacket(id)).length;

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const before = place.current;
    const grew = element.scrollHeight - before.height;
    const isSending = log.outgoing.length > before.outgoing;
    if (before.atBottom || isSending) element.scrollTop = element.scrollHeight;
    else if (first < before.first) element.scrollTop = before.top + grew;
    else if (grew > 0) setNews(true);
    remember();
  }, [end, first, packets]);

  function remember(): void {
    const element = box.current;
    if (element === null) return;
    const { scrollTop: top, scrollHeight: height, clientHeight } = element;
    const atBottom = height - top - clientHeight < NEAR_BOTTOM_PX;
    place.current = { atBottom, height, top, first, outgoing: log.outgoing.length };
    if (atBottom) setNews(false);
  }

  function toBottom(): void {
    const element = box.current;
    if (element !== null) element.scrollTop = element.scrollHeight;
  }

  return (
    <div class="scroller-frame">
      <div
        class="scroller"
        ref={box}
        tabIndex={0}
        role="log"
        aria-label="Messages"
        onScroll={() => {
          remember();
          if (place.current.top < NEAR_TOP_PX) void model.loadOlder(log);
        }}
      >
        {log.isLoading && <p class="loading">Loading…</p>}
        <MessageList model={model} log={log} onOpen={onOpen} />
      </div>
      {hasNews && (
        <button class="button small news" onClick={toBottom}>
          New messages ↓
        </button>
      )}
    </div>
  );
}
