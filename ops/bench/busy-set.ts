import { assert } from '../../lib/core/assert.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { idPlus, packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { LANES } from '../../lib/core/transfer.ts';
import { cents, lsn, setId } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { SetMaker } from './set-maker.ts';
import { MAKER_EPOCH, user } from './set-maker.ts';

/** More shares than claims: every packet stays live. */
const SHARES = 100;
const TOTAL_CENTS = 10_000;
const SENDER_CENTS = 1_000_000_000_000;

export type BusySize = {
  readonly packets: number;
  /** Of each packet. */
  readonly claims: number;
  readonly people: number;
};

/** Called when the entries of a phase begin, so that a replay can time each phase apart. */
export type OnPhase = (phase: 'send' | 'open' | 'settle') => void;

/** Packets that are opened side by side: the time in which a busy Set's are sent and opened. */
const WAVE = 2_000;

/**
 * A Set with `packets` live packets, each with `claims` claims, all of them settled: 2,000 are
 * sent, opened share by share, settled, and then the next. Deterministic but for ids and seeds.
 */
export function makeBusySet(args: { maker: SetMaker; size: BusySize; onPhase?: OnPhase }): void {
  const { maker, size, onPhase = () => undefined } = args;
  assert(size.claims < SHARES && size.claims <= size.people, 'packets stay live');
  onPhase('send');
  const people = Array.from({ length: size.people }, (_, index) => user(`member-${index}`));
  const sender = user('sender');
  maker.need({ type: 'wallet.open', user: sender, welcomeCents: cents(SENDER_CENTS) });
  for (const one of people)
    maker.need({ type: 'wallet.open', user: one, welcomeCents: cents(100) });
  const groupId = maker.foundGroup(sender);
  for (let made = 0; made < size.packets; made += WAVE) {
    onPhase('send');
    const first = maker.takeIds(WAVE);
    const count = Math.min(WAVE, size.packets - made);
    const packets = Array.from({ length: count }, (_, index) => idPlus(first, index));
    for (const packetId of packets) maker.send(definitionOf({ packetId, groupId, sender }));
    maker.carryAll();
    for (let claim = 0; claim < size.claims; claim++) {
      onPhase('open');
      for (const [index, packetId] of packets.entries()) {
        const opener = people[(made + index + claim * 7) % people.length];
        assert(opener !== undefined, 'there are people');
        const grant = maker.grant(opener, groupId);
        maker.need({ type: 'packet.open', packetId, user: opener, grant });
      }
      maker.flush();
      onPhase('settle');
      maker.carryAll();
    }
  }
}

/** The Set that the packets of {@link makeForeignPackets} come from. */
const ELSEWHERE = setId(2);
/** A group of that Set: packets live away from it, and the grant is all that is known of it here. */
const GROUP_ELSEWHERE = packId({ ms: 1, set: ELSEWHERE, sequence: 0 });

/** `count` live packets that another Set sent to this one, announced back and receipted. */
export function makeForeignPackets(maker: SetMaker, count: number): Id[] {
  const sender = user('sender');
  const packets: Id[] = [];
  const { upTo: earlier } = maker.state.inbox.lane(ELSEWHERE, LANES.control);
  while (packets.length < count) {
    const size = Math.min(LIMITS.deliverTransfersMax, count - packets.length);
    const first = maker.takeIds(size);
    const ids = Array.from({ length: size }, (_, index) => idPlus(first, index));
    const delivered = maker.need<'transfer.deliver'>({
      type: 'transfer.deliver',
      from: ELSEWHERE,
      lane: LANES.control,
      first: earlier + packets.length + 1,
      transfers: ids.map((packetId) => ({
        kind: 'packet.create',
        sentAt: maker.now,
        definition: definitionOf({ packetId, sender, groupId: GROUP_ELSEWHERE }),
      })),
    });
    assert(
      delivered.receipts.every(({ kind }) => kind === 'live'),
      'every packet is made',
    );
    packets.push(...ids);
    maker.need({
      type: 'transfer.ack',
      to: ELSEWHERE,
      lane: LANES.control,
      upTo: earlier + packets.length,
      tombstones: [],
      receiptEpoch: MAKER_EPOCH,
      receiptLsn: lsn(1),
    });
  }
  maker.flush();
  return packets;
}

/**
 * Encoded opens of every share of these packets by as many people: packet after packet, or
 * (`spread`) share after share, so that each open is of another packet than the one before.
 */
export function opensOf(args: {
  maker: SetMaker;
  packets: readonly Id[];
  spread: boolean;
}): Uint8Array[] {
  const { maker, packets, spread } = args;
  const openers = Array.from({ length: SHARES }, (_, index) => user(`member-${index}`));
  const openOf = (packetId: Id, opener: UserId): Uint8Array => {
    const grant = maker.grant(opener, GROUP_ELSEWHERE);
    return encodeCommand({ type: 'packet.open', packetId, user: opener, grant });
  };
  return spread
    ? openers.flatMap((opener) => packets.map((packetId) => openOf(packetId, opener)))
    : packets.flatMap((packetId) => openers.map((opener) => openOf(packetId, opener)));
}

function definitionOf(of: { packetId: Id; sender: UserId; groupId: Id }): PacketDefinition {
  return {
    ...of,
    kind: 'lucky',
    strategy: 'double_mean',
    timing: 'at_open',
    totalCents: cents(TOTAL_CENTS),
    count: SHARES,
    lifetimeMs: LIMITS.packetLifetimeMs,
    greeting: '恭喜发财',
    receivers: [],
  };
}
