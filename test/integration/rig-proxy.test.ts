/** Faults of a line: what two ends see of a cut, a delay, a reset and a refusal. */
import { once } from 'node:events';
import { createConnection as connectTcp, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, LOOPBACK } from '../../ops/rig/ports.ts';
import { Proxy } from '../../ops/rig/proxy.ts';
import { Rig } from '../../ops/rig/rig.ts';

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startMs > 15_000) throw new Error('it did not come true within 15 s');
    await sleep(5);
  }
}

describe('a proxy', () => {
  let rig: Rig;
  let echo: Server;
  let proxy: Proxy;
  const onServer = new Set<Socket>();

  beforeAll(async () => {
    rig = await Rig.open();
    echo = createServer((socket) => {
      onServer.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => onServer.delete(socket));
      socket.on('data', (bytes) => socket.write(bytes));
    });
    const serverPort = await freePort();
    echo.listen(serverPort, LOOPBACK);
    await once(echo, 'listening');
    proxy = await Proxy.open({ rig, serverPort });
  });
  afterAll(async () => {
    echo.close();
    for (const socket of onServer) socket.destroy();
    await rig.close();
  });

  /** A client, what it got so far, and how it ended. */
  async function client() {
    const socket = connectTcp({ port: proxy.port, host: LOOPBACK, noDelay: true });
    const seen = { text: '', error: '', isOver: false };
    socket.setEncoding('utf8').on('data', (text: string) => {
      seen.text += text;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      seen.error = error.code ?? '';
    });
    socket.on('close', () => {
      seen.isOver = true;
    });
    await new Promise((resolve) => {
      socket.once('connect', resolve).once('close', resolve);
    });
    return { socket, seen };
  }

  test('passes on bytes and ends, and counts', async () => {
    const { socket, seen } = await client();
    const large = 'x'.repeat(3_000_000);
    socket.end(large);
    await until(() => seen.isOver);
    expect(seen).toEqual({ text: large, error: '', isOver: true });
    await until(() => proxy.counters.open === 0);
    expect(proxy.counters).toEqual({
      accepted: 1,
      open: 0,
      failed: 0,
      bytesToServer: 3_000_000,
      bytesToClient: 3_000_000,
    });
  });

  test.each(['to-server', 'to-client', 'both'] as const)('cut %s: silence', async (direction) => {
    const { socket, seen } = await client();
    socket.write('before,');
    await until(() => seen.text === 'before,');
    const before = proxy.counters;
    proxy.cut(direction);
    socket.write('during');
    const late = await client();
    late.socket.write('late');
    await sleep(60);
    expect(seen).toEqual({ text: 'before,', error: '', isOver: false });
    expect(late.seen).toEqual({ text: '', error: '', isOver: false });
    const arrived = proxy.counters.bytesToServer - before.bytesToServer;
    expect(arrived).toBe(direction === 'to-client' ? 'duringlate'.length : 0);
    await proxy.heal();
    await until(() => seen.text === 'before,during' && late.seen.text === 'late');
    socket.destroy();
    late.socket.destroy();
    await until(() => proxy.counters.open === 0);
  });

  test('an end during a cut is seen after it', async () => {
    const { socket, seen } = await client();
    await until(() => onServer.size === 1);
    proxy.cut('to-client');
    for (const each of onServer) each.destroy();
    await sleep(60);
    expect(seen.isOver).toBe(false);
    await proxy.heal();
    await until(() => seen.isOver);
    socket.destroy();
  });

  test('a cut holds a bounded part of what is sent', async () => {
    const { socket, seen } = await client();
    socket.write('a');
    await until(() => seen.text === 'a');
    proxy.cut('to-server');
    const whole = 32_000_000;
    socket.write('b'.repeat(whole));
    await sleep(100);
    expect(socket.writableLength).toBeGreaterThan(0);
    await proxy.heal();
    await until(() => seen.text.length === whole + 1);
    socket.destroy();
  });

  test('delay: each way, in order', async () => {
    const { socket, seen } = await client();
    proxy.delay(80);
    const startMs = performance.now();
    socket.write('1');
    setTimeout(() => socket.write('2'), 20);
    await until(() => seen.text === '12');
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThan(2 * 80 - 2);
    expect(tookMs).toBeLessThan(2_000);
    await proxy.heal();
    socket.destroy();
  });

  test('reset breaks what is open; refuse turns away what is new', async () => {
    const { socket, seen } = await client();
    socket.write('x');
    await until(() => seen.text === 'x');
    proxy.reset();
    await until(() => seen.isOver && onServer.size === 0);
    expect(seen.error).toBe('ECONNRESET');
    const open = await client();
    proxy.refuse();
    expect((await client()).seen.error).toBe('ECONNREFUSED');
    open.socket.write('still');
    await until(() => open.seen.text === 'still');
    await proxy.heal();
    const back = await client();
    back.socket.write('back');
    await until(() => back.seen.text === 'back');
    open.socket.destroy();
    back.socket.destroy();
  });
});
