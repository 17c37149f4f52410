/** The rig itself, on real servers: what it breaks is broken, and nothing outlives it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { createConnection as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startOnSmallDisk } from '../../ops/rig/full-disk.ts';
import { findUnsound, longestSilenceMs, summarize } from '../../ops/rig/history-checks.ts';
import { Recorder } from '../../ops/rig/history.ts';
import type { Operation } from '../../ops/rig/history.ts';
import { startMariaDbs } from '../../ops/rig/mariadb.ts';
import type { MariaDb } from '../../ops/rig/mariadb.ts';
import { Nats } from '../../ops/rig/nats.ts';
import { LOOPBACK } from '../../ops/rig/ports.ts';
import { ProcessFailed, RigProcess } from '../../ops/rig/process.ts';
import { Redis } from '../../ops/rig/redis.ts';
import { Rig } from '../../ops/rig/rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.open();
});
afterAll(() => rig.close());

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startMs > 15_000) throw new Error('it did not come true within 15 s');
    await sleep(5);
  }
}

describe('a process', () => {
  const shell = (script: string, readyWithinMs = 5_000): RigProcess =>
    new RigProcess({
      name: 'shell',
      command: 'sh',
      args: ['-c', script],
      logFile: join(rig.dir, 'shell.log'),
      isReady: (output) => output.includes('ready'),
      readyWithinMs,
    });

  test('one that ends or dawdles before it is ready is reported with its last words', async () => {
    const ended = shell('echo planted-reason >&2; exit 3');
    await expect(ended.start()).rejects.toThrow(/shell ended \(status 3\)[^]*planted-reason/);
    const slow = shell('echo waiting; exec sleep 60', 300);
    await expect(slow.start()).rejects.toThrow(ProcessFailed);
    expect(slow.pid).toBeNull();
    const missing = new RigProcess({
      name: 'missing',
      command: join(rig.dir, 'no-such-program'),
      args: [],
      logFile: join(rig.dir, 'missing.log'),
      isReady: () => false,
    });
    await expect(missing.start()).rejects.toThrow(ProcessFailed);
  });

  test('terminate asks, and then insists; a new run is not ready by the words of the old', async () => {
    const polite = shell('trap "exit 7" TERM; echo ready; while :; do sleep 0.02; done');
    await polite.start();
    expect(await polite.terminate()).toEqual({ status: 7, signal: null });
    const deaf = shell('trap "" TERM; echo ready; while :; do sleep 0.02; done');
    await deaf.start();
    expect(await deaf.terminate(100)).toEqual({ status: null, signal: 'SIGKILL' });
    await expect(shell('exit 1').start()).rejects.toThrow('before it was ready');
  });

  test.each([
    ['by the kernel', process.env['PATH'] ?? ''],
    ['by a watcher where there is no setpriv', ''],
  ])('its children die with a rig that is killed, %s', async (_, path) => {
    const bin = join(rig.dir, 'bin');
    if (path === '') {
      await mkdir(bin);
      for (const name of ['sh', 'sleep']) await symlink(`/bin/${name}`, join(bin, name));
    }
    const at = (file: string) => JSON.stringify(new URL(`../../ops/rig/${file}`, import.meta.url));
    const script = `
      const { Rig } = await import(${at('rig.ts')});
      const { RigProcess } = await import(${at('process.ts')});
      const rig = await Rig.open();
      const one = new RigProcess({ name: 'x', command: 'sleep', args: ['60'],
        logFile: rig.dir + '/x.log', isReady: () => true });
      await one.start();
      console.log(rig.dir + ' ' + one.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PATH: path || bin },
    });
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const [dir = '', pid = ''] = line.toString().trim().split(' ');
      expect(isAlive(Number(pid))).toBe(true);
      parent.kill('SIGKILL');
      await until(() => !isAlive(Number(pid)));
      // Another rig may have swept it away already.
      await (await Rig.open()).close();
      await expect(access(dir)).rejects.toThrow('ENOENT');
    } finally {
      parent.kill('SIGKILL');
    }
  });
});

describe('MariaDB', () => {
  let servers: MariaDb[];
  const ACCESS = { setId: 1, password: 'rig-test_1' };

  beforeAll(async () => {
    servers = await startMariaDbs({ rig, count: 3 });
  });
  const first = (): MariaDb => {
    const [server] = servers;
    if (server === undefined) throw new Error('no server');
    return server;
  };
  const rows = async (server: MariaDb): Promise<string[]> => {
    const found = await server.query('SELECT note FROM hongbao_set_1.test_note ORDER BY note');
    return found.map((row) => String(row['note']));
  };
  const table = 'CREATE TABLE test_note (note VARBINARY(64) PRIMARY KEY) ENGINE=InnoDB';

  test('three run at once, durable and with databases of their own', async () => {
    const facts = await Promise.all(
      servers.map((server) =>
        server.query(
          `SELECT @@version AS version, @@datadir AS dir, @@innodb_flush_log_at_trx_commit AS flush,
            @@tx_isolation AS isolation, @@collation_server AS collation, @@log_bin AS log,
            @@innodb_lock_wait_timeout AS wait, @@bind_address AS address`,
        ),
      ),
    );
    expect(facts.map(([row]) => row)).toEqual(
      servers.map(({ dataDir }) => ({
        version: expect.stringMatching(/^1\d\.\d+\.\d+-MariaDB/),
        dir: `${dataDir}/`,
        flush: '1',
        isolation: 'READ-COMMITTED',
        collation: 'utf8mb4_bin',
        log: '0',
        wait: '3',
        address: LOOPBACK,
      })),
    );
    expect(new Set(servers.map(({ port }) => port)).size).toBe(3);
  });

  test('the user of a Set may do everything in its database and nothing elsewhere', async () => {
    const server = first();
    const dsn = await server.createSet(ACCESS);
    expect(dsn).toBe(`mysql://s1_leader:rig-test_1@127.0.0.1:${server.port}/hongbao_set_1`);
    expect(await server.createSet(ACCESS)).toBe(dsn);
    await server.query('CREATE DATABASE hongbaoXsetX1');
    const connection = await createConnection(dsn);
    try {
      await connection.query(table);
      await connection.query("INSERT INTO test_note VALUES ('kept')");
      const denied = { errno: 1044 };
      await expect(connection.query('CREATE DATABASE other')).rejects.toMatchObject(denied);
      // An underscore that is not escaped in a grant stands for any character.
      await expect(connection.query('USE hongbaoXsetX1')).rejects.toMatchObject(denied);
    } finally {
      connection.destroy();
    }
    const wrong = dsn.replace('rig-test_1', 'guess');
    await expect(createConnection(wrong)).rejects.toMatchObject({ errno: 1045 });
  });

  test('kill -9 and a restart keep a committed row', async () => {
    const server = first();
    const before = server.pid;
    await server.kill();
    expect(server.pid).toBeNull();
    await expect(server.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.start();
    expect(server.pid).not.toBe(before);
    expect(await rows(server)).toEqual(['kept']);
  });

  test('a paused server keeps its connections and answers later', async () => {
    const server = first();
    await server.withAdmin(async (connection) => {
      await server.pause();
      let isAnswered = false;
      const answer = connection.query('SELECT 7 AS seven').then(([result]) => {
        isAnswered = true;
        return result;
      });
      await sleep(100);
      expect(isAnswered).toBe(false);
      server.resume();
      expect(await answer).toEqual([{ seven: 7 }]);
    });
    await server.pause();
    await server.restart();
    expect(await rows(server)).toEqual(['kept']);
  });

  test('an old copy comes back as it was; a wiped disk has nothing', async () => {
    const server = first();
    const copy = join(rig.dir, 'old-copy');
    await server.stop();
    await server.copyData(copy);
    await server.start();
    await server.query("INSERT INTO hongbao_set_1.test_note VALUES ('newer')");
    await server.restoreCopy(copy);
    await server.start();
    expect(await rows(server)).toEqual(['kept']);
    await server.wipe();
    await server.start();
    await expect(rows(server)).rejects.toMatchObject({ errno: 1146 });
    await server.recreateSets();
    const connection = await createConnection(server.dsnOf(ACCESS));
    await connection.query(table);
    connection.destroy();
    expect(await rows(server)).toEqual([]);
  });

  test('one bit of a stored row is turned over', async () => {
    const server = first();
    await server.query("INSERT INTO hongbao_set_1.test_note VALUES ('abc'), ('xyz')");
    const where = "note = 'abc'";
    const flip = { setId: 1, table: 'test_note', column: 'note', where };
    expect(await server.flipByte({ ...flip, at: 3 })).toBe(1);
    expect(await rows(server)).toEqual(['abb', 'xyz']);
    expect(await server.flipByte({ ...flip, at: 3 })).toBe(0);
  });

  test('a full disk refuses rows, loses none that it took, and serves again when freed', async () => {
    const { disk, server } = await startOnSmallDisk({ rig, name: 'small' });
    await server.createSet(ACCESS);
    const insert = (bytes: number) =>
      server.query('INSERT INTO hongbao_set_1.test_blob (body) VALUES (?)', [Buffer.alloc(bytes)]);
    await server.query(
      'CREATE TABLE hongbao_set_1.test_blob (id INT PRIMARY KEY AUTO_INCREMENT, body MEDIUMBLOB)',
    );
    await insert(1_000_000);
    await disk.fill();
    expect(await disk.freeBytes()).toBe(0);
    // Small ones: InnoDB 10.11 dies, after 5 s, when it has no room to roll a large one back.
    let taken = 1;
    const refused = async (): Promise<unknown> => {
      for (; taken < 1_000; taken++) await insert(1_000);
      return null;
    };
    const reason = await refused().catch((error: unknown) => error);
    expect(reason).toMatchObject({ errno: 1114 });
    await disk.free();
    await insert(1_000_000);
    await server.restart();
    const [row] = await server.query('SELECT COUNT(*) AS n FROM hongbao_set_1.test_blob');
    expect(row?.['n']).toBe(String(taken + 1));
  });
});

test('Redis keeps what it answered with `always`; NATS serves; both start empty when wiped', async () => {
  const redis = await Redis.start({ rig, name: 'redis', durable: 'always' });
  expect(await say(redis.port, 'SET k v\r\n')).toContain('+OK');
  await redis.restart();
  expect(await say(redis.port, 'GET k\r\n')).toContain('$1\r\nv');
  await redis.wipe();
  await redis.start();
  expect(await say(redis.port, 'GET k\r\n')).toContain('$-1');
  const nats = await Nats.start({ rig, name: 'nats' });
  expect(await say(nats.port, '')).toMatch(/^INFO .*"jetstream":true/);
  await nats.restart();
  expect(await say(nats.port, 'PING\r\n')).toMatch(/^INFO /);
});

/** What a server says first to these words. */
async function say(port: number, words: string): Promise<string> {
  const socket = connectTcp({ port, host: LOOPBACK });
  try {
    socket.write(words);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString();
  } finally {
    socket.destroy();
  }
}

