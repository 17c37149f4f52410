import { parentPort, workerData } from 'node:worker_threads';
import { MUTANTS } from './mutant/mutants.ts';
import { plant } from './mutant/plant.ts';
import type { PoolReply, PoolRequest } from './pool.ts';

// A thread of the pool: it plants its mutant, and only then loads the code under test.

const { mutant: name } = workerData as { mutant: string | null };
if (parentPort === null) throw new Error('this file is a thread, not a program');
const port = parentPort;
if (name !== null) {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
  plant(mutant);
}
const { simulate } = await import('./simulate.ts');

async function answer({ options }: PoolRequest): Promise<PoolReply> {
  try {
    return { type: 'result', result: await simulate(options) };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { type: 'error', message };
  }
}

port.on('message', (request: PoolRequest) => {
  void answer(request).then((reply) => port.postMessage(reply));
});
