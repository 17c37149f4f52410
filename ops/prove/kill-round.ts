import type { Answer } from './line.ts';
import type { KillWorld, Open, SentPacket, Told } from './kill-world.ts';
import { openersOf } from './kill-world.ts';
import { pause } from './member.ts';

/** The kill comes when a random part of the answers up to this one is here ... */
const KILL_PART_MAX = 0.6;
/** ... at once or up to this much later, so that it does not follow the rhythm of the answers. */
const KILL_DELAY_MS_MAX = 5;
const LIVE_TRIES_MAX = 200;

type RoundFigures = {
  /** Final answers that were here when the process was dead. */
  readonly acknowledged: number;
  /** Opens whose line was lost before an answer. */
  readonly unknown: number;
  /** Opens that had not left the client at the kill. */
  readonly unsent: number;
};

/** Sends packets, asks for all shares at once, and kills the process in the middle. */
export async function killRound(world: KillWorld, round: number): Promise<RoundFigures> {
  const packets = await sendPackets(world, round);
  const opens = planOpens(world, packets);
  world.packets.push(...packets);
  world.opens.push(...opens);
  const fired = await fire(world, { round, opens });
  return { acknowledged: opens.filter((open) => open.acknowledged).length, ...fired };
}

/**
 * After the restart: every open without an answer is asked until it has exactly one.
 * @returns how many had been done although nobody heard of it
 */
export async function retry(world: KillWorld, round: number): Promise<number> {
  let doneUnheard = 0;
  const unanswered = world.opens.filter((open) => open.told === null);
  await Promise.all(
    unanswered.map(async (open) => {
      const answer = await open.member.askUntilFinal({ round, phase: 'retry', ...question(open) });
      open.told = toldOf(answer);
      if (open.told?.kind === 'claim' && open.told.status === 'already_opened') doneUnheard += 1;
    }),
  );
  return doneUnheard;
}

/** Asks all opens of the round once more: the answer must be the one that was given. */
export async function askAgain(
  world: KillWorld,
  args: { round: number; opens: readonly Open[] },
): Promise<void> {
  const { round, opens } = args;
  await Promise.all(
    opens.map(async (open) => {
      const answer = await open.member.askUntilFinal({ round, phase: 'again', ...question(open) });
      compare(world, { open, now: toldOf(answer) });
    }),
  );
}

function compare(world: KillWorld, { open, now }: { open: Open; now: Told | null }): void {
  const { findings } = world;
  const { told, packet, member, acknowledged } = open;
  const what = `${member.userId} in packet ${packet.packetId}`;
  if (told === null || now === null) return findings.break(`${what}: no final answer`);
  const was = told.kind === 'claim' ? `${told.amountCents} as number ${told.order}` : told.code;
  const is = now.kind === 'claim' ? `${now.amountCents} as number ${now.order}` : now.code;
  if (told.kind === 'refused') {
    if (now.kind !== 'refused' || now.code !== told.code) findings.change(`${what}: ${was}, ${is}`);
    return;
  }
  // A second `opened` means that the first one had been forgotten, also when the amount is equal.
  if (now.kind === 'refused' || now.status !== 'already_opened') {
    const first = acknowledged ? 'was acknowledged' : 'was answered';
    return findings.lose(`${what}: ${was} ${first}, now ${is}`);
  }
  const same =
    now.amountCents === told.amountCents && now.order === told.order && now.at === told.at;
  if (!same) findings.change(`${what}: ${was}, then ${is}`);
}

async function sendPackets(world: KillWorld, round: number): Promise<SentPacket[]> {
  const { packets } = world.options;
  const plans = Array.from({ length: packets }, (_, index) => planPacket(world, { round, index }));
  return Promise.all(
    plans.map(async ({ sender, input }) => {
      const asked = { round, phase: 'prepare', op: 'packet.send', input } as const;
      const sent = await sender.need(asked);
      const packetId = String(sent['packetId']);
      if (sent['status'] !== 'live') await untilLive({ world, round, packetId });
      return { packetId, sender, totalCents: input.totalCents, count: input.count };
    }),
  );
}

type PlanArgs = { readonly round: number; readonly index: number };

