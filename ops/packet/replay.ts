/** Reads the journals for one packet and holds what they say against everybody who says it, too. */
import type { TopologyRouter } from '../../router/router.ts';
import { setOf } from '../../reconciler/audit/words.ts';
import type { LeaderView, TableCheck } from './compare.ts';
import { checkTables, leaderDifferences } from './compare.ts';
import type { SetJournal } from './journals.ts';
import type { Where } from './live.ts';
import { askLeader, connectToLeaders } from './live.ts';
import type { Rebuilt } from './rebuild.ts';
import { faultsOf, rebuild } from './rebuild.ts';
import type { Step } from './record.ts';
import { FlightRecorder } from './record.ts';
import type { Told } from './timeline.ts';
import { inOrder, tell } from './timeline.ts';

/** A leader answers of what replicas say to be committed a moment later. */
const TRIES = 20;
const PAUSE_MS = 100;

export type Flight = {
  readonly packetId: string;
  readonly steps: readonly Told[];
  /** As the journals end; null: its owner never had it. */
  readonly packet: Rebuilt | null;
  /** Transfers without a receipt yet. */
  readonly onTheirWay: readonly string[];
};

export type Checked = Flight & {
  readonly tables: readonly TableCheck[];
  readonly leader: 'equal' | 'different' | 'away';
  /** Everything that does not fit; empty: all of them say the same. */
  readonly findings: readonly string[];
};

/** The journals alone. Rejects with JournalProblem or NotTheFormat. */
export async function fly(
  journals: readonly SetJournal[],
  recorder: FlightRecorder,
): Promise<Flight> {
  for (const journal of journals) {
    for await (const entry of journal.entries()) recorder.add(entry);
  }
  return flightOf(recorder);
}

function flightOf(recorder: FlightRecorder): Flight {
  const { packetId, steps, owed } = recorder;
  const packet = rebuild(stepsOfOwner(recorder), {
    throughLsn: Number.MAX_SAFE_INTEGER,
    wrong: () => undefined,
  });
  return {
    packetId: String(packetId),
    steps: tell(inOrder(steps)),
    packet,
    onTheirWay: [...owed],
  };
}

function stepsOfOwner({ packetId, steps }: FlightRecorder): readonly Step[] {
  return steps.filter(({ setId }) => setId === setOf(packetId));
}

/** The flight, and whether shares, transfers, tables and the leader fit it. A leader that does not run is not asked. */
export async function replay(args: {
  journals: readonly SetJournal[];
  packetId: bigint;
  where: Where;
}): Promise<Checked> {
  const { journals, packetId, where } = args;
  const recorder = new FlightRecorder(packetId);
  await fly(journals, recorder);
  const findings: string[] = [];
  const owner = journals.find(({ setId }) => setId === setOf(packetId));
  const at = (throughLsn: number): Rebuilt | null =>
    rebuild(stepsOfOwner(recorder), { throughLsn, wrong: () => undefined });
  let leader: Checked['leader'] = 'away';
  const sender = recorder.asked[0]?.sender ?? at(Number.MAX_SAFE_INTEGER)?.definition.sender;
  const router = await connectToLeaders(where);
  if (router !== null && owner !== undefined && sender !== undefined) {
    const said = await compareLeader({ owner, recorder, router, sender, at });
    leader = said.leader;
    findings.push(...said.findings);
  }
  await router?.close();
  const tables: TableCheck[] = [];
  for (const reader of owner?.readers ?? []) {
    // The journal may be read a moment before the tables: it is read on as far as they show.
    const check = async (): Promise<TableCheck> => checkTables({ reader, packetId, at });
    let one = await check();
    if (owner !== undefined && one.projectedLsn > owner.limit) {
      await readOn(owner, recorder);
      one = await check();
    }
    tables.push(one);
    for (const what of one.differences) {
      findings.push(`I11 ${one.where}, tables at LSN ${one.projectedLsn}: ${what}`);
    }
  }
  rebuild(stepsOfOwner(recorder), {
    throughLsn: Number.MAX_SAFE_INTEGER,
    wrong: (what) => findings.push(what),
  });
  const flight = flightOf(recorder);
  if (flight.packet !== null) findings.push(...faultsOf(flight.packet));
  findings.push(...transferFaults(recorder));
  return { ...flight, tables, leader, findings };
}

