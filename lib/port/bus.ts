/** A doorbell between tiers (SPEC section BU): may lose, repeat and reorder; safety never rests on it. */
export interface Bus {
  /** [BU1] Resolves when handed over, not when received. Subjects are ASCII words joined by dots. */
  publish(subject: string, payload: Uint8Array): Promise<void>;
  /** [BU2] `subject` may end in `.>` for everything below. Handlers never stop the bus by throwing. */
  subscribe(
    subject: string,
    handler: (subject: string, payload: Uint8Array) => void,
  ): Promise<Subscription>;
  /** [BU3] After close nothing is delivered any more. */
  close(): Promise<void>;
}

export interface Subscription {
  unsubscribe(): Promise<void>;
}
