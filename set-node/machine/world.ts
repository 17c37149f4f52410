import type { Id } from '../../lib/core/ids.ts';
import type { SetId, TimeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Crypto } from '../../lib/port/crypto.ts';
import type { Random } from '../../lib/port/random.ts';
import type { World } from './context.ts';
import type { Policy } from './policy.ts';
import { DEFAULT_POLICY } from './policy.ts';

/** The world of one batch: its log time, fresh seeds, the vault, and who lives where. */
export function makeWorld(args: {
  ts: TimeMs;
  vault: Crypto;
  random: Random;
  homeOf: (user: UserId) => SetId;
  policy?: Policy | undefined;
}): World {
  const { ts, vault, random, homeOf, policy = DEFAULT_POLICY } = args;
  return {
    ts,
    policy,
    homeOf,
    freshSeed: () => ({ seed: random.bytes(32), nonce: random.bytes(12) }),
    sealSeed: ({ seed, nonce, packetId }) =>
      vault.sealSeed({ seed, nonce, bound: idBytes(packetId) }),
    openSeed: ({ sealed, packetId }) => vault.openSeed({ sealed, bound: idBytes(packetId) }),
  };
}

/** A seed is sealed for one packet: moved to another row it does not open. */
function idBytes(id: Id): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, id, true);
  return bytes;
}
