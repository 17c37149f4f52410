import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nothingYet, type Findings, type Part } from './part.ts';
import type { Ended } from './processes.ts';

interface VitestPartOptions {
  readonly name: string;
  /** Projects of vitest.config.ts, each a folder under test/. */
  readonly projects: readonly string[];
  /**
   * Files at a time. 2 where tests start processes and wait for them most of the time; 1 where they
   * want the machine for themselves. Default: vitest's own.
   */
  readonly workers?: 1 | 2;
}

function vitestPart({ name, projects, workers }: VitestPartOptions): Part {
  return {
    name,
    weight: 'heavy',
    async run({ root, processes }) {
      const counts = await Promise.all(projects.map((project) => testFiles(root, project)));
      const present = projects.filter((_, index) => (counts[index] ?? 0) > 0);
      if (present.length === 0) return nothingYet(`no tests in test/${projects.join(', test/')}`);
      const folder = await mkdtemp(join(tmpdir(), 'hongbao-gate-'));
      try {
        const report = join(folder, 'report.json');
        const ended = await processes.run({
          command: 'vitest',
          args: [
            'run',
            // Read by Node itself: the usual loader writes a file beside it, and the folder may be
            // another user's.
            '--configLoader=native',
            ...present.map((project) => `--project=${project}`),
            ...(workers === undefined ? [] : [`--maxWorkers=${workers}`]),
            '--reporter=default',
            '--reporter=json',
            `--outputFile.json=${report}`,
          ],
          cwd: root,
        });
        const text = await readFile(report, 'utf8').catch(() => '');
        return countTests(text, ended);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** The parts of test/, from the fastest to the slowest; the simulator itself runs in between. */
export const QUICK_VITEST_PARTS: readonly Part[] = [
  vitestPart({ name: 'tidy', projects: ['tidy'] }),
  vitestPart({ name: 'unit', projects: ['unit', 'property', 'golden', 'sim'] }),
  vitestPart({ name: 'contract', projects: ['contract'] }),
];
export const SLOW_VITEST_PARTS: readonly Part[] = [
  vitestPart({ name: 'integration', projects: ['integration'], workers: 2 }),
  vitestPart({ name: 'browser', projects: ['browser'], workers: 1 }),
];

async function testFiles(root: string, project: string): Promise<number> {
  const files = await readdir(join(root, 'test', project), { recursive: true }).catch(() => []);
  return files.filter((file) => file.endsWith('.test.ts')).length;
}

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Counts a vitest run. Silence is a failure: no report, no test that ran, a file that could not be
 * loaded, or a bad exit status (an unhandled rejection) without a failed test.
 */
export function countTests(reportText: string, ended: Ended): Findings {
  const report = parseReport(reportText);
  if (report === undefined) {
    const output = `${ended.output}\nvitest left no report (status ${ended.status})\n`;
    return { passed: 0, failed: 1, skipped: 0, output };
  }
  const skipped = report.numPendingTests + report.numTodoTests;
  const passed = report.numPassedTests;
  const brokenFiles = report.testResults.filter(
    (file) =>
      file.status === 'failed' && file.assertionResults.every((one) => one.status !== 'failed'),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  if (failed > 0) return { passed, failed, skipped, output: ended.output };
  if (ended.status !== 0) {
    const output = `${ended.output}\nno test failed, but vitest ended with ${ended.status}\n`;
    return { passed, failed: 1, skipped, output };
  }
  if (passed === 0) {
    const output = `${ended.output}\nthere are test files, but no test ran\n`;
    return { passed, failed: 1, skipped, output };
  }
  return { passed, failed, skipped, output: ended.output };
}

function parseReport(text: string): Report | undefined {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isReport(value) ? value : undefined;
  } catch (error) {
    // A report cut short by a kill is as good as none.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isReport(value: unknown): value is Report {
  return (
    typeof value === 'object' &&
    value !== null &&
    'testResults' in value &&
    Array.isArray(value.testResults) &&
    'numPassedTests' in value &&
    typeof value.numPassedTests === 'number' &&
    'numFailedTests' in value &&
    typeof value.numFailedTests === 'number' &&
    'numPendingTests' in value &&
    typeof value.numPendingTests === 'number' &&
    'numTodoTests' in value &&
    typeof value.numTodoTests === 'number'
  );
}
