/** `./hongbao cluster` on real servers: what it prints is there, and Ctrl-C or `down` ends it all. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSetNode } from '../../lib/runtime/grpc.ts';

const MAIN = resolve(import.meta.dirname, '../../ops/main.ts');

let dir: string;
const started: Up[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hongbao-cluster-'));
});
afterEach(async () => {
  for (const up of started.splice(0)) await up.kill();
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
});

/** One `cluster up` on this test's directory. */
class Up {
  out = '';
  err = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(...args: readonly string[]) {
    this.#child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', MAIN, 'cluster', 'up', `--data=${dir}`, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#ended = once(this.#child, 'close');
    this.#child.stdout?.on('data', (text) => {
      this.out += text;
    });
    this.#child.stderr?.on('data', (text) => {
      this.err += text;
    });
    started.push(this);
  }

  async ready(): Promise<void> {
    while (!this.out.includes('is ready')) {
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.err}`);
      await sleep(10);
    }
  }

  /** The exit status. */
  async end(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  /** Ctrl-C. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGINT');
    return this.end();
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  get dsns(): string[] {
    return [...this.out.matchAll(/^set \d+ replica \d+ (\S+)$/gm)].map(([, dsn = '']) => dsn);
  }

  get pids(): number[] {
    return [...this.out.matchAll(/^process (\d+) /gm)].map(([, pid]) => Number(pid));
  }

  addressOf(node: string): string {
    return new RegExp(`^process \\d+ ${node} (\\S+)$`, 'm').exec(this.out)?.[1] ?? '';
  }
}

function areAlive(pids: readonly number[]): boolean[] {
  return pids.map((pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  });
}

describe('--replicas-only', () => {
  test('three servers with the databases of the Sets; ended in order, and the data stays', async () => {
    const first = new Up('--replicas-only', '--sets=2');
    await first.ready();
    const { dsns, pids } = first;
    expect(dsns).toHaveLength(6);
    expect(new Set(dsns).size).toBe(6);
    expect(areAlive(pids)).toEqual([true, true, true]);
    for (const dsn of dsns) {
      const connection = await createConnection(dsn);
      await connection.query('CREATE TABLE kept (n INT PRIMARY KEY)');
      connection.destroy();
    }
    const second = new Up('--replicas-only');
    expect(await second.end()).toBe(1);
    expect(second.err).toContain('data_in_use');
    expect(await first.stop()).toBe(0);
    expect(areAlive(pids)).toEqual([false, false, false]);

    const again = new Up('--replicas-only', '--sets=1');
    await again.ready();
    expect(again.dsns).toEqual(dsns);
    const connection = await createConnection(dsns[5] ?? '');
    expect((await connection.query('SELECT * FROM kept'))[0]).toEqual([]);
    connection.destroy();
    // Not in order: the data must bear that, and nothing may stay behind.
    await again.kill();
    while (areAlive(again.pids).includes(true)) await sleep(5);
  });
});

describe('--set-only', () => {
  test('one node leads, the other stands by; both and the reconciler end with it', async () => {
    const up = new Up('--set-only', '--sets=1');
    await up.ready();
    expect(areAlive(up.pids)).toEqual(Array.from({ length: 6 }, () => true));
    expect((await readdir(dir)).toSorted()).toEqual(
      expect.arrayContaining(['keys', 'topology.json', 'set1-node0.log', 'set1-node1.log']),
    );
    const clients = ['set1-node0', 'set1-node1'].map((node) => openSetNode(up.addressOf(node)));
    try {
      for (;;) {
        const states = await Promise.all(clients.map((client) => client.status()));
        const roles = states.map(({ role }) => role).toSorted();
        if (roles.join() === 'following,leading') break;
        await sleep(20);
      }
    } finally {
      for (const client of clients) client.close();
    }
    expect(await up.stop()).toBe(0);
    expect(areAlive(up.pids)).toEqual(Array.from({ length: 6 }, () => false));
    expect(up.err).not.toContain('ended');
  });
});

/** Another terminal: `cluster status` or `cluster down` on the same directory. */
async function ask(action: 'status' | 'down'): Promise<{ status: number | null; out: string }> {
  const args = [MAIN, 'cluster', action, `--data=${dir}`];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args]);
  let out = '';
  child.stdout.on('data', (text) => {
    out += text;
  });
  await once(child, 'close');
  return { status: child.exitCode, out };
}

describe('all of it', () => {
  test('two doors, two reconcilers that hear each other over NATS, one auditor; status sees, down ends', async () => {
    const up = new Up('--sets=1');
    await up.ready();
    const { pids } = up;
    expect(areAlive(pids)).toEqual(Array.from({ length: 11 }, () => true));
    const [first = '', second = ''] = ['access1', 'access2'].map((name) => up.addressOf(name));
    const answer = await fetch(`${first}/v1/dev/token`, { method: 'POST', body: '{"userId":"a"}' });
    expect(answer.status).toBe(200);
    expect((await fetch(`${second}/`)).headers.get('content-type')).toContain('text/html');
    for (let metrics = ''; !/^hongbao_settle_members 2$/m.test(metrics); await sleep(50)) {
      metrics = await (await fetch(up.addressOf('reconciler2'))).text();
      expect(metrics).toMatch(/^hongbao_bus_connected [01]$/m);
    }
    expect(await (await fetch(up.addressOf('reconciler2'))).text()).not.toContain('hongbao_audit');
    const audited = /^hongbao_audit_lsn\{set="1"\} [1-9]/m;
    for (let metrics = ''; !audited.test(metrics); await sleep(50)) {
      metrics = await (await fetch(up.addressOf('auditor'))).text();
      // It carries nothing, and knows who does.
      expect(metrics).not.toContain('hongbao_settle_oldest_seconds');
    }
    const all = await ask('status');
    expect([all.status, all.out.match(/^running /gm)?.length]).toEqual([0, 12]);

    const door = Number(/^process (\d+) access1 /m.exec(up.out)?.[1]);
    process.kill(door, 'SIGKILL');
    while (areAlive([door]).includes(true)) await sleep(5);
    const fewer = await ask('status');
    expect([fewer.status, fewer.out.match(/^ended .*$/gm)]).toEqual([
      1,
      [`ended   ${door} access1 ${first}`],
    ]);
    expect((await ask('down')).status).toBe(0);
    expect(await up.end()).toBe(0);
    expect(areAlive(pids)).toEqual(Array.from({ length: 11 }, () => false));
    expect((await ask('status')).status).toBe(1);
  });
});

test('what is wrong with the call is said', async () => {
  const calls = [['away'], ['--replicas-only', '--set-only'], ['--replicas-only', '--sets=0']];
  const ends = calls.map((args) => new Up(...args).end());
  expect(await Promise.all(ends)).toEqual([2, 2, 2]);
});
