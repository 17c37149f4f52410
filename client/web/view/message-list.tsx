import { packetIdOf, systemText } from '../message-log.ts';
import type { MessageLog, Outgoing } from '../message-log.ts';
import type { Message } from '../../index.ts';
import type { ChatModel } from '../model.ts';
import { clockText, whenText } from '../time.ts';
import { Avatar } from './avatar.tsx';
import type { Opened } from './chat.tsx';
import { PacketBubble } from './packet-bubble.tsx';

/** A pause of this long puts the time between two messages. */
const PAUSE_MS = 5 * 60_000;

export function MessageList(props: {
  readonly model: ChatModel;
  readonly log: MessageLog;
  readonly onOpen: (opened: Opened) => void;
}) {
  const { model, log, onOpen } = props;
  const { messages } = log;
  const open = (packetId: string): void => onOpen({ kind: 'packet', packetId });
  const pushed = model.packets.unannounced(log.groupId, (id) => log.hasPacket(id));
  return (
    <ol class="messages">
      {messages.map((message, index) => (
        <MessageRow
          key={message.seq}
          model={model}
          message={message}
          previous={messages[index - 1] ?? null}
          onOpen={open}
        />
      ))}
      {pushed.map((card) => (
        <li key={card.packetId} class={`row ${card.sender === model.me ? 'is-mine' : ''}`}>
          <Avatar name={card.sender} />
          <div class="row-body">
            <span class="row-sender">{card.sender}</span>
            <PacketBubble model={model} packetId={card.packetId} onOpen={open} />
          </div>
        </li>
      ))}
      {log.outgoing.map((outgoing) => (
        <OutgoingRow key={outgoing.clientMsgId} model={model} log={log} outgoing={outgoing} />
      ))}
    </ol>
  );
}

function MessageRow(props: {
  readonly model: ChatModel;
  readonly message: Message;
  readonly previous: Message | null;
  readonly onOpen: (packetId: string) => void;
}) {
  const { model, message, previous, onOpen } = props;
  const isMine = message.sender === model.me;
  const isLater = previous === null || message.at - previous.at > PAUSE_MS;
  const time = isLater ? <li class="time">{whenText(message.at, Date.now())}</li> : null;
  if (message.kind === 'system') {
    return (
      <>
        {time}
        <li class="system" data-testid="message" data-kind="system">
          {systemText(message, model.me)}
        </li>
      </>
    );
  }
  const follows = !isLater && previous?.sender === message.sender && previous.kind !== 'system';
  const packetId = packetIdOf(message);
  return (
    <>
      {time}
      <li
        class={`row ${isMine ? 'is-mine' : ''} ${follows ? 'follows' : ''}`}
        data-testid="message"
        data-kind={message.kind}
        data-seq={message.seq}
        data-state="sent"
      >
        <Avatar name={message.sender} />
        <div class="row-body">
          {!follows && <span class="row-sender">{message.sender}</span>}
          {packetId === null ? (
            <p class="bubble" title={clockText(message.at)}>
              {message.kind === 'text' ? message.body : `[${message.kind}]`}
            </p>
          ) : (
            <PacketBubble model={model} packetId={packetId} onOpen={onOpen} />
          )}
        </div>
      </li>
    </>
  );
}

function OutgoingRow(props: {
  readonly model: ChatModel;
  readonly log: MessageLog;
  readonly outgoing: Outgoing;
}) {
  const { model, log, outgoing } = props;
  const isFailed = outgoing.state === 'failed';
  return (
    <li
      class={`row is-mine is-${outgoing.state}`}
      data-testid="message"
      data-kind="text"
      data-state={outgoing.state}
    >
      <Avatar name={model.me} />
      <div class="row-body">
        <p class="bubble">{outgoing.body}</p>
        {isFailed ? (
          <p class="row-state" role="alert">
            {outgoing.reason}{' '}
            <button
              class="link"
              data-testid="message-retry"
              onClick={() => model.sendAgain(log, outgoing)}
            >
              Try again
            </button>
          </p>
        ) : (
          <p class="row-state">Sending…</p>
        )}
      </div>
    </li>
  );
}
