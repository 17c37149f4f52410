import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Command } from '../../lib/core/command.ts';
import { checkShape } from '../../lib/core/command.ts';
import type { CommandId } from '../../lib/core/ids.ts';
import { makeCommandId, parseCommandId } from '../../lib/core/ids.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import { retryOf } from '../../lib/core/status.ts';
import type { Cents } from '../../lib/core/units.ts';
import { cents } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { markText } from '../../router/api.ts';
import type { TopologyRouter } from '../../router/router.ts';
import { JSON_FLAG, columns, parseArgs, printResult, resultOf } from '../cli.ts';
import { UsageError, usageOf, type Verb } from '../cli.ts';
import { connectTo } from '../running.ts';
import { csvOf, fetchStatement, NoStatement } from '../wallet-statement.ts';
import { textOfCents, walletOf } from '../wallet.ts';
import type { WalletFacts } from '../wallet.ts';

const NAME = 'wallet';
const SUMMARY = "show a person's wallet or statement, freeze or unfreeze it, or adjust its balance";
const ACTIONS = ['show', 'statement', 'freeze', 'unfreeze', 'adjust'] as const;
/** Longer than a failover: an operator should not have to ask twice. */
const DEADLINE_MS = 15_000;
/** The end of time: a statement without --to has all lines. */
const TIME_MAX = Number.MAX_SAFE_INTEGER;
const FLAGS = {
  reason: {
    kind: 'text',
    value: 'TEXT',
    help: 'why; journaled with the action, at most 128 bytes',
  },
  operator: { kind: 'text', value: 'NAME', help: 'who does it; usually your name on this machine' },
  id: { kind: 'text', value: 'UUID', help: 'the id of an action whose outcome is not known' },
  data: { kind: 'text', value: 'DIR', help: 'of the embedded server', fallback: '.data' },
  topology: { kind: 'text', value: 'FILE', help: "of a cluster, instead of the embedded server's" },
  format: {
    kind: 'text',
    value: 'KIND',
    help: 'statement: how it is written',
    choices: ['csv', 'json'],
    fallback: 'csv',
  },
  from: {
    kind: 'text',
    value: 'TIME',
    help: 'statement: from 2026-01-31 or 2026-01-31T08:00:00Z on',
  },
  to: { kind: 'text', value: 'TIME', help: 'statement: lines before this time, UTC' },
  json: JSON_FLAG,
} as const;

type Action = (typeof ACTIONS)[number];
type Order = Extract<Command, { type: 'wallet.freeze' | 'wallet.adjust' }>;

/** `./hongbao wallet show|freeze|unfreeze USER`, `… adjust USER AMOUNT`. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['show|statement|freeze|unfreeze|adjust', 'USER', '[AMOUNT]'],
    notes: [
      'AMOUNT has two decimals and may be negative: 12.34 or -0.50. No wallet goes below zero.',
      'A frozen wallet receives, and its owner opens packets; nothing leaves it.',
      'Every action is journaled in the home Set of the wallet, with operator, reason and id.',
      'statement: every line with the balance after it, from the opening to the closing one, all as of',
      'one LSN of the home Set. Times are UTC; CSV is RFC 4180, amounts like 12.34 and in cents.',
      'Exit status: 0 when it was done, 1 when it was refused or its outcome is not known.',
    ],
  }),
  async run(args) {
    const positionals = ['ACTION', 'USER', '[AMOUNT]'];
    const { flags, positionals: given } = parseArgs({ args, flags: FLAGS, positionals });
    const [word, name = '', amount] = given;
    const action = ACTIONS.find((one) => one === word);
    if (action === undefined) throw new UsageError(`${ACTIONS.join(', ')}, not '${word}'`);
    const user = needUser(name, 'USER');
    if ((amount !== undefined) !== (action === 'adjust')) {
      throw new UsageError('AMOUNT goes with adjust, and only with it');
    }
    const isRead = action === 'show' || action === 'statement';
    const order = isRead ? null : orderOf({ action, user, amount, flags });
    const times = { fromAt: needTime(flags.from, 0), toAt: needTime(flags.to, TIME_MAX) };
    const router = await connectTo(flags);
    try {
      if (action === 'statement') {
        return await printStatement(router, { user, ...times, format: flags.format });
      }
      return order === null
        ? await show(router, { user, json: flags.json })
        : await carryOut(router, { order, json: flags.json });
    } finally {
      await router.close();
    }
  },
};

async function printStatement(
  router: TopologyRouter,
  ask: { user: UserId; fromAt: number; toAt: number; format: string },
): Promise<number> {
  const { format, ...of } = ask;
  try {
    const statement = await fetchStatement(router, of);
    process.stdout.write(format === 'csv' ? csvOf(statement) : `${JSON.stringify(statement)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof NoStatement)) throw error;
    console.error(error.message);
    return 1;
  }
}

/** Milliseconds since 1970; a day is its first moment, UTC. */
function needTime(text: string | undefined, absent: number): number {
  if (text === undefined) return absent;
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z)?$/.test(text);
  const at = isTime ? Date.parse(text) : Number.NaN;
  if (!(at >= 0)) throw new UsageError(`'${text}' is no time like 2026-01-31T08:00:00Z`);
  return at;
}

