/** Losable memory (SPEC section CA): may forget anything at any time, never answers with another key's value. */
export interface Cache {
  /** [CA1] null when never set, forgotten or older than its time to live. */
  get(key: string): Promise<Uint8Array | null>;
  /** [CA2] Lives at most `ttlMs`. A full cache forgets the least recently used. */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
  delete(key: string): Promise<void>;
  /** [CA3] Adds a member that lives `ttlMs` to a set and returns how many distinct members live in it now. */
  addMember(key: string, member: string, ttlMs: number): Promise<number>;
  removeMember(key: string, member: string): Promise<void>;
  close(): Promise<void>;
}
