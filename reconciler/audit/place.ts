import { Violation } from './violation.ts';

/** Where in a journal an op stands: what every broken rule is reported with. */
export class Place {
  readonly setId: number;
  readonly lsn: number;
  /** Log time of the entry, milliseconds. */
  readonly ts: number;
  /** Which op of the entry, from 0; null for the entry itself. */
  op: number | null = null;

  constructor(entry: { readonly setId: number; readonly lsn: number; readonly ts: number }) {
    this.setId = entry.setId;
    this.lsn = entry.lsn;
    this.ts = entry.ts;
  }

  /** To be thrown: `rule` is a number of docs/SPEC.md or of an invariant. */
  broken(rule: string, what: string): Violation {
    const op = this.op === null ? '' : `, op ${this.op}`;
    return new Violation(`${rule} Set ${this.setId}, LSN ${this.lsn}${op}: ${what}`);
  }
}
