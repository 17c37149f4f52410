/** Real Redis servers on 127.0.0.1. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../provision/command.ts';
import { provision } from '../provision.ts';
import { freePort, LOOPBACK } from './ports.ts';
import { RigProcess } from './process.ts';
import type { Rig } from './rig.ts';
import { RigServer } from './server.ts';

const READY = 'Ready to accept connections';

export type RedisOptions = {
  readonly rig: Rig;
  /** Also the name of its directory below the rig's. */
  readonly name: string;
  readonly port?: number;
  /** `always`: an append-only file, on the disk before the answer. `off`: memory only (usual). */
  readonly durable?: 'always' | 'off';
  readonly args?: readonly string[];
  readonly log?: Log;
};

export class Redis extends RigServer {
  /** Starts it, with the data that is there. Throws ProvisionError or ProcessFailed. */
  static async start(options: RedisOptions): Promise<Redis> {
    const { rig, name, durable = 'off', args = [], log = () => undefined } = options;
    const found = await provision({ want: 'redis', log });
    const port = options.port ?? (await freePort());
    const dataDir = join(rig.dir, name, 'data');
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const aof = durable === 'always' ? ['yes', '--appendfsync', 'always'] : ['no'];
    const process = new RigProcess({
      name: `Redis ${name}`,
      command: found.binaries['redis-server'],
      args: [
        ...['--port', String(port), '--bind', LOOPBACK, '--dir', dataDir],
        ...['--save', '', '--appendonly', ...aof],
        ...args,
      ],
      env: found.env,
      logFile: join(rig.dir, `${name}.log`),
      isReady: (output) => output.includes(READY),
    });
    const server = rig.own(new Redis({ name, port, dataDir, process }));
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://${LOOPBACK}:${this.port}`;
  }
}
