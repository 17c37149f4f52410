/** Many packets of all kinds, dealt by people of a real server, all of them ended. */
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Random } from '../../lib/port/random.ts';
import type { EmbeddedProcess } from '../prove/embedded.ts';
import type { Tags } from '../prove/member.ts';
import { Member, pause } from '../prove/member.ts';
import { Recorder } from '../rig/history.ts';

/** Everybody may ask 20 times a second: many packets want many people, and none more than shares. */
const PEOPLE_MAX = 60;
const PACKETS_A_PERSON = 15;
const SHARES_MAX = 12;
const AT_ONCE = 24;
/** Of packets that are left to expire: the shortest that may be. */
const SHORT_MS = 1_000;
const LIVE_TRIES = 200;
const END_TRIES = 400;
const POLL_MS = 50;
const ASKED: Tags = { round: 0, phase: 'prepare' };

const KINDS = [
  { kind: 'lucky', strategy: 'double_mean' },
  { kind: 'lucky', strategy: 'classic' },
  { kind: 'lucky', strategy: 'uniform' },
  { kind: 'equal', strategy: 'equal' },
  { kind: 'exclusive', strategy: 'double_mean' },
  { kind: 'exclusive', strategy: 'uniform' },
] as const;
const TIMINGS = ['at_open', 'pre_split'] as const;

/** Plans repeat from the seed: every kind, strategy and timing, drained and expired, in turn. */
type Plan = {
  readonly index: number;
  readonly kind: string;
  readonly strategy: string;
  readonly timing: string;
  readonly count: number;
  readonly totalCents: number;
  readonly openers: number;
  readonly expires: boolean;
};

function planOf(index: number, random: Random): Plan {
  const { kind, strategy } = KINDS[index % KINDS.length] ?? KINDS[0];
  const timing = TIMINGS[Math.floor(index / KINDS.length) % TIMINGS.length] ?? 'at_open';
  const count = 1 + random.below(SHARES_MAX);
  // Cents and yuan: rounding shows in the small ones.
  const each = random.below(3) === 0 ? 3 : 400;
  const totalCents = count + random.below(each * count);
  const expires = index % 5 === 4;
  const openers = expires ? random.below(count) : count;
  return { index, kind, strategy, timing, count, totalCents, openers, expires };
}

export type Dealt = { readonly packets: number; readonly opens: number };

/** Resolves when every packet has ended. Rejects when one does not arrive, or does not end. */
export async function deal(args: {
  process: EmbeddedProcess;
  packets: number;
  random: Random;
}): Promise<Dealt> {
  const { process, packets, random } = args;
  const plans = Array.from({ length: packets }, (_, index) => planOf(index, random));
  const wanted = Math.ceil(packets / PACKETS_A_PERSON);
  const length = Math.min(PEOPLE_MAX, Math.max(SHARES_MAX, wanted));
  const people = Array.from({ length }, (_, index) => {
    const recorder = new Recorder<Tags>();
    return new Member({ userId: `person-${index}`, recorder, random: new SystemRandom() });
  });
  try {
    for (const one of people) await one.connect(process);
    const groupId = await gather(people);
    const waiting = plans.values();
    const short: { sender: Member; packetId: string }[] = [];
    let opens = 0;
    const dealer = async (): Promise<void> => {
      for (const plan of waiting) {
        const { sender, packetId } = await send({ people, groupId, plan });
        // Not added where it is awaited: the sum would be read before.
        const shares = await open({ people, packetId, plan });
        opens += shares;
        if (plan.expires) short.push({ sender, packetId });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, dealer));
    for (const one of short) await untilEnded(one);
    return { packets, opens };
  } finally {
    for (const one of people) one.close();
  }
}

async function gather(people: readonly Member[]): Promise<string> {
  const [owner, ...others] = people;
  if (owner === undefined) throw new Error('nobody is here');
  const input = { clientId: owner.newId(), name: 'proof' };
  const { groupId } = await owner.need({ ...ASKED, op: 'group.create', input });
  const { invite } = await owner.need({ ...ASKED, op: 'group.invite', input: { groupId } });
  for (const one of others) await one.need({ ...ASKED, op: 'group.join', input: { invite } });
  return String(groupId);
}

function personAt(people: readonly Member[], index: number): Member {
  const person = people[index % people.length];
  if (person === undefined) throw new Error('nobody is here');
  return person;
}

async function send(args: {
  people: readonly Member[];
  groupId: string;
  plan: Plan;
}): Promise<{ sender: Member; packetId: string }> {
  const { people, groupId, plan } = args;
  const { index, kind, strategy, timing, count, totalCents, expires } = plan;
  const sender = personAt(people, index);
  const openers = Array.from({ length: count }, (_, at) => personAt(people, index + at).userId);
  const input = {
    ...{ groupId, clientId: sender.newId(), kind, timing, count, totalCents },
    ...(kind === 'equal' ? {} : { strategy }),
    ...(kind === 'exclusive' ? { receivers: openers } : {}),
    ...(expires ? { lifetimeMs: SHORT_MS } : {}),
    greeting: `第 ${index} 个红包`,
  };
  const sent = await sender.need({ ...ASKED, op: 'packet.send', input });
  return { sender, packetId: String(sent['packetId']) };
}

/** @returns how many got a share: a packet that expires may do so before the last of them asks */
async function open(args: {
  people: readonly Member[];
  packetId: string;
  plan: Plan;
}): Promise<number> {
  const { people, packetId, plan } = args;
  let shares = 0;
  for (let at = 0; at < plan.openers; at++) {
    const person = personAt(people, plan.index + at);
    for (let attempt = 0; ; attempt++) {
      const asked = { ...ASKED, op: 'packet.open', input: { packetId } };
      const answer = await person.askUntilFinal(asked);
      if (answer.ok) shares += 1;
      else if (answer.code === 'packet_not_found' && attempt < LIVE_TRIES) {
        // Its owner has not heard of it yet.
        await pause(POLL_MS);
        continue;
      } else if (answer.code !== 'packet_expired' || !plan.expires) {
        throw new Error(`packet.open of ${packetId}: ${answer.code}`);
      }
      break;
    }
  }
  return shares;
}

async function untilEnded({ sender, packetId }: { sender: Member; packetId: string }) {
  for (let attempt = 0; attempt < END_TRIES; attempt++) {
    const asked = { ...ASKED, op: 'packet.get', input: { packetId } };
    const answer = await sender.askUntilFinal(asked);
    if (answer.ok && answer.d['phase'] !== 'live') return;
    await pause(POLL_MS);
  }
  throw new Error(`packet ${packetId} does not end`);
}
