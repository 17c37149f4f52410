/**
 * The search for programs, and fetching them, against a stand-in for apt-get and dpkg that can fail
 * on demand. The real ones are proved by test/browser, which unpacks a real Chromium.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { provision } from '../../ops/provision.ts';
import { ProvisionError } from '../../ops/provision/command.ts';
import { withLock } from '../../ops/provision/lock.ts';

/** Like apt-get: leaves files that lie in the working directory out of --print-uris. */
const FAKE_APT = `#!/bin/sh
echo "$@" >> "$FAKE/apt-calls"
for last; do :; done
fail() { [ -s "$FAKE/$1" ] || return 0; sed -i 1d "$FAKE/$1"; echo "E: planted" >&2; exit 100; }
case "$*" in
  *" update") fail fail-update; : > "$RUNTIME/apt/lists/example_Packages" ;;
  *" -s install "*) echo 'Inst liblzf1 (3.6 Debian [amd64])'; echo 'Conf liblzf1 (3.6)' ;;
  *--print-uris*) for p in redis-server redis-tools liblzf1; do
      [ -f "$p.deb" ] || echo "'http://example.invalid/$p.deb' $p.deb 1000000 SHA256:00"; done ;;
  *" download "*) sleep 0.1
      echo redis-server > redis-server.deb; echo redis-tools > redis-tools.deb
      fail fail-download; echo liblzf1 > liblzf1.deb ;;
  *) echo "E: what is $*" >&2; exit 100 ;;
esac
`;

/** The server refuses to start without its library, as a real one does. */
const FAKE_DPKG = `#!/bin/sh
package=$(cat "$2") && mkdir -p "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu" || exit 1
[ "$package" = "$(cat "$FAKE/fail-unpack" 2>/dev/null)" ] && exit 2
case "$package" in
  redis-server) cp "$FAKE/redis-server" "$3/usr/bin/" ;;
  liblzf1) echo library > "$3/usr/lib/x86_64-linux-gnu/liblzf.so.1" ;;
esac
`;

const FAKE_REDIS = `#!/bin/sh
for dir in $(echo "$LD_LIBRARY_PATH" | tr : ' '); do
  [ -f "$dir/liblzf.so.1" ] && echo 'Redis server v=7' && exit 0
done
echo 'error while loading shared libraries: liblzf.so.1' >&2; exit 127
`;

let dir: string;
let fake: string;
let runtime: string;
let env: Record<string, string>;
let lines: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hongbao-provision-'));
  fake = join(dir, 'fake');
  runtime = join(dir, 'runtime');
  await mkdir(fake);
  await writeProgram(join(fake, 'apt-get'), FAKE_APT);
  await writeProgram(join(fake, 'dpkg'), FAKE_DPKG);
  await writeProgram(join(fake, 'redis-server'), FAKE_REDIS);
  lines = [];
  env = {
    PATH: `${fake}:/usr/bin:/bin`,
    FAKE: fake,
    RUNTIME: runtime,
    HONGBAO_RUNTIME: 'private',
    HONGBAO_RUNTIME_DIR: runtime,
  };
});
afterEach(async () => rm(dir, { recursive: true, force: true }));

async function writeProgram(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  await chmod(file, 0o755);
}

function redis(extra: Record<string, string> = {}) {
  const log = (line: string) => lines.push(line);
  return provision({ want: 'redis', log, env: { ...env, ...extra }, retryDelayMs: 10 });
}