/** Some drain exactly, some have losers, some keep a rest, some pay large shares (their own lane). */
function planPacket(world: KillWorld, { round, index }: PlanArgs) {
  const { random, groupId, members, options } = world;
  const openers = openersOf(options);
  const sender = members[(round * options.packets + index) % members.length];
  if (sender === undefined) throw new Error('nobody sends');
  const large = index % 10 === 9;
  let count = openers;
  if (large) count = 3;
  else if (index % 5 === 2) count = Math.ceil(openers * 0.75);
  else if (index % 5 === 3) count = openers + 5;
  count = Math.min(count, 100);
  const totalCents = large ? 20_000 : count + random.below(99 * count);
  const strategies = ['double_mean', 'classic', 'uniform'] as const;
  const input = {
    groupId,
    clientId: sender.newId(),
    totalCents,
    count,
    strategy: strategies[random.below(strategies.length)],
    timing: random.below(2) === 0 ? 'at_open' : 'pre_split',
  };
  return { sender, input };
}

async function untilLive(args: {
  world: KillWorld;
  round: number;
  packetId: string;
}): Promise<void> {
  const { world, round, packetId } = args;
  const [member] = world.members;
  for (let attempt = 0; attempt < LIVE_TRIES_MAX; attempt++) {
    const asked = { round, phase: 'prepare', op: 'packet.get', input: { packetId } } as const;
    if ((await member?.askUntilFinal(asked))?.ok === true) return;
    await pause(50);
  }
  throw new Error(`packet ${packetId} does not arrive`);
}

/** Every packet has as many openers; every member opens about as many packets. In random order. */
function planOpens(world: KillWorld, packets: readonly SentPacket[]): Open[] {
  const { members, options, random } = world;
  const openers = openersOf(options);
  const opens: Open[] = [];
  for (const [index, packet] of packets.entries()) {
    for (let slot = 0; slot < openers && opens.length < options.opens; slot++) {
      const member = members[(index * openers + slot) % members.length];
      if (member === undefined) throw new Error('nobody opens');
      opens.push({ packet, member, told: null, acknowledged: false });
    }
  }
  for (let at = opens.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    const [a, b] = [opens[at], opens[other]];
    if (a !== undefined && b !== undefined) [opens[at], opens[other]] = [b, a];
  }
  return opens;
}

type Fired = { readonly unknown: number; readonly unsent: number };

/** Asks the opens and kills the process when a random part of the answers is here. */
async function fire(
  world: KillWorld,
  args: { round: number; opens: readonly Open[] },
): Promise<Fired> {
  const { random, process, options } = world;
  const { round, opens } = args;
  const killAt = 1 + random.below(Math.max(1, Math.floor(opens.length * KILL_PART_MAX)));
  const delayMs = Math.max(0, random.below(2 * KILL_DELAY_MS_MAX) - KILL_DELAY_MS_MAX);
  const waiting = opens.values();
  let sent = 0;
  let answers = 0;
  let unknown = 0;
  let killed = false;
  const kill = (): void => {
    killed = true;
    process.kill();
  };
  /** One asker: as many as may be outstanding work side by side. */
  const ask = async (): Promise<void> => {
    for (const open of waiting) {
      sent += 1;
      const answer = await open.member.ask({ round, phase: 'fire', ...question(open) });
      if (answer === null) {
        unknown += 1;
        return;
      }
      open.told = toldOf(answer);
      open.acknowledged = open.told !== null;
      answers += 1;
      if (answers === killAt && delayMs === 0) kill();
      else if (answers === killAt) setTimeout(kill, delayMs);
      if (killed) return;
    }
  };
  const outstanding = Math.min(options.outstanding, opens.length);
  await Promise.all(Array.from({ length: outstanding }, ask));
  kill();
  await process.ended;
  return { unknown, unsent: opens.length - sent };
}

function question(open: Open): { op: 'packet.open'; input: { packetId: string } } {
  return { op: 'packet.open', input: { packetId: open.packet.packetId } };
}

/** null: a refusal that says try again, so that nothing was promised. */
function toldOf(answer: Answer): Told | null {
  if (!answer.ok) return answer.retryable ? null : { kind: 'refused', code: answer.code };
  const { d } = answer;
  return {
    kind: 'claim',
    amountCents: Number(d['amountCents']),
    order: Number(d['order']),
    at: Number(d['at']),
    status: String(d['status']),
    mark: String(d['mark']),
  };
}
