import { createHash, createHmac } from 'node:crypto';
import { expect } from 'vitest';
import { fromHex, toHex } from '../../lib/core/bytes.ts';
import { sha256 } from '../../lib/core/sha256.ts';
import type { Crypto } from '../../lib/port/crypto.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export type CryptoKeys = { readonly seedKey: Uint8Array; readonly clusterSecret: Uint8Array };

export interface CryptoWorld {
  make(keys: CryptoKeys): Crypto;
  dispose(): Promise<void>;
}

const KEYS = { seedKey: new Uint8Array(32).fill(1), clusterSecret: new Uint8Array(32).fill(2) };
const SEED = Uint8Array.from({ length: 32 }, (_, at) => at);
const NONCE = new Uint8Array(12).fill(3);
const BOUND = Uint8Array.of(7, 7);

const CRYPTO_RULES: readonly Rule<CryptoWorld>[] = [
  {
    id: 'CR1a',
    says: 'sha256 equals that of lib/core for every length up to three blocks',
    check: async (world) => {
      const crypto = world.make(KEYS);
      for (let size = 0; size <= 192; size++) {
        const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 7 + size) & 255);
        expect(toHex(crypto.sha256(bytes))).toBe(toHex(sha256(bytes)));
        expect(toHex(crypto.sha256(bytes))).toBe(createHash('sha256').update(bytes).digest('hex'));
      }
      expect(crypto.sha256(SEED).buffer.byteLength).toBe(32);
    },
  },
  {
    id: 'CR2a',
    says: 'sealing is AES-256-GCM: nonce, ciphertext, tag (NIST GCM, test case 14)',
    check: async (world) => {
      const crypto = world.make({ ...KEYS, seedKey: new Uint8Array(32) });
      const seed = new Uint8Array(16);
      const sealed = crypto.sealSeed({ seed, nonce: new Uint8Array(12), bound: new Uint8Array(0) });
      const expected = `${'00'.repeat(12)}cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919`;
      expect(sealed).toEqual(fromHex(expected));
    },
  },
  {
    id: 'CR2b',
    says: 'a sealed seed opens to the same bytes with another instance of the same key',
    check: async (world) => {
      const sealed = world.make(KEYS).sealSeed({ seed: SEED, nonce: NONCE, bound: BOUND });
      expect(sealed.length).toBe(12 + 32 + 16);
      expect(world.make(KEYS).openSeed({ sealed, bound: BOUND })).toEqual(SEED);
    },
  },
  {
    id: 'CR3a',
    says: 'a touched bit, other bound bytes, another key and a short text do not open',
    check: async (world) => {
      const crypto = world.make(KEYS);
      const sealed = crypto.sealSeed({ seed: SEED, nonce: NONCE, bound: BOUND });
      for (let at = 0; at < sealed.length; at++) {
        const touched = sealed.slice();
        touched[at] = (touched[at] ?? 0) ^ 1;
        expect(() => crypto.openSeed({ sealed: touched, bound: BOUND })).toThrow('sealed seed');
      }
      const other = world.make({ ...KEYS, seedKey: new Uint8Array(32).fill(9) });
      expect(() => other.openSeed({ sealed, bound: BOUND })).toThrow('sealed seed');
      expect(() => crypto.openSeed({ sealed, bound: SEED })).toThrow('sealed seed');
      const short = sealed.subarray(0, 27);
      expect(() => crypto.openSeed({ sealed: short, bound: BOUND })).toThrow('sealed seed');
    },
  },
  {
    id: 'CR4a',
    says: 'the grant key of a Set is HMAC-SHA-256(cluster secret, "grant" and its number)',
    check: async (world) => {
      const crypto = world.make(KEYS);
      for (const set of [0, 1, 258, 1023]) {
        const text = Buffer.concat([Buffer.from('grant'), Buffer.from([set & 255, set >> 8])]);
        const expected = createHmac('sha256', KEYS.clusterSecret).update(text).digest('hex');
        expect(toHex(crypto.grantKey(set))).toBe(expected);
      }
      crypto.grantKey(1).fill(0);
      expect(crypto.grantKey(1)).not.toEqual(new Uint8Array(32));
    },
  },
  {
    id: 'CR5a',
    says: 'keys, nonces and Set numbers of the wrong size are assertions',
    check: async (world) => {
      const crypto = world.make(KEYS);
      const seal = { seed: SEED, nonce: new Uint8Array(11), bound: BOUND };
      expect(() => crypto.sealSeed(seal)).toThrow('12 bytes');
      expect(() => crypto.grantKey(1_024)).toThrow('0..1023');
      expect(() => world.make({ ...KEYS, seedKey: new Uint8Array(16) })).toThrow('32 bytes');
      expect(() => world.make({ ...KEYS, clusterSecret: SEED.subarray(1) })).toThrow('32 bytes');
    },
  },
];

export function cryptoContract(name: string, make: () => Promise<CryptoWorld>): void {
  runRules(`crypto: ${name}`, CRYPTO_RULES, make);
}
