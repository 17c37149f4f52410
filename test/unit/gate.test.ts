import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runGate, summaryLine } from '../../ops/gate/gate.ts';
import { oneTest, type Part } from '../../ops/gate/part.ts';
import { Processes } from '../../ops/gate/processes.ts';
import { countTests } from '../../ops/gate/vitest-parts.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(`${tmpdir()}/hongbao-gate-test-`);
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

function part(name: string, run: Part['run'], weight: Part['weight'] = 'heavy'): Part {
  return { name, weight, run };
}

async function gate(parts: readonly Part[], timeoutMs = 10_000) {
  let printed = '';
  const print = (text: string): void => {
    printed += text;
  };
  const result = await runGate({ root, parts, timeoutMs, print, progress: () => {} });
  return { ...result, printed, line: summaryLine(result) };
}

describe('runGate', () => {
  test('adds the parts up and prints a line for each', async () => {
    const found = await gate([
      part('quick', async () => oneTest(true, ''), 'light'),
      part('slow', async () => ({ passed: 3, failed: 0, skipped: 2, output: 'quiet' })),
    ]);
    expect(found.ok).toBe(true);
    expect(found.line).toBe('4 passed, 0 failed, 2 skipped');
    expect(found.printed).toMatch(/^pass {2}quick .* 1 passed\npass {2}slow .* 3 passed, 2 skip/);
    expect(found.printed).not.toContain('quiet');
  });

  test('shows what failed; a part that throws has failed, and the rest still runs', async () => {
    const found = await gate([
      part('broken', () => Promise.reject(new Error('out of paper'))),
      part('wrong', async () => oneTest(false, 'a tab in line 7')),
      part('fine', async () => oneTest(true, '')),
    ]);
    expect(found.ok).toBe(false);
    expect(found.line).toBe('1 passed, 2 failed, 0 skipped');
    expect(found.printed).toContain('out of paper');
    expect(found.printed).toContain('a tab in line 7');
  });

  test('nothing passed is not a success', async () => {
    const found = await gate([
      part('empty', async () => ({ passed: 0, failed: 0, skipped: 1, output: '' })),
    ]);
    expect(found.ok).toBe(false);
  });

  test('its watchdog stops a hanging part, fails it, and skips the rest', async () => {
    const found = await gate(
      [
        part('hangs', async ({ processes }) => {
          const { status } = await processes.run({ command: 'sleep', args: ['60'], cwd: root });
          return oneTest(status === 0, '');
        }),
        part('later', async () => oneTest(true, '')),
      ],
      100,
    );
    expect(found.ok).toBe(false);
    expect(found.line).toBe('0 passed, 1 failed, 1 skipped');
    expect(found.printed).toContain('stopped after 0.1 s while running: hangs');
  });
});

describe('Processes', () => {
  test('reports status and both outputs, and a missing command', async () => {
    const processes = new Processes();
    const script = 'echo out; echo err >&2; exit 3';
    const ended = await processes.run({ command: 'sh', args: ['-c', script], cwd: root });
    expect(ended.status).toBe(3);
    expect(ended.output).toContain('out\n');
    expect(ended.output).toContain('err\n');
    const missing = await processes.run({ command: 'no-such-tool', args: [], cwd: root });
    expect(missing.status).not.toBe(0);
    expect(missing.output).toContain('no-such-tool');
  });

  test('kills what a command leaves behind, and what takes too long', async () => {
    const processes = new Processes();
    const script = 'sleep 60 & echo $!';
    const { output } = await processes.run({ command: 'sh', args: ['-c', script], cwd: root });
    const orphan = Number(output);
    expect(orphan).toBeGreaterThan(1);
    expect(isRunning(process.pid)).toBe(true);
    // A signal is sent, not waited for: on a busy machine it takes effect a moment later.
    await expect.poll(() => isRunning(orphan)).toBe(false);
    const slow = { command: 'sleep', args: ['60'], cwd: root, timeoutMs: 50 };
    expect(await processes.run(slow)).toMatchObject({ status: null });
  });
});

/** Whether it runs; what is dead and only waits to be collected does not. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return (
      !existsSync('/proc/self/stat') || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    );
  } catch {
    return false;
  }
}

describe('countTests', () => {
  const report = (counts: object): string =>
    JSON.stringify({
      numPassedTests: 2,
      numFailedTests: 0,
      numPendingTests: 0,
      numTodoTests: 0,
      testResults: [],
      ...counts,
    });
  const ended = { status: 0, output: '' };

  test('counts; todo is skipped', () => {
    const text = report({ numPendingTests: 1, numTodoTests: 1 });
    expect(countTests(text, ended)).toMatchObject({ passed: 2, failed: 0, skipped: 2 });
  });

  test('a file that could not be loaded has failed', () => {
    const text = report({ testResults: [{ status: 'failed', assertionResults: [] }] });
    expect(countTests(text, { status: 1, output: '' })).toMatchObject({ passed: 2, failed: 1 });
  });

  test.each([
    ['no report', '', 0],
    ['a report cut short', '{"numPassed', 1],
    ['no test that ran', report({ numPassedTests: 0, numPendingTests: 4 }), 0],
    ['a bad end without a failed test', report({}), 1],
    ['a killed run', report({}), null],
  ])('%s has failed', (_, text, status) => {
    expect(countTests(text, { status, output: '' }).failed).toBe(1);
  });
});
