import { once } from 'node:events';
import { createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

/**
 * Below the range from which Linux and macOS take the ports of outgoing connections: a server that
 * is down for a moment must find its port free when it comes back.
 */
const FIRST = 20_000;
const COUNT = 12_000;
/** Each process walks from its own place, so that two rigs hardly ever look at the same port. */
const STEP = 40;

let next = (process.pid * STEP) % COUNT;

/** A port of 127.0.0.1 that nobody listens on, given once by this process. Rejects when all are taken. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < COUNT; tried++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    if (await isFree(port)) return port;
  }
  throw new Error(`every port of ${FIRST}..${FIRST + COUNT - 1} is in use`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: LOOPBACK, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false;
    throw error;
  } finally {
    server.close();
  }
}
