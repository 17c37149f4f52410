import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GENERATOR = join(ROOT, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js');
/** lib/runtime/grpc.ts loads with the same choices: else the types lie. */
const FLAGS = [
  '--longs=String',
  '--enums=String',
  '--defaults',
  '--oneofs',
  '--bytes=Buffer',
  '--grpcLib=@grpc/grpc-js',
  '--importFileExtension=.ts',
];

function files(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => name.endsWith('.ts'))
      .toSorted()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

test('proto/gen is what the generator makes of proto/hongbao.proto', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hb-proto-'));
  try {
    const args = [GENERATOR, ...FLAGS, `--outDir=${folder}`, 'proto/hongbao.proto'];
    execFileSync(process.execPath, args, { cwd: ROOT, stdio: 'pipe' });
    const made = files(folder);
    expect(made.size).toBeGreaterThan(20);
    expect(files(join(ROOT, 'proto/gen'))).toEqual(made);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