function needUser(text: string, what: string): UserId {
  const user = parseUserId(text);
  if (user === null) throw new UsageError(`${what}: '${text}' is no user id`);
  return user;
}

function orderOf(args: {
  action: Exclude<Action, 'show' | 'statement'>;
  user: UserId;
  amount: string | undefined;
  flags: { reason: string | undefined; operator: string | undefined; id: string | undefined };
}): Order {
  const { action, user, amount, flags } = args;
  const { reason } = flags;
  if (reason === undefined) throw new UsageError('--reason is missing');
  const operator = needUser(flags.operator ?? userInfo().username, '--operator');
  const who = { commandId: needId(flags.id), operator, user, reason };
  const order: Order =
    action === 'adjust'
      ? { type: 'wallet.adjust', ...who, amountCents: needAmount(amount ?? '') }
      : { type: 'wallet.freeze', ...who, frozen: action === 'freeze' };
  const broken = checkShape(order);
  if (broken !== null) throw new UsageError(`${broken}: the amount or the reason is not allowed`);
  return order;
}

function needId(text: string | undefined): CommandId {
  if (text === undefined) return makeCommandId(Date.now(), randomBytes(10));
  const id = parseCommandId(text);
  if (id === null) throw new UsageError(`--id: '${text}' is no UUIDv7`);
  return id;
}

/** `12.34` → 1,234. Both decimals are demanded: nobody should wonder whether 100 means cents. */
function needAmount(text: string): Cents {
  const found = /^([+-]?)(\d{1,12})\.(\d\d)$/.exec(text);
  if (found === null) throw new UsageError(`AMOUNT: '${text}' is not like 12.34`);
  const [, sign, whole, part] = found;
  const amountCents = Number(whole) * 100 + Number(part);
  return cents(sign === '-' ? -amountCents : amountCents);
}

async function carryOut(
  router: TopologyRouter,
  { order, json }: { order: Order; json: boolean },
): Promise<number> {
  const { user, operator, reason, commandId } = order;
  const set = router.homeOf(user);
  const { outcome, mark } = await router.command(set, order, { deadlineMs: DEADLINE_MS });
  const held = succeeded(outcome);
  const about = { user, operator, reason, id: commandId, status: outcome.status };
  const became = 'balanceCents' in outcome ? { balanceCents: outcome.balanceCents } : {};
  if (json) {
    const done = held ? { ...about, ...became, mark: markText(mark) } : about;
    const conditions = { action: order.type, ...done };
    printResult(resultOf({ name: NAME, figures: [], conditions, held }));
  } else if (held) {
    const now = 'balanceCents' in became ? `, now ${textOfCents(became.balanceCents)}` : '';
    console.log(`${actionText(order)}: ${user}${now}`);
    console.log(`journaled at ${markText(mark)} by ${operator}, id ${commandId}: ${reason}`);
  } else {
    console.error(`${user}: ${outcome.status}`);
  }
  if (!held && retryOf(outcome.status) === 'same_id_only') {
    console.error(`it may have been done: say the same again with --id ${commandId}`);
  }
  return held ? 0 : 1;
}

function actionText(order: Order): string {
  if (order.type === 'wallet.freeze') return order.frozen ? 'frozen' : 'unfrozen';
  return `adjusted by ${textOfCents(order.amountCents)}`;
}

async function show(
  router: TopologyRouter,
  { user, json }: { user: UserId; json: boolean },
): Promise<number> {
  const wallet = await walletOf(router, user);
  if (json) {
    const held = wallet !== null;
    const conditions = { action: 'show', user, wallet };
    printResult(resultOf({ name: NAME, figures: [], conditions, held }));
  } else if (wallet === null) {
    console.error(`${user}: the home Set ${router.homeOf(user)} does not answer`);
  } else {
    for (const line of linesOf(user, wallet)) console.log(line);
  }
  return wallet === null ? 1 : 0;
}

function linesOf(user: UserId, wallet: WalletFacts): string[] {
  const { exists, frozen, balanceCents, arrivingCents, silentSets, payments, lines } = wallet;
  const silent = silentSets === 0 ? '' : ` (${silentSets} Sets did not answer)`;
  const rows: string[][] = [
    ['user', exists ? user : `${user} (has no wallet yet)`],
    ['home Set', String(wallet.homeSet)],
    ['state', frozen ? 'frozen' : 'free'],
    ['balance', textOfCents(balanceCents)],
    ['arriving', textOfCents(arrivingCents) + silent],
    ...payments.map((one) => [
      `payment ${one.paymentId}`,
      `${one.purpose} ${textOfCents(one.amountCents)} ${one.state} ${one.reference}`.trimEnd(),
    ]),
    ...lines.map((one) => [
      new Date(one.at).toISOString(),
      `${textOfCents(one.amountCents)} ${one.reason}${one.packetId === '0' ? '' : ` packet ${one.packetId}`}`,
    ]),
  ];
  return columns(rows);
}
