/**
 * Rules versions (rulings 8): what a payload may hold and what its commands mean. The `format` of
 * an entry is the version that its Set was at when it was sealed; the decoders of a version stay as
 * long as there are entries of it.
 *
 * 1: the first. 2: `group.leave` may carry a command id. 3: payments, freezing, adjusting, and a
 * daily tally of what a person sent.
 */
export const RULES_MIN = 1;
/** The newest version that this build reads and writes. */
export const RULES_MAX = 3;

/** What a Set is at, or is about to be at, cannot be read by this build: final, nothing is written. */
export class NodeTooOld extends Error {
  override readonly name = 'NodeTooOld';
  readonly setId: number;
  readonly lsn: number;
  readonly rules: number;

  constructor(where: { setId: number; lsn: number; rules: number; rulesMax: number }) {
    const { setId, lsn, rules, rulesMax } = where;
    super(
      `Set ${setId}, LSN ${lsn}: rules ${rules}, and this node reads up to rules ${rulesMax}: ` +
        'this node is too old for the Set, nothing was changed',
    );
    this.setId = setId;
    this.lsn = lsn;
    this.rules = rules;
  }
}
