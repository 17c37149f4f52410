import { randomBytes } from 'node:crypto';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Command } from '../../lib/core/command.ts';
import { decodeCommand, encodeCommand } from '../../lib/core/command.ts';
import { decodeCommands, encodeCommands } from '../../lib/core/batch.ts';
import { grantMac } from '../../lib/core/grant.ts';
import { packId } from '../../lib/core/ids.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { Batcher } from '../../set-node/machine/batcher.ts';
import type { World } from '../../set-node/machine/context.ts';
import { NO_FINDINGS } from '../../set-node/machine/context.ts';
import { encodeOutcome } from '../../lib/core/outcome.ts';
import { Seals } from '../../set-node/machine/findings.ts';
import { DEFAULT_POLICY } from '../../set-node/machine/policy.ts';
import { SetState } from '../../set-node/machine/state.ts';
import { median } from './statistics.ts';

const SET = setId(1);
const MEMBERS = 500;
const PACKETS = 1_000;
const SHARES = 100;
const BATCH = 256;
/** Commands of one stream message. */
const PER_MESSAGE = 100;

/**
 * The driver without its surroundings: decode from stream messages, check the grant, decide, apply, encode, seal with
 * checksum. No stream, no replica, no settlement. CPU of the thread, microseconds an open.
 */
export async function benchDriver(args: {
  runs: number;
}): Promise<{ cpuUs: number; opensPerS: number }> {
  const cpu: number[] = [];
  const rate: number[] = [];
  // The first run warms the compiler up and does not count.
  for (let run = 0; run <= args.runs; run++) {
    const { messages, batcher, seals, world } = prepare();
    const start = performance.now();
    const before = process.threadCpuUsage();
    let opened = 0;
    for (const message of messages) {
      for (const { command: bytes } of decodeCommands(message)) {
        const command = decodeCommand(bytes);
        const found = seals.findings(command, world.ts);
        const { outcome } = batcher.add({ bytes, command, found, world });
        if (encodeOutcome(outcome).length > 2) opened += 1;
        if (batcher.opCount === BATCH) sealOne(batcher, world);
      }
    }
    if (batcher.opCount > 0) sealOne(batcher, world);
    const used = process.threadCpuUsage(before);
    if (opened !== PACKETS * SHARES) throw new Error('every open of this bench wins');
    if (run === 0) continue;
    cpu.push((used.user + used.system) / opened);
    rate.push(opened / ((performance.now() - start) / 1_000));
  }
  return { cpuUs: median(cpu), opensPerS: median(rate) };
}

function sealOne(batcher: Batcher, world: World): void {
  const zero = lsn(0);
  const stamp = {
    epoch: epoch(256),
    owner: new Uint8Array(16),
    commitLsn: zero,
    acked: [zero, zero, zero] as const,
  };
  batcher.seal({ kind: 'OPS', stamp, ts: world.ts });
}

function prepare(): { messages: Uint8Array[]; batcher: Batcher; seals: Seals; world: World } {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const crypto = makeCrypto({ seedKey: randomBytes(32), clusterSecret: randomBytes(32) });
  const state = new SetState(SET);
  state.idCursor = { ms: 2, sequence: 0 };
  const batcher = new Batcher({ state, prev: new Uint8Array(32), hash: crypto.sha256 });
  const seals = new Seals(crypto);
  const world: World = {
    ts: timeMs(clock.now()),
    policy: DEFAULT_POLICY,
    homeOf: () => SET,
    freshSeed: () => ({ seed: random.bytes(32), nonce: random.bytes(12) }),
    sealSeed: ({ seed, nonce }) => crypto.sealSeed({ seed, nonce, bound: new Uint8Array(8) }),
    openSeed: ({ sealed }) => crypto.openSeed({ sealed, bound: new Uint8Array(8) }),
  };
  const groupId = packId({ ms: 1, set: SET, sequence: 0 });
  const users = Array.from({ length: MEMBERS }, (_, index) => user(`member-${index}`));
  const grants = users.map((member) => {
    const body = {
      groupId,
      role: 'member',
      rights: 1,
      groupLsn: lsn(1),
      issuedAt: world.ts,
    } as const;
    return { ...body, mac: grantMac(seals.keyOf(SET), member, body) };
  });
  const add = (command: Command): void => {
    batcher.add({ bytes: encodeCommand(command), command, found: NO_FINDINGS, world });
  };
  const commands: Uint8Array[] = [];
  for (let packet = 0; packet < PACKETS; packet++) {
    const packetId = packId({ ms: 1, set: SET, sequence: packet + 1 });
    add({
      type: 'transfer.deliver',
      from: SET,
      lane: 0,
      first: packet + 1,
      transfers: [
        {
          kind: 'packet.create',
          sentAt: world.ts,
          definition: {
            packetId,
            groupId,
            sender: user('sender'),
            kind: 'lucky',
            strategy: 'double_mean',
            timing: 'at_open',
            totalCents: cents(200_00),
            count: SHARES,
            lifetimeMs: 86_400_000,
            greeting: '恭喜发财',
            receivers: [],
          },
        },
      ],
    });
    for (let share = 0; share < SHARES; share++) {
      const member = (packet * 7 + share * 5) % MEMBERS;
      const grant = grants[member];
      const opener = users[member];
      if (grant === undefined || opener === undefined) continue;
      commands.push(encodeCommand({ type: 'packet.open', packetId, user: opener, grant }));
    }
  }
  sealOne(batcher, world);
  const messages: Uint8Array[] = [];
  for (let at = 0; at < commands.length; at += PER_MESSAGE) {
    const slice = commands.slice(at, at + PER_MESSAGE);
    messages.push(encodeCommands(slice.map((command, index) => ({ tag: index, command }))));
  }
  return { messages, batcher, seals, world };
}

function user(name: string): UserId {
  const parsed = parseUserId(name);
  if (parsed === null) throw new Error('a bench knows its names');
  return parsed;
}
