import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Part } from './lifecycle.ts';
import type { RuntimeMetrics } from './metrics.ts';
import { processMetrics } from './metrics.ts';

/**
 * `GET /metrics` on the loopback, for tiers that have no HTTP server of their own, with `/healthz`
 * (200 while the process lives) and `/readyz` (200 while `isReady`, else 503), and one JSON document
 * at each path of `documents`. `port` 0 chooses one. Rejects when the port is taken.
 */
export async function serveMetrics(args: {
  port: number;
  metrics: RuntimeMetrics;
  /** Default: always. */
  isReady?: () => boolean;
  /** By path; null: there is none just now (503). */
  documents?: Readonly<Record<string, () => object | null>>;
}): Promise<Part & { readonly port: number }> {
  const { metrics, isReady = () => true, documents = {} } = args;
  const refresh = processMetrics(metrics);
  const server = createServer((request, response) => {
    const path = request.method === 'GET' ? request.url : null;
    if (path === '/healthz') return void response.writeHead(200).end('ok\n');
    if (path === '/readyz') {
      const ready = isReady();
      return void response.writeHead(ready ? 200 : 503).end(ready ? 'ready\n' : 'not ready\n');
    }
    const document = Object.hasOwn(documents, path ?? '') ? documents[path ?? ''] : undefined;
    if (document !== undefined) {
      const found = document();
      const head = { 'content-type': 'application/json' };
      return void response.writeHead(found === null ? 503 : 200, head).end(JSON.stringify(found));
    }
    if (path !== '/metrics') return void response.writeHead(404).end();
    refresh();
    metrics.expose().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(args.port, '127.0.0.1', resolve);
  });
  return {
    name: 'metrics',
    // Listening on an address and port: never a pipe's text.
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
