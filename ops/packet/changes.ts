/** What commands did to packets at their owner, as the owner's journal says it. */
import type { Op, OpOf } from '../../reconciler/audit/decode.ts';
import type { Definition, Receipt, Transfer } from '../../reconciler/audit/parts.ts';

export type Change =
  | {
      readonly kind: 'create';
      readonly definition: Definition;
      /** Of the receipt, and of the announcement that left in the same entry; '' without one. */
      readonly seedHash: string;
      readonly announcedHash: string;
      readonly at: number;
    }
  | {
      readonly kind: 'open';
      readonly user: string;
      readonly amountCents: number;
      readonly order: number;
      readonly left: number;
      readonly at: number;
      readonly seed: Uint8Array;
    }
  | {
      readonly kind: 'expire';
      readonly refundCents: number;
      readonly at: number;
      readonly seed: Uint8Array;
    };

/** The packet that a transfer is about, or null. */
export function packetOf(transfer: Transfer): bigint | null {
  switch (transfer.kind) {
    case 'packet.create':
      return transfer.definition.packetId;
    case 'packet.announce':
    case 'claim.credit':
    case 'packet.refund':
      return transfer.packetId;
    case 'group.found':
    case 'member.hint':
      return null;
  }
}

/** null: the transfer made no packet. `at` is the log time of the entry. */
export function createChange(args: {
  transfer: Transfer;
  receipt: Receipt | undefined;
  sends: Op['sends'];
  at: number;
}): Change | null {
  const { transfer, receipt, sends, at } = args;
  if (transfer.kind !== 'packet.create' || receipt?.kind !== 'live') return null;
  const definition = ownDefinition(transfer.definition);
  let announcedHash = '';
  for (const { transfer: sent } of sends) {
    const isIts = sent.kind === 'packet.announce' && sent.packetId === definition.packetId;
    if (isIts) announcedHash = sent.seedHash;
  }
  return { kind: 'create', definition, seedHash: receipt.seedHash, announcedHash, at };
}

/** null: it was refused. */
export function openChange(op: OpOf<'packet.open'>): Change | null {
  const { success } = op.outcome;
  if (success === null) return null;
  const { amountCents, order, left, at } = success;
  const seed = new Uint8Array(success.seed);
  return { kind: 'open', user: op.command.user, amountCents, order, left, at, seed };
}

/** null: it was refused. `at` is the log time of the entry. */
export function expireChange(op: OpOf<'packet.expire'>, at: number): Change | null {
  const { success } = op.outcome;
  if (success === null) return null;
  const { refundCents } = success;
  return { kind: 'expire', refundCents, at, seed: new Uint8Array(success.seed) };
}

/** All that an op changed, in order. */
export function changesOf(op: Op, at: number): { packetId: bigint; change: Change }[] {
  const found: { packetId: bigint; change: Change }[] = [];
  const add = (packetId: bigint | null, change: Change | null): void => {
    if (packetId !== null && change !== null) found.push({ packetId, change });
  };
  if (op.type === 'packet.open') add(op.command.packetId, openChange(op));
  else if (op.type === 'packet.expire') add(op.command.packetId, expireChange(op, at));
  else if (op.type === 'transfer.deliver') {
    const { sends } = op;
    for (const [index, transfer] of op.command.transfers.entries()) {
      const receipt = op.outcome.success?.receipts[index];
      add(packetOf(transfer), createChange({ transfer, receipt, sends, at }));
    }
  }
  return found;
}

/** A copy: what was read is a view of the page that it was read from. */
export function ownDefinition(definition: Definition): Definition {
  return { ...definition, bytes: new Uint8Array(definition.bytes) };
}
