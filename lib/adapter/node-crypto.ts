import { createCipheriv, createDecipheriv, createHmac, hash } from 'node:crypto';
import { assert } from '../core/assert.ts';
import type { Crypto } from '../port/crypto.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** SHA-256 by OpenSSL: what servers pass where lib/core takes a hash. */
export function sha256(bytes: Uint8Array): Uint8Array {
  // A copy, because small Buffers share one pool and a clone of one to a worker clones the pool.
  return new Uint8Array(hash('sha256', bytes, 'buffer'));
}

/** OpenSSL behind the port (SPEC section CR). `seedKey` is this cluster's, never a client's. */
export function makeCrypto(keys: { seedKey: Uint8Array; clusterSecret: Uint8Array }): Crypto {
  assert(keys.seedKey.length === KEY_BYTES, 'a seed key has 32 bytes');
  assert(keys.clusterSecret.length === KEY_BYTES, 'a cluster secret has 32 bytes');
  const seedKey = new Uint8Array(keys.seedKey);
  const clusterSecret = new Uint8Array(keys.clusterSecret);
  const grantKeys = new Map<number, Uint8Array>();

  function grantKey(setId: number): Uint8Array {
    assert(Number.isInteger(setId) && setId >= 0 && setId <= 1023, 'a Set number is 0..1023');
    let key = grantKeys.get(setId);
    if (key === undefined) {
      const mac = createHmac('sha256', clusterSecret).update('grant', 'ascii');
      key = new Uint8Array(mac.update(Uint8Array.of(setId & 0xff, setId >> 8)).digest());
      grantKeys.set(setId, key);
    }
    return key.slice();
  }

  return {
    sha256,
    sealSeed: (args) => sealSeed(seedKey, args),
    openSeed: (args) => openSeed(seedKey, args),
    grantKey,
  };
}

function sealSeed(
  key: Uint8Array,
  { seed, nonce, bound }: { seed: Uint8Array; nonce: Uint8Array; bound: Uint8Array },
): Uint8Array {
  assert(nonce.length === NONCE_BYTES, 'a nonce has 12 bytes');
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(bound);
  const sealed = new Uint8Array(NONCE_BYTES + seed.length + TAG_BYTES);
  sealed.set(nonce);
  sealed.set(cipher.update(seed), NONCE_BYTES);
  cipher.final();
  sealed.set(cipher.getAuthTag(), NONCE_BYTES + seed.length);
  return sealed;
}

function openSeed(
  key: Uint8Array,
  { sealed, bound }: { sealed: Uint8Array; bound: Uint8Array },
): Uint8Array {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('sealed seed is too short');
  const tagAt = sealed.length - TAG_BYTES;
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), options);
  decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(tagAt));
  const seed = new Uint8Array(decipher.update(sealed.subarray(NONCE_BYTES, tagAt)));
  try {
    decipher.final();
  } catch (cause) {
    throw new Error('sealed seed was touched or bound to something else', { cause });
  }
  return seed;
}
