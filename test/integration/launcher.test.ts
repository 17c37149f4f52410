/**
 * The launcher, on this checkout, and on a small one with an npm and a Node of its own that only
 * write down what is asked of them: no network, no waiting.
 */
import { execFile } from 'node:child_process';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 20_000;

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}
interface Start {
  readonly file: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The user id to run as; only root may choose. */
  readonly user?: number;
}

function start(what: Start): Promise<Outcome> {
  const { file, args = [], cwd = '/', env = process.env, user } = what;
  const identity = user === undefined ? {} : { uid: user, gid: user };
  return new Promise((done) => {
    const options = { cwd, env, timeout: TIMEOUT_MS, ...identity };
    const child = execFile(file, args, options, (_, out, err) => {
      done({ status: child.exitCode, out, err });
    });
  });
}

/** Root may write anywhere, so a test of what may not be written gives that up. */
const NOBODY = process.getuid?.() === 0 ? 65_534 : undefined;

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(`${tmpdir()}/hongbao launcher-`);
});
afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

describe('this checkout', () => {
  test('starts from another folder, through a chain of symbolic links', async () => {
    await symlink(join(ROOT, 'hongbao'), join(scratch, 'one link'));
    await symlink('one link', join(scratch, 'two links'));
    const outcome = await start({ file: './two links', args: ['--help'], cwd: scratch });
    expect(outcome).toMatchObject({ status: 0, err: '' });
    expect(outcome.out).toContain('./hongbao VERB');
  });

  test.each([
    [['no-such-verb'], 'unknown verb'],
    [['--no-such-flag'], 'unknown flag'],
    [['lock', '--no-such-flag'], 'unknown flag'],
    [[], './hongbao VERB'],
  ])('%j: help on standard error, status 2', async (args, message) => {
    const outcome = await start({ file: join(ROOT, 'hongbao'), args });
    expect(outcome).toMatchObject({ status: 2, out: '' });
    expect(outcome.err).toContain(message);
    expect(outcome.err).toContain('./hongbao ');
  });
});

const NPM = `#!/bin/sh
# Writes down the call, then does what npm would leave behind, or fails as told.
echo "$1 \${npm_fails:-}" >>"$calls"
if [ "\${npm_fails:-}" = "$1" ]; then echo "npm error code $npm_code" >&2; exit 1; fi
sleep "\${npm_seconds:-0}"
case $* in
  *--prefix*)
    for word; do case $word in node-*@*) name=\${word%@*} ;; esac; done
    mkdir -p ".runtime/node_modules/$name/bin"
    cp "$node_stub" ".runtime/node_modules/$name/bin/node"
    ;;
  *) mkdir -p node_modules ;;
esac
`;
const NODE = `#!/bin/sh
if [ "$1" = --version ]; then echo "\${node_version:-v22.23.3}"; exit 0; fi
printf '%s|' "$@"
`;

