/** Real NATS servers (JetStream on) on 127.0.0.1. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../provision/command.ts';
import { provision } from '../provision.ts';
import { freePort, LOOPBACK } from './ports.ts';
import { RigProcess } from './process.ts';
import type { Rig } from './rig.ts';
import { RigServer } from './server.ts';

const READY = 'Server is ready';

export type NatsOptions = {
  readonly rig: Rig;
  /** Also the name of its directory below the rig's. */
  readonly name: string;
  readonly port?: number;
  readonly args?: readonly string[];
  readonly log?: Log;
};

export class Nats extends RigServer {
  /** Starts it, with the data that is there. Throws ProvisionError or ProcessFailed. */
  static async start(options: NatsOptions): Promise<Nats> {
    const { rig, name, args = [], log = () => undefined } = options;
    const found = await provision({ want: 'nats', log });
    const port = options.port ?? (await freePort());
    const dataDir = join(rig.dir, name, 'data');
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const process = new RigProcess({
      name: `NATS ${name}`,
      command: found.binaries['nats-server'],
      args: [
        ...['--addr', LOOPBACK, '--port', String(port), '--jetstream', '--store_dir', dataDir],
        ...args,
      ],
      env: found.env,
      logFile: join(rig.dir, `${name}.log`),
      isReady: (output) => output.includes(READY),
    });
    const server = rig.own(new Nats({ name, port, dataDir, process }));
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://${LOOPBACK}:${this.port}`;
  }
}