async function aptCalls(what: string): Promise<number> {
  const text = await readFile(join(fake, 'apt-calls'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line.includes(` ${what}`)).length;
}

describe('the order of the search', () => {
  test('a program named by its variable comes first', async () => {
    const file = join(fake, 'redis-server');
    const found = await redis({ HONGBAO_REDIS_SERVER: file });
    expect(found).toMatchObject({ source: 'environment', root: null, env: {} });
    expect(found.binaries['redis-server']).toBe(file);
  });

  test('a variable that names nothing is an error, not a reason to search on', async () => {
    const wrong = redis({ HONGBAO_REDIS_SERVER: join(fake, 'nothing'), HONGBAO_RUNTIME: '' });
    await expect(wrong).rejects.toThrow(/HONGBAO_REDIS_SERVER names .*nothing/);
    await expect(redis({ HONGBAO_REDIS_SERVER: fake })).rejects.toThrow('no executable file');
  });

  test('PATH comes next, and is ignored when private is wanted', async () => {
    const onPath = await redis({ HONGBAO_RUNTIME: '' });
    expect(onPath).toMatchObject({ source: 'path', root: null, env: {} });
    expect(onPath.binaries['redis-server']).toBe(join(fake, 'redis-server'));
    expect(await aptCalls('')).toBe(0);
    expect((await redis()).source).toBe('private');
  });

  test('a set is never half from PATH and half unpacked', async () => {
    await writeProgram(join(fake, 'mariadbd'), FAKE_REDIS);
    const bin = join(dir, 'empty');
    await mkdir(bin);
    const lonely = { ...env, HONGBAO_RUNTIME: '', PATH: `${bin}:${fake}` };
    const half = provision({ want: 'mariadb', log: () => {}, env: lonely, retryDelayMs: 10 });
    await expect(half).rejects.toThrow(/apt-get install mariadb-server-core mariadb-client-core/);
  });

  test('an unknown HONGBAO_RUNTIME is refused', async () => {
    await expect(redis({ HONGBAO_RUNTIME: 'privat' })).rejects.toThrow("'privat'");
  });
});

describe('unpacking', () => {
  test('fetches what the machine lacks, once', async () => {
    const first = await redis();
    const root = join(runtime, 'root-redis');
    expect(first).toMatchObject({ source: 'private', root });
    expect(first.binaries['redis-server']).toBe(join(root, 'usr/bin/redis-server'));
    expect(first.env['LD_LIBRARY_PATH']).toBe(join(root, 'usr/lib/x86_64-linux-gnu'));
    const calls = await aptCalls('');
    expect(calls).toBe(4);
    expect(await redis()).toEqual(first);
    expect(await aptCalls('')).toBe(calls);
    expect(await readdir(join(runtime, 'apt'))).not.toContain('archives-root-redis');
  });

  test('only a simulation is ever asked to install', async () => {
    await redis();
    expect(await aptCalls('install')).toBe(1);
    expect(await aptCalls('-s install')).toBe(1);
  });

  test('the directories that a caller already needs stay on the library path', async () => {
    const { env: result } = await redis({ LD_LIBRARY_PATH: '/opt/lib' });
    expect(result['LD_LIBRARY_PATH']).toMatch(/x86_64-linux-gnu:\/opt\/lib$/);
  });

  test('two at once: one fetches, the other waits for it', async () => {
    const [one, other] = await Promise.all([redis(), redis()]);
    expect(one).toEqual(other);
    expect(await aptCalls('update')).toBe(1);
  });

  test('each network step is tried twice', async () => {
    await writeFile(join(fake, 'fail-update'), 'once\n');
    await writeFile(join(fake, 'fail-download'), 'once\n');
    expect((await redis()).source).toBe('private');
    expect(await aptCalls('update')).toBe(2);
    expect(lines.filter((line) => line.includes('E: planted'))).toHaveLength(2);
  });

  test('without a network the error says what to install, and nothing half-done stays', async () => {
    await writeFile(join(fake, 'fail-update'), 'once\ntwice\n');
    const attempt = redis();
    await expect(attempt).rejects.toThrow(ProvisionError);
    await expect(attempt).rejects.toThrow(
      /redis is missing .*E: planted.* apt-get install redis-server redis-tools.*HONGBAO_REDIS_SERVER/,
    );
    expect(await readdir(runtime)).not.toContain('root-redis');
  });

  test('a source that fails does not matter while there are package lists', async () => {
    await redis();
    await rm(join(runtime, 'root-redis'), { recursive: true });
    await writeFile(join(fake, 'fail-update'), 'once\ntwice\n');
    expect((await redis()).source).toBe('private');
    expect(lines.join('\n')).toContain('going on with the package lists at hand');
  });

  test('a machine without apt-get is told so', async () => {
    await rm(join(fake, 'apt-get'));
    const attempt = redis({ PATH: fake });
    await expect(attempt).rejects.toThrow(/there is no apt-get on this machine/);
  });

  test('an interrupted download is taken up again', async () => {
    await writeFile(join(fake, 'fail-download'), 'once\ntwice\n');
    await expect(redis()).rejects.toThrow('E: planted');
    // Two of three archives lie there now, as after a kill.
    expect(await readdir(join(runtime, 'apt/archives-root-redis'))).toHaveLength(2);
    expect((await redis()).source).toBe('private');
    expect(await readdir(join(runtime, 'root-redis/usr/bin'))).toEqual(['redis-server']);
  });

  test('an interrupted unpacking leaves no root', async () => {
    await writeFile(join(fake, 'fail-unpack'), 'liblzf1\n');
    await expect(redis()).rejects.toThrow('redis is missing');
    expect(await readdir(runtime)).not.toContain('root-redis');
    await writeFile(join(runtime, 'root-redis.partial/left-over'), '');
    await rm(join(fake, 'fail-unpack'));
    expect((await redis()).source).toBe('private');
    expect(await readdir(join(runtime, 'root-redis'))).not.toContain('left-over');
  });

  test('packages whose program does not start are refused', async () => {
    await writeProgram(join(fake, 'redis-server'), '#!/bin/sh\necho planted-crash >&2; exit 3\n');
    await expect(redis()).rejects.toThrow('planted-crash');
    expect(await readdir(runtime)).not.toContain('root-redis');
  });
});

describe('the stamp', () => {
  const stampFile = () => join(runtime, 'root-redis/.stamp.json');
  const changeStamp = async (change: Record<string, string>) => {
    const stamp: object = JSON.parse(await readFile(stampFile(), 'utf8'));
    await writeFile(stampFile(), JSON.stringify({ ...stamp, ...change }));
  };

  test('a root made for another system is made anew', async () => {
    await redis();
    await changeStamp({ made: 'elsewhere' });
    await redis();
    expect(await aptCalls('update')).toBe(2);
    await writeFile(stampFile(), '{"made":');
    await redis();
    expect(await aptCalls('update')).toBe(3);
  });

  test('a root carried to a machine with other packages stays if it runs there', async () => {
    await redis();
    await changeStamp({ installed: 'elsewhere' });
    await redis();
    expect(await aptCalls('update')).toBe(1);
    expect(await readFile(stampFile(), 'utf8')).not.toContain('elsewhere');
  });

  test('… and is made anew if it does not', async () => {
    await redis();
    await changeStamp({ installed: 'elsewhere' });
    await rm(join(runtime, 'root-redis/usr/lib/x86_64-linux-gnu/liblzf.so.1'));
    await redis();
    expect(await aptCalls('update')).toBe(2);
  });
});

test('the lock keeps others out, and is free again after kill -9 of its holder', async () => {
  const file = join(dir, 'lock');
  const lockModule = new URL('../../ops/provision/lock.ts', import.meta.url).href;
  const script =
    `const { withLock } = await import(${JSON.stringify(lockModule)});` +
    `await withLock({ file: ${JSON.stringify(file)}, waitMs: 5000, log() {},` +
    ` body: () => new Promise((done) => { console.log('held'); setTimeout(done, 60000); }) });`;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'exit');
  try {
    await once(holder.stdout, 'data');
    const body = async () => 'mine';
    await expect(withLock({ file, waitMs: 1_000, log: () => {}, body })).rejects.toThrow(
      'could not be locked within 1 s',
    );
    holder.kill('SIGKILL');
    await ended;
    expect(await withLock({ file, waitMs: 5_000, log: () => {}, body })).toBe('mine');
  } finally {
    holder.kill('SIGKILL');
  }
}, 20_000);
