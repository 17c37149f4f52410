import { dirname } from 'node:path';
import { rounded } from '../../bench/statistics.ts';
import { runAudit } from '../../audit/audit.ts';
import { findingText } from '../../audit/findings.ts';
import { plansOf } from '../../audit/plans.ts';
import type { Findings } from '../findings.ts';
import type { MoneyCluster } from './cluster.ts';

export type Audited = {
  readonly differences: number;
  readonly rows: number;
  readonly rowsPerS: number;
};

/** What `./hongbao audit` says of the same servers: every difference is a finding. */
export async function auditAll(args: {
  readonly cluster: MoneyCluster;
  readonly findings: Findings;
}): Promise<Audited> {
  const { cluster, findings } = args;
  const { topologyFile, password } = cluster;
  const dataDir = dirname(topologyFile);
  const report = await runAudit({ plans: await plansOf({ topologyFile, dataDir, password }) });
  for (const one of report.findings.kept) findings.break(`audit: ${findingText(one)}`);
  // A part that was not looked at, or a replica that lags: neither may be when nothing moves.
  for (const note of report.findings.notes) findings.break(`audit: ${note}`);
  const { rows, seconds } = report;
  return { differences: report.findings.total, rows, rowsPerS: rounded(rows / seconds, 0) };
}