describe('a history', () => {
  const made = (
    part: Pick<Operation, 'invokedMs' | 'endedMs' | 'end'> & { key: string; answer?: unknown },
  ): Operation => ({ number: 0, user: 'u', op: 'o', input: part.key, answer: null, ...part });
  const rules = {
    keyOf: ({ input }: Operation) => String(input),
    promiseOf: ({ answer }: Operation) => answer,
    isFinal: ({ answer }: Operation) => answer === 'never',
  };
  const at = (invokedMs: number) => ({ invokedMs, endedMs: invokedMs + 5 });

  test('a sound one has no findings', () => {
    const history = [
      made({ key: 'a', ...at(0), end: 'unknown' }),
      made({ key: 'a', ...at(10), end: 'fail', answer: 'later' }),
      made({ key: 'a', ...at(20), end: 'ok', answer: { cents: 1 } }),
      made({ key: 'a', ...at(30), end: 'ok', answer: { cents: 1 } }),
      made({ key: 'b', ...at(30), end: 'fail', answer: 'never' }),
    ];
    expect(findUnsound(history, rules)).toEqual([]);
  });

  test.each([
    ['two answers', { end: 'ok', answer: 2 } as const],
    ['ok at 5, fail at 15', { end: 'fail', answer: 'never' } as const],
  ])('finds: %s', (words, second) => {
    const history = [
      made({ key: 'a', ...at(0), end: 'ok', answer: 1 }),
      made({ key: 'a', ...at(10), ...second }),
    ];
    expect(findUnsound(history, rules)).toEqual([expect.stringContaining(words)]);
  });

  test('finds what never ended, and counts, times and silences the rest', () => {
    const recorder = new Recorder();
    recorder.invoke({ user: 'u', op: 'o', input: 'a' });
    expect(findUnsound(recorder.operations, rules)).toEqual(['o 0 of u never ended']);
    const history = [0, 10, 90, 100].map((ms) => made({ key: `${ms}`, ...at(ms), end: 'ok' }));
    history.push(made({ key: 'x', ...at(50), end: 'unknown' }));
    const span = { fromMs: 2, toMs: 110 };
    expect(longestSilenceMs(history, span)).toBe(80);
    expect(summarize(history, span)).toEqual({
      ok: 3,
      fail: 0,
      unknown: 1,
      p50Ms: 5,
      p99Ms: 5,
      worstMs: 5,
    });
  });
});

test('a rig that closes leaves neither a process nor a file', async () => {
  const other = await Rig.open();
  const [server] = await startMariaDbs({ rig: other, count: 1 });
  const pid = server?.pid ?? 0;
  expect(isAlive(pid)).toBe(true);
  expect(await readFile(join(other.dir, 'db0.log'), 'utf8')).toContain('ready for connections');
  await other.close();
  expect(isAlive(pid)).toBe(false);
  expect((await readdir(tmpdir())).map((name) => join(tmpdir(), name))).not.toContain(other.dir);
});
