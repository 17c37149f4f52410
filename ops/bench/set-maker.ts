import { randomBytes } from 'node:crypto';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { assert } from '../../lib/core/assert.ts';
import type { Command } from '../../lib/core/command.ts';
import { CLUSTER_ID_BYTES, SLOT_MAP_BYTES, encodeCommand } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { RIGHT_SEND_PACKET, grantMac } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId, setOfId } from '../../lib/core/ids.ts';
import type { Entry, EntryKind } from '../../lib/core/journal-entry.ts';
import { OWNER_BYTES, ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome, Success } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { SetId, TimeMs } from '../../lib/core/units.ts';
import { epochOf, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { Crypto } from '../../lib/port/crypto.ts';
import { Batcher } from '../../set-node/machine/batcher.ts';
import type { World } from '../../set-node/machine/context.ts';
import { Seals } from '../../set-node/machine/findings.ts';
import { SetState } from '../../set-node/machine/state.ts';
import { makeWorld } from '../../set-node/machine/world.ts';

export const BENCH_SET: SetId = setId(1);
/** The epoch of everything that a maker seals: the first of node 0. */
export const MAKER_EPOCH = epochOf(1, 0);

export type MakerKeys = { readonly seedKey: Uint8Array; readonly clusterSecret: Uint8Array };

function newKeys(): MakerKeys {
  return {
    seedKey: new Uint8Array(randomBytes(32)),
    clusterSecret: new Uint8Array(randomBytes(32)),
  };
}

export function user(name: string): UserId {
  const parsed = parseUserId(name);
  assert(parsed !== null, 'a bench knows its names');
  return parsed;
}

/**
 * One Set's past, made by the real state machine and the real batcher with nobody to wait for:
 * commands in, sealed entries out, the outbox carried by hand. No stream, no replica.
 */
export class SetMaker {
  readonly state = new SetState(BENCH_SET);
  readonly crypto: Crypto;
  readonly owner = new Uint8Array(randomBytes(OWNER_BYTES));
  readonly clusterId: Uint8Array;
  readonly #batcher: Batcher;
  readonly #seals: Seals;
  readonly #random = new SystemRandom();
  readonly #onEntry: (entry: Entry) => void;
  readonly #grants = new Map<UserId, Grant>();
  #world: World;

  /** `replicas` is N of the configuration that stands in the journal: 1 or 3. */
  constructor(args: {
    onEntry: (entry: Entry) => void;
    replicas: 1 | 3;
    keys?: MakerKeys;
    clusterId?: Uint8Array;
  }) {
    this.crypto = makeCrypto(args.keys ?? newKeys());
    this.clusterId = args.clusterId ?? new Uint8Array(randomBytes(CLUSTER_ID_BYTES));
    this.#onEntry = args.onEntry;
    this.#batcher = new Batcher({ state: this.state, prev: ZERO_SUM, hash: this.crypto.sha256 });
    this.#seals = new Seals(this.crypto);
    this.#world = this.#worldNow();
    this.#seal('EPOCH_START');
    const slots = new Uint8Array(SLOT_MAP_BYTES).fill(0xff);
    const { clusterId } = this;
    const quorum = args.replicas === 3 ? 2 : 1;
    const { replicas } = args;
    this.do({ type: 'set.configure', clusterId, replicas, quorum, rules: 1, slots });
    this.#seal('CONFIG');
  }

  get sum(): Uint8Array {
    return this.#batcher.prev;
  }

  get now(): TimeMs {
    return this.#world.ts;
  }

  /** Decides a command; the batch is sealed when it is full. */
  do(command: Command): Outcome {
    return this.decide(encodeCommand(command), command);
  }

  /** {@link do} for bytes that are there already. */
  decide(bytes: Uint8Array, command: Command): Outcome {
    const found = this.#seals.findings(command, this.#world.ts);
    const { outcome } = this.#batcher.add({ bytes, command, found, world: this.#world });
    if (this.#batcher.isFull) this.flush();
    return outcome;
  }

  /** {@link do}, and a refusal is a bug of the bench. */
  need<T extends Command['type']>(
    command: Extract<Command, { type: T }>,
  ): Extract<Success, { type: T }> {
    const outcome = this.do(command);
    assert(succeeded(outcome), `${command.type} is not refused (${outcome.status})`);
    // `succeeded` narrows the status, and an outcome has the type of its command.
    return outcome as unknown as Extract<Success, { type: T }>;
  }

  /** Seals what has gathered. */
  flush(): void {
    if (this.#batcher.opCount > 0) this.#seal('OPS');
    this.#world = this.#worldNow();
  }

  /** What a courier does with everything in the outbox, until it is empty. */
  carryAll(): void {
    const { outbox } = this.state;
    while (outbox.pendingCount > 0) {
      for (const { lane, first, pending, to } of [...outbox.lanes()]) {
        if (pending.length === 0) continue;
        assert(to === BENCH_SET, 'this Set is all there is');
        const transfers = pending.slice(0, LIMITS.deliverTransfersMax);
        const { receipts } = this.need<'transfer.deliver'>({
          type: 'transfer.deliver',
          from: BENCH_SET,
          lane,
          first,
          transfers,
        });
        assert(
          receipts.every(({ kind }) => kind !== 'tombstone'),
          'nothing is refused for ever',
        );
        this.need<'transfer.ack'>({
          type: 'transfer.ack',
          to: BENCH_SET,
          lane,
          upTo: first + transfers.length - 1,
          tombstones: [],
          receiptEpoch: MAKER_EPOCH,
          receiptLsn: this.state.lsn,
        });
      }
    }
    this.flush();
  }

  takeIds(count: number): Id {
    return this.need<'ids.reserve'>({ type: 'ids.reserve', count }).firstId;
  }

  /** A member's grant; made again before it is too old. */
  grant(member: UserId, groupId: Id): Grant {
    const known = this.#grants.get(member);
    const fresh = known !== undefined && this.now - known.issuedAt < LIMITS.grantAgeMsMax / 2;
    if (fresh && known.groupId === groupId) return known;
    const body = {
      groupId,
      role: 'member',
      rights: RIGHT_SEND_PACKET,
      groupLsn: lsn(1),
      issuedAt: this.now,
    } as const;
    const grant = { ...body, mac: grantMac(this.#seals.keyOf(setOfId(groupId)), member, body) };
    this.#grants.set(member, grant);
    return grant;
  }

  /** A group of `owner`, founded and carried. */
  foundGroup(owner: UserId): Id {
    const groupId = this.takeIds(1);
    const commandId = makeCommandId(this.now, this.#random.bytes(10));
    const name = 'bench';
    this.need({ type: 'group.create', commandId, user: owner, groupId, name, history: 'all' });
    this.carryAll();
    return groupId;
  }

  /** `packet.send` as a home Set decides it; the packet is live after {@link carryAll}. */
  send(definition: PacketDefinition): void {
    this.need({
      type: 'packet.send',
      commandId: makeCommandId(this.now, this.#random.bytes(10)),
      grant: this.grant(definition.sender, definition.groupId),
      definition,
    });
  }

  #worldNow(): World {
    return makeWorld({
      ts: timeMs(Math.max(this.state.ts, Date.now())),
      vault: this.crypto,
      random: this.#random,
      homeOf: () => BENCH_SET,
    });
  }

  #seal(kind: EntryKind): void {
    const commitLsn = this.state.lsn;
    const acked = [commitLsn, commitLsn, commitLsn] as const;
    const stamp = { epoch: MAKER_EPOCH, owner: this.owner, commitLsn, acked };
    this.#onEntry(this.#batcher.seal({ kind, stamp, ts: this.#world.ts }).entry);
  }
}
