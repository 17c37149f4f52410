/** A line between two processes that can be hurt: one TCP proxy per link, on 127.0.0.1. */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { freePort, LOOPBACK } from './ports.ts';
import { Lane } from './proxy-lane.ts';
import type { LaneFaults } from './proxy-lane.ts';
import type { Rig } from './rig.ts';

/** More than any pool of ours opens; beyond it a link is broken, not busy. */
const LINKS_MAX = 4_096;

export type Direction = 'both' | 'to-server' | 'to-client';

export type ProxyCounters = {
  /** Connections taken so far, and how many of them are open. */
  readonly accepted: number;
  readonly open: number;
  /** Connections that the server refused or the limit turned away. */
  readonly failed: number;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
};

type Link = { readonly client: Socket; server: Socket | null; readonly lanes: Lane[] };

/**
 * Faults last until `heal`. It runs in the process that made it, so a process that is busy delays
 * what goes through. A server that refuses looks, through a proxy, like one that resets.
 */
export class Proxy {
  /** Where clients connect. */
  readonly port: number;
  readonly #serverPort: number;
  readonly #toServer: LaneFaults = { isCut: false, delayMs: 0, bytes: 0 };
  readonly #toClient: LaneFaults = { isCut: false, delayMs: 0, bytes: 0 };
  readonly #links = new Set<Link>();
  #listener: Server | null = null;
  #accepted = 0;
  #failed = 0;

  private constructor(args: { port: number; serverPort: number }) {
    this.port = args.port;
    this.#serverPort = args.serverPort;
  }

  static async open(options: {
    readonly rig: Rig;
    /** Where the server listens on 127.0.0.1; it need not yet. */
    readonly serverPort: number;
    /** Usually a free one. */
    readonly port?: number;
  }): Promise<Proxy> {
    const { rig, serverPort } = options;
    const proxy = new Proxy({ port: options.port ?? (await freePort()), serverPort });
    await proxy.#listen();
    return rig.own(proxy);
  }

  get counters(): ProxyCounters {
    return {
      accepted: this.#accepted,
      open: this.#links.size,
      failed: this.#failed,
      bytesToServer: this.#toServer.bytes,
      bytesToClient: this.#toClient.bytes,
    };
  }

  /**
   * A black hole, in one direction or both: nothing arrives and nobody is told. New connections are
   * taken (by the kernel) and stay silent. What was sent arrives when it is healed.
   */
  cut(direction: Direction = 'both'): void {
    if (direction !== 'to-client') this.#toServer.isCut = true;
    if (direction !== 'to-server') this.#toClient.isCut = true;
    this.#pump();
  }

  /** Each way, on top of what the line takes; 0 ends it. Order is kept, throughput nearly. */
  delay(ms: number): void {
    this.#toServer.delayMs = ms;
    this.#toClient.delayMs = ms;
  }

  /** Breaks every open connection with a RST to both ends; new ones are taken. */
  reset(): void {
    for (const link of this.#links) this.#drop(link);
  }

  /** New connections are refused (nobody listens); open ones live on, unless `reset`, too. */
  refuse(): void {
    const listener = this.#listener;
    this.#listener = null;
    // It stops listening at once; its callback would wait for the open connections.
    listener?.close();
  }

  /** Ends every fault. */
  async heal(): Promise<void> {
    for (const faults of [this.#toServer, this.#toClient]) {
      faults.isCut = false;
      faults.delayMs = 0;
    }
    if (this.#listener === null) await this.#listen();
    for (const link of this.#links) if (link.server === null) this.#dial(link);
    this.#pump();
  }

  async close(): Promise<void> {
    this.refuse();
    this.reset();
  }

  async #listen(): Promise<void> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accept(client);
    });
    listener.listen({ port: this.port, host: LOOPBACK, exclusive: true });
    await once(listener, 'listening');
    this.#listener = listener;
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    client.on('error', () => undefined);
    if (this.#links.size >= LINKS_MAX) {
      this.#failed += 1;
      client.resetAndDestroy();
      return;
    }
    const link: Link = { client, server: null, lanes: [] };
    this.#links.add(link);
    client.pause();
    client.once('close', () => this.#settle(link));
    // Its first packet would be lost on the way to the server.
    if (!this.#toServer.isCut) this.#dial(link);
  }

  #dial(link: Link): void {
    const { client } = link;
    const server = connect({
      port: this.#serverPort,
      host: LOOPBACK,
      allowHalfOpen: true,
      noDelay: true,
    });
    link.server = server;
    server.once('connect', () => {
      link.lanes.push(
        new Lane({ source: client, sink: server, faults: this.#toServer }),
        new Lane({ source: server, sink: client, faults: this.#toClient }),
      );
      for (const lane of link.lanes) lane.pump();
    });
    server.on('error', () => {
      if (link.lanes.length > 0) return; // the lane tells the client, in its time
      this.#failed += 1;
      client.resetAndDestroy();
    });
    server.once('close', () => this.#settle(link));
  }

  /** Forgets a link when both of its ends are gone. */
  #settle(link: Link): void {
    if (!link.client.destroyed) return;
    if (link.server !== null && !link.server.destroyed) return;
    for (const lane of link.lanes) lane.close();
    this.#links.delete(link);
  }

  #drop(link: Link): void {
    for (const lane of link.lanes) lane.close();
    link.client.resetAndDestroy();
    link.server?.resetAndDestroy();
    this.#links.delete(link);
  }

  #pump(): void {
    for (const { lanes } of this.#links) for (const lane of lanes) lane.pump();
  }
}
