import { join } from 'node:path';
import { provision } from '../provision.ts';
import type { Part } from './part.ts';

const FOLDER = 'ops/prometheus';
const CHECKS = [
  ['check', 'rules', 'hongbao-rules.yml'],
  ['test', 'rules', 'hongbao-rules.test.yml'],
];
const TIMEOUT_MS = 20_000;

/** Prometheus's own tool reads the alerts, and plays series to them that must and must not fire. */
export const promtoolPart: Part = {
  name: 'promtool',
  weight: 'light',
  async run({ root, processes }) {
    const said: string[] = [];
    const log = (line: string): void => void said.push(line);
    const { promtool } = (await provision({ want: 'prometheus', log })).binaries;
    let passed = 0;
    for (const args of CHECKS) {
      const ended = await processes.run({
        command: promtool,
        args,
        cwd: join(root, FOLDER),
        timeoutMs: TIMEOUT_MS,
      });
      if (ended.status === 0) passed += 1;
      said.push(`promtool ${args.join(' ')}`, ended.output);
    }
    return { passed, failed: CHECKS.length - passed, skipped: 0, output: said.join('\n') };
  },
};
