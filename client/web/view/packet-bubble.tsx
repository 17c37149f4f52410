import { useEffect } from 'preact/hooks';
import type { ChatModel } from '../model.ts';
import type { PacketCard } from '../packet-book.ts';
import { Envelope } from './icons.tsx';

const KINDS: Readonly<Record<string, string>> = {
  lucky: '拼手气红包 · Lucky packet',
  equal: '普通红包 · Equal shares',
  exclusive: '专属红包 · For someone',
};

/** How a packet looks in the conversation; a tap opens it. */
export function PacketBubble(props: {
  readonly model: ChatModel;
  readonly packetId: string;
  readonly onOpen: (packetId: string) => void;
}) {
  const { model, packetId, onOpen } = props;
  const card = model.packets.get(packetId);
  useEffect(() => model.packets.look(packetId), [packetId]);
  if (card === null) return null;
  const isOpened = card.mine !== undefined && card.mine !== null;
  const isOver = isOpened || card.phase !== 'live';
  return (
    <button
      class={`packet ${isOver ? 'is-over' : ''}`}
      data-testid="packet-bubble"
      data-packet={packetId}
      data-phase={card.phase}
      data-opened={isOpened}
      onClick={() => onOpen(packetId)}
    >
      <span class="packet-main">
        <Envelope class="envelope envelope-bubble" isOpen={isOver} />
        <span class="packet-text">
          <span class="packet-greeting">{card.greeting}</span>
          <span class="packet-state">{stateText(card, isOpened)}</span>
        </span>
      </span>
      <span class="packet-foot">
        <span lang="zh">{KINDS[card.kind] ?? '红包 · Red packet'}</span>
        <span>{card.taken > 0 ? `${card.taken}/${card.count}` : `${card.count} shares`}</span>
      </span>
    </button>
  );
}

function stateText(card: PacketCard, isOpened: boolean): string {
  if (isOpened) return 'Opened';
  switch (card.phase) {
    case 'live':
      return 'Tap to open';
    case 'drained':
      return 'All taken';
    case 'refunded':
      return 'Expired';
  }
}
