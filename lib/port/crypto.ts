/** Fast hashing and sealed seeds for servers (SPEC section CR). Synchronous and deterministic, so the state machine may use it. */
export interface Crypto {
  /** [CR1] SHA-256; equal to lib/core/sha256 for all bytes. */
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** [CR2] AES-256-GCM: nonce (12) ‖ ciphertext ‖ tag (16); `bound` is authenticated with it. */
  sealSeed(args: { seed: Uint8Array; nonce: Uint8Array; bound: Uint8Array }): Uint8Array;
  /** [CR3] The pair of sealSeed; throws when the bytes were touched. */
  openSeed(args: { sealed: Uint8Array; bound: Uint8Array }): Uint8Array;
  /** [CR4] Key for grants and invitations of one group Set, 32 bytes; every Set can derive every other's. */
  grantKey(setId: number): Uint8Array;
}
