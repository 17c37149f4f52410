import type { Schema } from '../../lib/port/replica-store.ts';

/** A projector with a bug, to see what its worker does. */
export const schema: Schema = {
  tables: [],
  project: () => {
    throw new TypeError('planted');
  },
};
