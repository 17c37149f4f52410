import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { toHex } from '../../lib/core/bytes.ts';
import type { PoolOptions, SimEnd, SimJob } from './pool.ts';
import { runWalks } from './pool.ts';
import { failureOf, FailureReports } from './report.ts';
import type { SimTotals } from './simulate.ts';
import { NO_TOTALS, plus } from './totals.ts';

/** What many walks of one world came to. */
export type Campaign = {
  /** Walks that came to an end, with or without a violation. */
  readonly walks: number;
  readonly totals: SimTotals;
  /** What did not hold, in the order of the ends. */
  readonly failures: readonly { readonly job: SimJob; readonly failure: string }[];
  /** SHA-256 over the hashes of all walks in the order of their seeds, in hex. */
  readonly hash: string;
  /** Wall time. */
  readonly seconds: number;
};

export type CampaignOptions = Omit<PoolOptions, 'ended'> & {
  /** Called for each walk, with its number from 1. */
  readonly ended?: (end: SimEnd, walk: number) => void;
  /** Takes the lines that tell of a failure: without its trace when all traces are kept. */
  readonly say: (line: string) => void;
};

/** Walks all jobs, adds them up, and tells of each failure as it comes. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const { ended, say, mutant = null, keepTraces: brief = false } = options;
  const begun = performance.now();
  const reports = new FailureReports({ mutant, brief });
  const failures: { job: SimJob; failure: string }[] = [];
  const hashes: { seed: number; hash: string }[] = [];
  let totals = NO_TOTALS;
  let walks = 0;
  await runWalks({
    ...options,
    ended: (end) => {
      walks += 1;
      const { job } = end;
      if (end.kind === 'walked') {
        totals = plus(totals, end.result.totals);
        hashes.push({ seed: job.seed, hash: end.result.hash });
      }
      ended?.(end, walks);
      const failure = failureOf(end);
      if (failure !== null) {
        failures.push({ job, failure });
        for (const line of reports.linesOf(end, failure)) say(line);
      }
    },
  });
  const inOrder = hashes.toSorted((a, b) => a.seed - b.seed).map(({ hash }) => hash);
  const hash = toHex(sha256(Buffer.from(inOrder.join('\n'))));
  return { walks, totals, failures, hash, seconds: (performance.now() - begun) / 1_000 };
}

/** One job for each seed from `from` to `to`, both included. */
export function* jobsOf(
  range: { readonly from: number; readonly to: number },
  job: Omit<SimJob, 'seed'>,
): Generator<SimJob> {
  for (let seed = range.from; seed <= range.to; seed++) yield { ...job, seed };
}
