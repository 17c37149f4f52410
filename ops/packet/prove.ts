/** `./hongbao prove packet-verify`: every share again, and every lie that was planted. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { asId } from '../../lib/core/ids.ts';
import { decodeOps } from '../../reconciler/audit/decode.ts';
import { setOf } from '../../reconciler/audit/words.ts';
import { plansOf } from '../audit/plans.ts';
import type { Result } from '../cli.ts';
import { figure, resultOf } from '../cli.ts';
import { EmbeddedProcess } from '../prove/embedded.ts';
import { changesOf } from './changes.ts';
import type { Dealt } from './deal.ts';
import { deal } from './deal.ts';
import { openJournals } from './journals.ts';
import type { Tamper } from './tamper.ts';
import { TAMPERS, tampered } from './tamper.ts';
import { AllPackets } from './verify-all.ts';

const PACKETS = 1_000;
/** Packets that each lie is told of. */
const LIES = 20;
const SETS = 2;
const DEMO_CENTS = 10_000_000;
/** Kinds with their strategies (6), timings (2) and ends (2). */
const SORTS = 24;

export type PacketProof = {
  readonly result: Result;
  readonly findings: readonly string[];
  readonly keptDir: string | null;
};

/** Deals `packets`, verifies all, then lies of `lies` packets in each way; each must be found, alone. */
export async function provePacketVerify(args: {
  packets?: number;
  lies?: number;
  seed: number;
  say: (line: string) => void;
}): Promise<PacketProof> {
  const { packets = PACKETS, lies = LIES, seed, say } = args;
  const dataDir = await mkdtemp(join(tmpdir(), 'hb-packet-verify-'));
  const random = new SeededRandom(seed);
  const startMs = performance.now();
  const dealt = await dealInto({ dataDir, packets, random });
  say(`${dealt.packets} packets, ${dealt.opens} shares, all ended`);
  const journals = await readAll(dataDir);
  const verifyMs = performance.now();
  const all = verify([...journals.values()].flat());
  const verifySeconds = (performance.now() - verifyMs) / 1_000;
  const findings = all.faults.map(({ packetId, what }) => `packet ${packetId}: ${what}`);
  say(`${all.endedCount} packets recomputed in ${verifySeconds.toFixed(2)} s`);
  const told = tellLies({ journals, random, lies });
  findings.push(...told.findings);
  for (const [tamper, count] of told.found) say(`${tamper}: ${count} lies, all found`);
  const result = resultOf({
    name: 'prove packet-verify',
    held: findings.length === 0,
    figures: [
      figure({
        name: 'ended packets recomputed',
        value: all.endedCount,
        unit: 'packets',
        goal: { atLeast: packets },
      }),
      figure({ name: 'shares recomputed', value: all.shares, unit: 'shares' }),
      figure({
        name: 'kinds, strategies, timings and ends',
        value: all.ended.size,
        unit: 'sorts',
        goal: { atLeast: SORTS },
      }),
      figure({
        name: 'wrong packets of an honest journal',
        value: all.wrongPackets.size,
        unit: 'packets',
        goal: { atMost: 0 },
      }),
      figure({
        name: 'lies found',
        value: told.count,
        unit: 'lies',
        goal: { atLeast: lies * TAMPERS.length },
      }),
      figure({
        name: 'honest packets accused',
        value: told.accused,
        unit: 'packets',
        goal: { atMost: 0 },
      }),
      figure({
        name: 'packets recomputed a second',
        value: Math.round(all.endedCount / verifySeconds),
        unit: '1/s',
      }),
      figure({
        name: 'wall time',
        value: Math.round((performance.now() - startMs) / 100) / 10,
        unit: 's',
      }),
    ],
    conditions: {
      seed,
      sets: SETS,
      ended: Object.fromEntries(all.ended),
      lies: Object.fromEntries(told.found),
    },
  });
  if (!result.ok) return { result, findings, keptDir: dataDir };
  await rm(dataDir, { recursive: true, force: true });
  return { result, findings, keptDir: null };
}

async function dealInto(args: {
  dataDir: string;
  packets: number;
  random: SeededRandom;
}): Promise<Dealt> {
  const { dataDir, packets, random } = args;
  const process = await EmbeddedProcess.start({
    dataDir,
    args: [`--sets=${SETS}`, `--demo-cents=${DEMO_CENTS}`],
  });
  try {
    return await deal({ process, packets, random });
  } finally {
    await process.stop();
  }
}

async function readAll(dataDir: string): Promise<Map<number, Entry[]>> {
  const topologyFile = join(dataDir, 'topology.json');
  const journals = await openJournals(await plansOf({ topologyFile, dataDir, password: '' }));
  try {
    const all = new Map<number, Entry[]>();
    for (const journal of journals) {
      const entries: Entry[] = [];
      for await (const entry of journal.entries()) entries.push(entry);
      all.set(journal.setId, entries);
    }
    return all;
  } finally {
    await Promise.all(journals.map((journal) => journal.close()));
  }
}

function verify(entries: readonly Entry[]): AllPackets {
  const all = new AllPackets();
  for (const entry of entries) all.add(entry);
  return all;
}

type Lies = {
  readonly count: number;
  readonly accused: number;
  readonly found: ReadonlyMap<Tamper, number>;
  readonly findings: readonly string[];
};

function tellLies(args: {
  journals: ReadonlyMap<number, readonly Entry[]>;
  random: SeededRandom;
  lies: number;
}): Lies {
  const { journals, random, lies } = args;
  const found = new Map<Tamper, number>();
  const findings: string[] = [];
  let accused = 0;
  const packets = [...journals].flatMap(([, entries]) =>
    packetsOf(entries).map((packetId) => ({ packetId, entries })),
  );
  for (const tamper of TAMPERS) {
    // Not every packet has room for every lie: one share cannot be swapped.
    for (let tries = 0; (found.get(tamper) ?? 0) < lies && tries < packets.length; tries++) {
      const { packetId, entries } = packets[random.below(packets.length)] ?? NOTHING;
      const lie = tampered(entries, { packetId: asId(packetId), tamper });
      if (lie === null) continue;
      const wrong = verify(lie).wrongPackets;
      if (wrong.has(String(packetId))) found.set(tamper, (found.get(tamper) ?? 0) + 1);
      else findings.push(`${tamper} of packet ${packetId} (Set ${setOf(packetId)}) was not found`);
      accused += wrong.size - (wrong.has(String(packetId)) ? 1 : 0);
    }
  }
  const count = [...found.values()].reduce((sum, one) => sum + one, 0);
  return { count, accused, found, findings };
}

const NOTHING = { packetId: 0n, entries: [] };

function packetsOf(entries: readonly Entry[]): bigint[] {
  const ids = entries.flatMap((entry) =>
    decodeOps(entry).flatMap((op) => changesOf(op, entry.ts).map(({ packetId }) => packetId)),
  );
  return [...new Set(ids)];
}
