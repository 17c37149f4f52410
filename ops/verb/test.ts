import { resolve } from 'node:path';
import { figure, JSON_FLAG, parseArgs, printResult, resultOf, usageOf, type Verb } from '../cli.ts';
import { PARTS, runGate, summaryLine } from '../gate/gate.ts';

const NAME = 'test';
const SUMMARY = 'run the gate: types, lint, format, tidy and every test';
/** What the gate may take at this stage of the project. */
const GOAL_SECONDS = 300;
const FLAGS = {
  part: {
    kind: 'list',
    value: 'NAME',
    help: 'run this part only',
    choices: PARTS.map(({ name }) => name),
  },
  json: JSON_FLAG,
} as const;

/** `./hongbao test`: the one gate, the same on a laptop and in CI. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    notes: ['Ends with a line `N passed, N failed, N skipped`; exit 1 when anything failed.'],
  }),
  async run(args) {
    const { flags } = parseArgs({ args, flags: FLAGS });
    const chosen = new Set(flags.part);
    const result = await runGate({
      root: resolve(import.meta.dirname, '../..'),
      parts: PARTS.filter(({ name }) => chosen.size === 0 || chosen.has(name)),
      print: (text) => process.stdout.write(text),
      progress: (line) => process.stderr.write(`${line}\n`),
    });
    console.log(`\ngate took ${result.seconds.toFixed(1)} s`);
    console.log(summaryLine(result));
    if (flags.json) {
      const seconds = round(result.seconds);
      const whole = chosen.size === 0;
      printResult(
        resultOf({
          name: NAME,
          held: result.ok,
          figures: [
            figure({ name: 'tests passed', value: result.passed, unit: '1' }),
            figure({ name: 'tests failed', value: result.failed, unit: '1' }),
            figure({ name: 'tests skipped', value: result.skipped, unit: '1' }),
            whole
              ? figure({ name: 'gate', value: seconds, unit: 's', goal: { atMost: GOAL_SECONDS } })
              : figure({ name: 'gate', value: seconds, unit: 's' }),
            ...result.parts.map((part) =>
              figure({ name: `part ${part.name}`, value: round(part.seconds), unit: 's' }),
            ),
          ],
          conditions: { node: process.version, platform: `${process.platform}-${process.arch}` },
        }),
      );
    }
    return result.ok ? 0 : 1;
  },
};

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
