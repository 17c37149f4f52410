import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The value below which `share` (0..1) of the sample lies; NaN for none. Sorts a copy. */
export function quantile(sample: readonly number[], share: number): number {
  const sorted = sample.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(sample: readonly number[]): number {
  return quantile(sample, 0.5);
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** How fast this disk makes 4 KiB durable just now: durable rates mean little without it. */
export function fdatasyncRate(): number {
  const directory = mkdtempSync(join(tmpdir(), 'hb-sync-'));
  const file = openSync(join(directory, 'probe'), 'w');
  const page = Buffer.alloc(4_096, 1);
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < 500) {
    writeSync(file, page, 0, page.length, (count % 256) * page.length);
    fdatasyncSync(file);
    count += 1;
  }
  const rate = count / ((performance.now() - start) / 1_000);
  closeSync(file);
  rmSync(directory, { recursive: true });
  return rate;
}
