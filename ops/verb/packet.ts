import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HongbaoError } from '../../client/index.ts';
import { parseId } from '../../lib/core/ids.ts';
import { setOf } from '../../reconciler/audit/words.ts';
import { TopologyError } from '../../router/topology.ts';
import { NothingToAudit, plansOf } from '../audit/plans.ts';
import type { SetPlan } from '../audit/audit.ts';
import { JSON_FLAG, parseArgs, printResult, resultOf, UsageError, usageOf } from '../cli.ts';
import type { FlagValues, Verb } from '../cli.ts';
import type { SetJournal } from '../packet/journals.ts';
import { JournalProblem, openJournals } from '../packet/journals.ts';
import type { Where } from '../packet/live.ts';
import { seePacket } from '../packet/over-http.ts';
import { faultsOf } from '../packet/rebuild.ts';
import { FlightRecorder } from '../packet/record.ts';
import { fly, replay } from '../packet/replay.ts';
import { allFigures, flightLines, packetJson, packetLines, stepJson } from '../packet/report.ts';
import { AllPackets } from '../packet/verify-all.ts';

const NAME = 'packet';
const SUMMARY = 'replay, verify or show one packet from the journals';
const ACTIONS = ['replay', 'verify', 'show'] as const;
/** Exit status when nothing can be said yet. */
const NOT_YET = 3;
const FLAGS = {
  all: { kind: 'switch', help: 'verify: every ended packet of the journals' },
  data: { kind: 'text', value: 'DIR', help: 'data directory of ./hongbao start' },
  topology: {
    kind: 'text',
    value: 'FILE',
    help: 'the topology document of a cluster; without it and --data: .data/cluster/topology.json',
  },
  'db-password-file': {
    kind: 'text',
    value: 'FILE',
    help: "the database users' password; without it HONGBAO_DB_PASSWORD, or db-password beside the topology",
  },
  url: { kind: 'text', value: 'URL', help: 'verify, show: ask a server as --user, no journals' },
  user: { kind: 'text', value: 'ID', help: 'with --url: who asks; a member of the group' },
  'token-file': { kind: 'text', value: 'FILE', help: 'with --url: the token; else a dev token' },
  json: JSON_FLAG,
} as const;
type Flags = FlagValues<typeof FLAGS>;

