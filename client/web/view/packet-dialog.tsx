import { useEffect, useState } from 'preact/hooks';
import type { ChatModel } from '../model.ts';
import type { PacketCard } from '../packet-book.ts';
import { explain } from '../words.ts';
import { Avatar } from './avatar.tsx';
import { Confetti } from './confetti.tsx';
import { CloseIcon } from './icons.tsx';
import { Modal } from './modal.tsx';
import { PacketDetails } from './packet-details.tsx';

/** The coin turns at least this long: luck needs a moment. */
const SPIN_MS_MIN = 700;
/** The covers slide away for this long. */
const SLIDE_MS = 620;

/**
 * closed: the cover with its coin · opening: the coin turns · revealing: the cover slides away ·
 * details: who got what. A packet that cannot be opened any more stays closed and says why.
 */
type Stage = 'closed' | 'opening' | 'revealing' | 'details';

export function PacketDialog(props: {
  readonly model: ChatModel;
  readonly packetId: string;
  readonly onClose: () => void;
}) {
  const { model, packetId, onClose } = props;
  const card = model.packets.get(packetId);
  const hasShare = card?.mine !== undefined && card.mine !== null;
  const [stage, setStage] = useState<Stage>(hasShare ? 'details' : 'closed');
  const [problem, setProblem] = useState<string | null>(null);
  const [hasWon, setWon] = useState(false);

  // The page may not know yet that this person opened it long ago, on another device.
  useEffect(() => {
    if (card === null || card.mine !== undefined) return;
    model.packets
      .loadDetails(packetId)
      .then(() => {
        if (model.packets.get(packetId)?.mine) setStage('details');
      })
      .catch((error: unknown) => setProblem(explain(error)));
  }, []);

  if (card === null) return null;

  async function open(): Promise<void> {
    setStage('opening');
    setProblem(null);
    const spun = new Promise((resolve) => setTimeout(resolve, SPIN_MS_MIN));
    try {
      const result = await model.packets.open(packetId);
      await spun;
      if (result.status === 'drained' || result.status === 'expired') {
        setStage('closed');
        return;
      }
      setWon(result.status === 'opened');
      setStage('revealing');
      setTimeout(() => setStage('details'), SLIDE_MS);
    } catch (error) {
      await spun;
      setProblem(explain(error));
      setStage('closed');
    }
  }

  const showsDetails = stage === 'revealing' || stage === 'details';
  return (
    <Modal label={`Red packet from ${card.sender}`} class="modal packet-dialog" onClose={onClose}>
      <div class="packet-stage">
        {showsDetails && <PacketDetails model={model} card={card} isFresh={hasWon} />}
        {stage !== 'details' && (
          <Cover
            card={card}
            stage={stage}
            problem={problem}
            isMine={card.sender === model.me}
            onOpen={() => void open()}
            onDetails={() => setStage('details')}
          />
        )}
        {hasWon && showsDetails && <Confetti />}
        <button
          class="icon-button packet-close"
          data-testid="packet-close"
          aria-label="Close"
          onClick={onClose}
        >
          <CloseIcon />
        </button>
      </div>
    </Modal>
  );
}

function Cover(props: {
  readonly card: PacketCard;
  readonly stage: Stage;
  readonly problem: string | null;
  readonly isMine: boolean;
  readonly onOpen: () => void;
  readonly onDetails: () => void;
}) {
  const { card, stage, problem, isMine } = props;
  const isOver = card.phase !== 'live';
  return (
    <div class={`cover is-${stage}`} data-testid="packet-cover">
      <div class="cover-bottom" />
      <div class="cover-top">
        <Avatar name={card.sender} class="is-large" />
        <p class="cover-sender">{card.sender} sent a red packet</p>
        <p class="cover-greeting">{isOver ? lostText(card) : card.greeting}</p>
        {isOver && <p class="cover-note">{lostNote(card)}</p>}
      </div>
      {!isOver && (
        <button
          class="coin"
          data-testid="packet-open"
          aria-label="Open the red packet"
          disabled={stage !== 'closed'}
          onClick={props.onOpen}
          autofocus
        >
          <span class="coin-face" lang="zh" aria-hidden="true">
            開
          </span>
        </button>
      )}
      <div class="cover-foot">
        <p class="problem" role="alert">
          {problem}
        </p>
        {(isOver || isMine) && stage === 'closed' && (
          <button class="link" data-testid="packet-details" onClick={props.onDetails}>
            See who got what
          </button>
        )}
      </div>
    </div>
  );
}

function lostText(card: PacketCard): string {
  return card.phase === 'drained' ? '手慢了，红包派完了' : '红包已过期';
}

function lostNote(card: PacketCard): string {
  return card.phase === 'drained'
    ? 'Too late: all shares are taken.'
    : 'It has expired, and the rest went back.';
}
