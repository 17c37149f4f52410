import { parentPort, workerData } from 'node:worker_threads';
import type { PoolReply, PoolRequest } from '../../ops/sim/pool.ts';
import type { SimResult } from '../../ops/sim/simulate.ts';

// Stands in for ops/sim/worker.ts: the seed says what goes wrong.

const { mutant } = workerData as { mutant: string | null };
let walks = 0;

function result({ world, seed, ops = 0 }: PoolRequest['options']): SimResult {
  walks += 1;
  const sees = (mutant === 'seen-at-2' && seed % 10 === 2) || (mutant === null && seed === 66);
  const strays = mutant === 'stray';
  return {
    world,
    seed,
    violation: sees ? 'I1 planted' : strays ? 'I9 something else' : null,
    // A world that is not repeatable: each walk of a thread has another trace.
    hash: seed === 77 ? `${seed}.${walks}.${Math.random()}` : `hash of ${world} ${seed}`,
    lines: [`walk ${walks} of this thread`, `mutant ${mutant}`],
    totals: { commands: ops, faults: 25, takeovers: 1, refunds: 1, simulatedMs: 27 * 3_600_000 },
  };
}

function answer({ options }: PoolRequest): PoolReply {
  const { seed } = options;
  if (seed === 90) return { type: 'error', message: 'the code threw' };
  if (seed === 91) for (;;);
  if (seed === 92) process.exit(3);
  if (seed === 93) throw new Error('uncaught in the thread');
  return { type: 'result', result: result(options) };
}

parentPort?.on('message', (request: PoolRequest) => {
  parentPort?.postMessage(answer(request));
});