/** `./hongbao packet replay ID`, `… verify ID`, `… verify --all`, `… show ID`. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['replay|verify|show', '[ID]'],
    notes: [
      'replay: every command of the packet in all journals, in order, the packet rebuilt from them,',
      'and whether the tables of every replica and the leader, when it runs, say the same.',
      'verify: every share again from the revealed seed, the seed hash and the definition.',
      'It reads journals only, beside a cluster that serves or at rest.',
      'Exit status: 0 when all of it fits, 1 when not or when there is no such packet, 3 from verify',
      'when nothing can be said yet: the packet is live and its seed secret, or --user may not see it.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({
      args,
      flags: FLAGS,
      positionals: ['ACTION', '[ID]'],
    });
    const [action, text] = positionals;
    if (!ACTIONS.some((one) => one === action)) {
      throw new UsageError(`${ACTIONS.join(', ')}, not '${action}'`);
    }
    if (flags.all) {
      if (action !== 'verify' || text !== undefined)
        throw new UsageError('verify --all, without ID');
      return withJournals(flags, (journals) => verifyAll(journals, flags.json));
    }
    const packetId = parseId(text ?? '');
    if (packetId === null) throw new UsageError(`'${text ?? ''}' is no packet id`);
    if (flags.url !== undefined) return overHttp({ flags, packetId, action });
    return withJournals(flags, (journals, where) => {
      if (action === 'replay') return replayOne({ journals, where, packetId, flags });
      return verifyOne({ journals, packetId, flags, isShow: action === 'show' });
    });
  },
};

async function withJournals(
  flags: Flags,
  run: (journals: readonly SetJournal[], where: Where) => Promise<number>,
): Promise<number> {
  if (flags.data !== undefined && flags.topology !== undefined) {
    throw new UsageError('say either --data or --topology');
  }
  const dataDir = resolve(flags.data ?? '.data/cluster');
  const topologyFile = resolve(flags.topology ?? join(dataDir, 'topology.json'));
  let journals: SetJournal[] = [];
  try {
    journals = await openJournals(await plansFor(flags, topologyFile));
    const topology = flags.data === undefined ? topologyFile : undefined;
    return await run(journals, { topology, data: dataDir });
  } catch (error) {
    if (!(error instanceof JournalProblem)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    await Promise.all(journals.map((journal) => journal.close()));
  }
}

async function plansFor(flags: Flags, topologyFile: string): Promise<SetPlan[]> {
  const dir = dirname(topologyFile);
  const password = await passwordOf(flags['db-password-file'], dir);
  return plansOf({ topologyFile, dataDir: dir, password }).catch((error: unknown) => {
    const isUse = error instanceof NothingToAudit || error instanceof TopologyError;
    throw isUse ? new UsageError(error.message) : error;
  });
}

async function passwordOf(file: string | undefined, dir: string): Promise<string> {
  if (file !== undefined) return (await readFile(file, 'utf8')).trim();
  const given = process.env['HONGBAO_DB_PASSWORD'];
  if (given !== undefined) return given;
  return (await readFile(join(dir, 'db-password'), 'utf8').catch(() => '')).trim();
}

function absent(packetId: bigint): number {
  console.error(`no journal has a packet ${packetId}`);
  return 1;
}

async function replayOne(args: {
  journals: readonly SetJournal[];
  where: Where;
  packetId: bigint;
  flags: Flags;
}): Promise<number> {
  const { flags, packetId } = args;
  const checked = await replay(args);
  const { steps, packet, findings, tables, leader, onTheirWay } = checked;
  if (steps.length === 0) return absent(packetId);
  for (const line of flightLines(checked)) console.log(line);
  for (const finding of findings) console.error(finding);
  const held = findings.length === 0;
  if (flags.json) {
    const conditions = {
      steps: steps.map(stepJson),
      packet: packet === null ? null : packetJson(packet),
      ...{ tables, leader, onTheirWay, findings },
    };
    const figures = [
      { name: 'steps', value: steps.length, unit: 'steps' },
      { name: 'findings', value: findings.length, unit: 'findings' },
    ];
    printResult(resultOf({ name: 'packet replay', figures, conditions, held }));
  }
  return held ? 0 : 1;
}

async function verifyOne(args: {
  journals: readonly SetJournal[];
  packetId: bigint;
  flags: Flags;
  isShow: boolean;
}): Promise<number> {
  const { journals, packetId, flags, isShow } = args;
  // The owner's journal has all of it.
  const owner = journals.filter(({ setId }) => setId === setOf(packetId));
  const { packet } = await fly(owner, new FlightRecorder(packetId));
  if (packet === null) return absent(packetId);
  const faults = faultsOf(packet);
  const isLive = packet.phase === 'live';
  if (isShow) for (const line of packetLines(packet)) console.log(line);
  for (const fault of faults) console.error(fault);
  const shares = packet.claims.length;
  if (!isShow && faults.length === 0) {
    const ended = `${packet.phase}: ${shares} shares recomputed, all as they were paid`;
    console.log(`packet ${packetId} ${isLive ? 'is still live: its seed is secret' : ended}`);
  }
  if (flags.json) {
    const figures = [
      { name: 'shares recomputed', value: isLive ? 0 : shares, unit: 'shares' },
      { name: 'faults', value: faults.length, unit: 'faults' },
    ];
    const conditions = { packet: packetJson(packet), faults };
    const held = faults.length === 0 && (isShow || !isLive);
    printResult(
      resultOf({ name: `packet ${isShow ? 'show' : 'verify'}`, figures, conditions, held }),
    );
  }
  if (faults.length > 0) return 1;
  return isLive && !isShow ? NOT_YET : 0;
}

async function verifyAll(journals: readonly SetJournal[], isJson: boolean): Promise<number> {
  const all = new AllPackets();
  for (const journal of journals) for await (const entry of journal.entries()) all.add(entry);
  for (const { packetId, setId, lsn, what } of all.faults) {
    console.error(`packet ${packetId}, Set ${setId}, LSN ${lsn}: ${what}`);
  }
  const figures = allFigures(all);
  for (const { name, value, unit } of figures) console.log(`${name}: ${value} ${unit}`);
  const conditions = { ended: Object.fromEntries(all.ended), faults: all.faults };
  const result = resultOf({ name: 'packet verify --all', figures, conditions });
  if (isJson) printResult(result);
  return result.ok ? 0 : 1;
}

async function overHttp(args: {
  flags: Flags;
  packetId: bigint;
  action: string | undefined;
}): Promise<number> {
  const { flags, packetId, action } = args;
  const { url = '', user: userId } = flags;
  if (action === 'replay') throw new UsageError('replay reads journals: --data or --topology');
  if (userId === undefined) throw new UsageError('--user is missing');
  if (!URL.canParse(url)) throw new UsageError(`--url '${url}' is no URL`);
  const file = flags['token-file'];
  const token = file === undefined ? null : (await readFile(file, 'utf8')).trim();
  try {
    const seen = await seePacket({ url, userId, token, packetId: String(packetId) });
    const { packet, claims, verdict } = seen;
    if (action === 'show') console.log(JSON.stringify({ ...packet, claims }, null, 2));
    else console.log(JSON.stringify(verdict));
    const held = verdict.status === 'verified';
    const figures = [{ name: 'shares', value: claims.length, unit: 'shares' }];
    const conditions = { packet, claims, verdict };
    if (flags.json) printResult(resultOf({ name: `packet ${action}`, figures, conditions, held }));
    if (action === 'show') return 0;
    if (held) return 0;
    return verdict.status === 'broken' ? 1 : NOT_YET;
  } catch (error) {
    if (!(error instanceof HongbaoError)) throw error;
    console.error(`${error.code}: ${error.message}`);
    return 1;
  }
}
