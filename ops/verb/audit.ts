import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TopologyError } from '../../router/topology.ts';
import type { AuditReport } from '../audit/audit.ts';
import { runAudit } from '../audit/audit.ts';
import { findingText } from '../audit/findings.ts';
import { NothingToAudit, plansOf } from '../audit/plans.ts';
import {
  figure,
  JSON_FLAG,
  parseArgs,
  printResult,
  resultOf,
  UsageError,
  usageOf,
} from '../cli.ts';
import type { Result, Verb } from '../cli.ts';

const NAME = 'audit';
const SUMMARY = 'read every replica of every Set and hold journals, money and tables against SPEC';
const SHOWN_MAX = 20;
const FLAGS = {
  data: { kind: 'text', value: 'DIR', help: 'data directory of ./hongbao start' },
  topology: {
    kind: 'text',
    value: 'FILE',
    help: 'the topology document of a cluster; without it and --data: .data/cluster/topology.json',
  },
  set: { kind: 'integer', help: 'only this Set, and nothing between Sets', min: 0, max: 1_023 },
  'db-password-file': {
    kind: 'text',
    value: 'FILE',
    help: "the database users' password; without it HONGBAO_DB_PASSWORD, or db-password beside the topology",
  },
  json: JSON_FLAG,
} as const;

/** `./hongbao audit`: exit status 1 when anything is not as it must be. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    notes: [
      'It only reads: beside a cluster that serves, or at rest; database servers must run. While it',
      'runs they keep old versions of rows. Memory: what the books need (packets, claims, command',
      'ids, members) and a page of each journal; rows of tables pass through.',
      'Exit status: 0 when everything holds, 1 when not, or when a replica could not be read.',
    ],
  }),
  async run(args) {
    const { flags } = parseArgs({ args, flags: FLAGS });
    if (flags.data !== undefined && flags.topology !== undefined) {
      throw new UsageError('say either --data or --topology');
    }
    const dataDir = resolve(flags.data ?? '.data/cluster');
    const topologyFile = resolve(flags.topology ?? join(dataDir, 'topology.json'));
    const password = await passwordOf(flags['db-password-file'], dirname(topologyFile));
    const plans = await plansOf({ topologyFile, dataDir: dirname(topologyFile), password }).catch(
      (error: unknown) => {
        const isUse = error instanceof NothingToAudit || error instanceof TopologyError;
        throw isUse ? new UsageError(error.message) : error;
      },
    );
    const wanted = plans.filter(({ setId }) => flags.set === undefined || setId === flags.set);
    if (wanted.length === 0) throw new UsageError(`there is no Set ${flags.set}`);
    const isAlone = wanted.length < plans.length;
    const report = await runAudit({ plans: wanted, isAlone, onRows: progress() });
    const result = resultOfReport(report);
    show(report);
    if (flags.json) printResult(result);
    return result.ok ? 0 : 1;
  },
};

async function passwordOf(file: string | undefined, dir: string): Promise<string> {
  if (file !== undefined) return (await readFile(file, 'utf8')).trim();
  const given = process.env['HONGBAO_DB_PASSWORD'];
  if (given !== undefined) return given;
  // Where ./hongbao cluster keeps it.
  return (await readFile(join(dir, 'db-password'), 'utf8').catch(() => '')).trim();
}

/** On a terminal, once a second. */
function progress(): (rows: number) => void {
  if (!process.stderr.isTTY) return () => undefined;
  let last = performance.now();
  return (rows) => {
    if (performance.now() - last < 1_000) return;
    last = performance.now();
    process.stderr.write(`\r${rows} rows`);
  };
}

function resultOfReport(report: AuditReport): Result {
  const { findings, sets, money, entries, rows, seconds } = report;
  return resultOf({
    name: NAME,
    figures: [
      figure({ name: 'findings', value: findings.total, unit: '1', goal: { atMost: 0 } }),
      ...[...findings.counts].map(([name, value]) => figure({ name, value, unit: 'findings' })),
      figure({ name: 'entries', value: entries, unit: '1' }),
      figure({ name: 'rows read', value: rows, unit: '1' }),
      figure({ name: 'seconds', value: round(seconds), unit: 's' }),
      figure({ name: 'rows a second', value: Math.round(rows / seconds), unit: '1/s' }),
    ],
    conditions: { sets, money, notes: findings.notes, findings: findings.kept.slice(0, SHOWN_MAX) },
  });
}

function show(report: AuditReport): void {
  const { findings, sets, money, entries, rows, seconds } = report;
  for (const { setId, lsn, replicas } of sets) {
    console.log(`Set ${setId}: ${lsn} entries, ${replicas.length} replicas`);
  }
  const { walletsCents, packetsCents, inFlightCents, issuedCents } = money;
  console.log(
    `${walletsCents} cents in wallets, ${packetsCents} in packets, ${inFlightCents} in flight; ` +
      `${issuedCents} issued`,
  );
  const rate = Math.round(rows / seconds);
  console.log(`${rows} rows (${entries} entries) in ${round(seconds)} s, ${rate} rows/s`);
  for (const note of findings.notes) console.log(`note: ${note}`);
  const [first, ...others] = findings.kept.slice(0, SHOWN_MAX);
  if (first === undefined) {
    console.log('0 findings');
    return;
  }
  console.error(`the first of ${findings.total} findings is`);
  console.error(`  ${findingText(first)}`);
  for (const finding of others) console.error(`  ${findingText(finding)}`);
  for (const [kind, count] of findings.counts) console.error(`${count} × ${kind}`);
}

function round(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
