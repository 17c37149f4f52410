import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Result } from '../cli.ts';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** What a proof ran on: figures mean nothing without it. */
type Machine = {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
};

function machine(): Machine {
  const all = cpus();
  return {
    cores: all.length,
    cpu: all[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
  };
}

/** The commit, with `+changes` when the tree differs from it; `unknown` without git. */
async function commit(): Promise<string> {
  try {
    const head = (await run('git', ['rev-parse', 'HEAD'], { cwd: ROOT })).stdout.trim();
    const status = await run('git', ['status', '--porcelain'], { cwd: ROOT });
    return status.stdout.trim() === '' ? head : `${head}+changes`;
  } catch {
    return 'unknown';
  }
}

/**
 * Writes `docs/proofs/NAME.json` (or into `dir`): the result, what it ran on and when.
 * @returns the path
 */
export async function writeProof(args: {
  readonly name: string;
  readonly result: Result;
  readonly dir?: string;
}): Promise<string> {
  const { name, result, dir = join(ROOT, 'docs/proofs') } = args;
  const proof = {
    ...result,
    commit: await commit(),
    machine: machine(),
    at: new Date().toISOString(),
  };
  await mkdir(dir, { recursive: true });
  const path = join(dir, `${name}.json`);
  await writeFile(path, `${JSON.stringify(proof, null, 2)}\n`);
  return path;
}
