/** Blobs by name (SPEC section OB): media, archived segments. Names are lower-case letters, digits, `-`, `_`, `/`. */
export interface ObjectStore {
  /** [OB1] Whole or not at all; overwriting an object with other bytes is refused. */
  put(name: string, bytes: Uint8Array): Promise<'stored' | 'exists' | 'differs'>;
  /** [OB2] null when there is none. */
  get(name: string): Promise<Uint8Array | null>;
  delete(name: string): Promise<void>;
  /** [OB3] Names with this prefix in byte order, at most `limit`, after `after`. */
  list(args: { prefix: string; after?: string; limit: number }): Promise<string[]>;
}