async function readOn(journal: SetJournal, recorder: FlightRecorder): Promise<void> {
  await journal.refresh();
  for await (const entry of journal.entries()) recorder.add(entry);
}

/** A leader that is busy with this very packet is asked again. */
async function compareLeader(args: {
  owner: SetJournal;
  recorder: FlightRecorder;
  router: TopologyRouter;
  sender: string;
  at: (throughLsn: number) => Rebuilt | null;
}): Promise<{ leader: Checked['leader']; findings: string[] }> {
  const { owner, recorder, router, sender, at } = args;
  const { packetId } = recorder;
  let findings: string[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const view = await askLeader({ router, set: owner.setId, packetId, sender });
    if (view === null) return { leader: 'away', findings: [] };
    await readOn(owner, recorder);
    if (owner.limit < view.asOfLsn) {
      findings = [`the leader is at LSN ${view.asOfLsn}, replicas say ${owner.limit} is committed`];
    } else {
      findings = differencesFrom({ view, recorder, owner, at });
      if (findings.length === 0) return { leader: 'equal', findings };
    }
    await new Promise((resolve) => {
      setTimeout(resolve, PAUSE_MS);
    });
  }
  return { leader: 'different', findings: findings.map((what) => `Q1 the leader: ${what}`) };
}

/** The state at the answer's LSN, or at one behind it: opens of that moment may be in the answer. */
function differencesFrom(args: {
  view: LeaderView;
  recorder: FlightRecorder;
  owner: SetJournal;
  at: (throughLsn: number) => Rebuilt | null;
}): string[] {
  const { view, recorder, owner, at } = args;
  const later = stepsOfOwner(recorder)
    .map(({ lsn }) => lsn)
    .filter((lsn) => lsn > view.asOfLsn && lsn <= owner.limit);
  let first: string[] | null = null;
  for (const lsn of [view.asOfLsn, ...new Set(later)]) {
    const due = at(lsn);
    if (due === null) continue;
    const differences = leaderDifferences(view, due);
    if (differences.length === 0) return [];
    first ??= differences;
  }
  return first ?? ['it has a packet that the journal has not'];
}

/** Money that left arrives as it left, and the owner made what its sender asked for (M8). */
function transferFaults(recorder: FlightRecorder): string[] {
  const { steps, asked, owed } = recorder;
  const faults: string[] = [];
  const arrivals = new Map<string, Step>();
  for (const step of steps) {
    if (step.because === null || step.kind === 'receipt' || step.status === 'duplicate') continue;
    const before = arrivals.get(step.because);
    if (before !== undefined) faults.push(`M8 ${step.kind} ${step.because} was applied twice`);
    arrivals.set(step.because, step);
  }
  for (const { change, sent, who, lsn } of steps) {
    if (change?.kind === 'create') {
      const isAsked = asked.some(
        ({ bytes }) => Buffer.compare(bytes, change.definition.bytes) === 0,
      );
      if (!isAsked) faults.push('M8 its sender asked for another packet than its owner made');
    }
    if (change === null || change.kind === 'create') continue;
    const cents = change.kind === 'open' ? change.amountCents : change.refundCents;
    const [name = ''] = sent;
    const arrival = arrivals.get(name);
    const what = `M8 ${change.kind} of LSN ${lsn}`;
    if (sent.length !== 1) faults.push(`${what} sends ${sent.length} transfers`);
    else if (arrival === undefined && !owed.has(name)) faults.push(`${what}: ${name} is nowhere`);
    else if (arrival !== undefined && arrival.amountCents !== cents) {
      faults.push(`${what}: ${cents} cents left, ${arrival.amountCents} arrived`);
    } else if (arrival !== undefined && change.kind === 'open' && arrival.who !== who) {
      faults.push(`${what}: it went to ${arrival.who}, not to ${who}`);
    }
  }
  return faults;
}
