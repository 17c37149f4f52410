import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Part } from './lifecycle.ts';
import type { RuntimeMetrics } from './metrics.ts';
import { processMetrics } from './metrics.ts';

/**
 * `GET /metrics` on the loopback, for tiers that have no HTTP server of their own. `port` 0 chooses
 * one. Rejects when the port is taken.
 */
export async function serveMetrics(args: {
  port: number;
  metrics: RuntimeMetrics;
}): Promise<Part & { readonly port: number }> {
  const { metrics } = args;
  const refresh = processMetrics(metrics);
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
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
