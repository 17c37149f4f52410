/** Chance (SPEC section RA). */
export interface Random {
  /** [RA1] Unpredictable bytes. */
  bytes(size: number): Uint8Array;
  /** [RA2] Uniform in [0, n), n in 1..2^32. For jitter and choice, never for money. */
  below(n: number): number;
}
