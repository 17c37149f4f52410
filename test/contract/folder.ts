import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new temporary folder; whoever asks for it removes it. */
export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'hongbao-contract-'));
}