describe('a bare checkout', () => {
  let checkout = '';
  let tools = '';
  let count = 0;

  beforeEach(async () => {
    const place = join(scratch, `bare ${(count += 1)}`);
    checkout = join(place, 'check out');
    tools = join(place, 'tools');
    await mkdir(checkout, { recursive: true });
    await mkdir(tools);
    await copyFile(join(ROOT, 'hongbao'), join(checkout, 'hongbao'));
    await writeFile(join(checkout, 'package.json'), '{}');
    await writeFile(join(checkout, 'package-lock.json'), '{}');
    await writeFile(join(tools, 'npm'), NPM);
    await writeFile(join(tools, 'node-stub'), NODE);
    await chmod(join(tools, 'npm'), 0o755);
    await chmod(join(tools, 'node-stub'), 0o755);
  });

  function run(
    env: NodeJS.ProcessEnv = {},
    args: readonly string[] = ['verb'],
    user?: number,
  ): Promise<Outcome> {
    return start({
      ...(user === undefined ? {} : { user }),
      file: join(checkout, 'hongbao'),
      args,
      env: {
        PATH: `${tools}:${process.env['PATH'] ?? ''}`,
        calls: join(tools, 'calls'),
        node_stub: join(tools, 'node-stub'),
        ...env,
      },
    });
  }

  async function calls(): Promise<readonly string[]> {
    const text = await readFile(join(tools, 'calls'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }

  const main = (): string => `--disable-warning=ExperimentalWarning|${checkout}/ops/main.ts|`;

  test('fetches Node, then the packages, once; standard output is left to the verb', async () => {
    const first = await run({}, ['verb', 'two words', '']);
    expect(first).toMatchObject({ status: 0, out: `${main()}verb|two words||` });
    expect(first.err).toMatch(/fetching Node 22\.23\.3.*\n.*installing packages/);
    expect(await run()).toEqual({ status: 0, out: `${main()}verb|`, err: '' });
    expect(await calls()).toEqual(['install ', 'ci ']);
  });

  test('installs again, without fetching Node, when the lock has changed', async () => {
    await run();
    await writeFile(join(checkout, 'package-lock.json'), '{"changed":true}');
    expect(await run()).toMatchObject({ status: 0 });
    expect(await calls()).toEqual(['install ', 'ci ', 'ci ']);
  });

  test('says when it falls back to an installation without the lock', async () => {
    await run();
    await writeFile(join(checkout, 'package.json'), '{"changed":true}');
    const outcome = await run({ npm_fails: 'ci', npm_code: 'EUSAGE' });
    expect(outcome).toMatchObject({ status: 0 });
    expect(outcome.err).toContain('installing without it instead');
    expect(await calls()).toEqual(['install ', 'ci ', 'ci ci', 'install ci']);
  });

  test.each([
    ['install', 'ENOTFOUND', 'Node 22.23.3 could not be fetched: the package registry cannot be'],
    ['ci', 'ECONNREFUSED', 'the packages could not be installed: the package registry cannot be'],
    ['ci', 'EINTEGRITY', 'npm error code EINTEGRITY'],
  ])('npm %s fails with %s: plain words, and the next start tries again', async (...row) => {
    const [npm_fails, npm_code, message] = row;
    const outcome = await run({ npm_fails, npm_code });
    expect(outcome).toMatchObject({ status: 1, out: '' });
    expect(outcome.err).toContain(message);
    expect(await run()).toMatchObject({ status: 0 });
  });

  test('a Node that does not run here is named', async () => {
    const outcome = await run({ node_version: 'v1.0.0' });
    expect(outcome).toMatchObject({ status: 1, out: '' });
    expect(outcome.err).toContain('does not run here');
  });

  test('several at once install once; a dead one leaves no lock that holds', async () => {
    await mkdir(join(checkout, '.runtime'));
    // Above every process id that Linux and macOS give out.
    await symlink('99999999', join(checkout, '.runtime/lock'));
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => run({ npm_seconds: '0.3' })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([0, 0, 0, 0]);
    expect(await calls()).toEqual(['install ', 'ci ']);
    expect(await run()).toMatchObject({ status: 0, err: '' });
  });

  test('without npm it says what to get', async () => {
    for (const tool of ['sh', 'uname', 'cksum', 'cat', 'mkdir', 'ln', 'rm', 'readlink']) {
      const where = await start({ file: 'sh', args: ['-c', `command -v ${tool}`] });
      await symlink(where.out.trim(), join(tools, tool));
    }
    await rm(join(tools, 'npm'));
    const outcome = await run({ PATH: tools });
    expect(outcome).toMatchObject({ status: 1, out: '' });
    expect(outcome.err).toContain('npm is missing');
  });

  test('a folder that one may not write to is named', async () => {
    await chmod(scratch, 0o755);
    await chmod(checkout, 0o555);
    const outcome = await run({}, ['verb'], NOBODY);
    await chmod(checkout, 0o755);
    expect(outcome).toMatchObject({ status: 1, out: '' });
    expect(outcome.err).toContain(`may not write to ${checkout}`);
  });
});
