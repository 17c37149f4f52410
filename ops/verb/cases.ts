import type { CasesReport } from '../../reconciler/server.ts';
import { JSON_FLAG, parseArgs, printResult, resultOf } from '../cli.ts';
import { UsageError, usageOf, type Verb } from '../cli.ts';

const NAME = 'cases';
const SUMMARY = 'show the transfers that do not reach their Set, why, and what to do';
const USUAL_URL = 'http://127.0.0.1:9110';
const ANSWER_WITHIN_MS = 5_000;
const FLAGS = {
  url: {
    kind: 'list',
    value: 'URL',
    help: `where a reconciler serves its metrics, once for each (usually ${USUAL_URL})`,
  },
  json: JSON_FLAG,
} as const;

type Open = CasesReport['open'][number];
type Asked = { readonly url: string; readonly report: CasesReport | null; readonly why: string };

/** `./hongbao cases`: money is not lost in any of them; somebody should look. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: [],
    notes: [
      'Asks each reconciler for its open cases. The money of a case stands in the outbox of its source',
      'and is tried again for ever; a case closes itself when its lane moves.',
      'Exit status: 0 when every reconciler answered and has none, else 1.',
    ],
  }),
  async run(args) {
    const { flags } = parseArgs({ args, flags: FLAGS });
    const urls = flags.url.length > 0 ? flags.url : [USUAL_URL];
    const asked = await Promise.all(urls.map((url) => ask(url)));
    const open = worstOf(asked.flatMap(({ report }) => report?.open ?? []));
    const more = asked.reduce((sum, { report }) => sum + (report?.more ?? 0), 0);
    const silent = asked.filter(({ report }) => report === null);
    const held = open.length === 0 && more === 0 && silent.length === 0;
    if (flags.json) {
      const figures = [{ name: 'open cases', value: open.length + more, unit: 'cases' }];
      printResult(resultOf({ name: NAME, figures, conditions: { asked }, held }));
      return held ? 0 : 1;
    }
    for (const { url, why } of silent) console.error(`${url}: no answer (${why})`);
    for (const one of open) console.log(textOf(one));
    if (more > 0) console.log(`and ${more} more`);
    if (held) console.log('no open cases');
    return held ? 0 : 1;
  },
};

async function ask(base: string): Promise<Asked> {
  const url = new URL('/cases', needUrl(base)).href;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (!answer.ok) return { url, report: null, why: `status ${answer.status}` };
    return { url, report: (await answer.json()) as CasesReport, why: '' };
  } catch (error) {
    const { cause } = error instanceof Error ? error : { cause: undefined };
    return { url, report: null, why: String(cause ?? error) };
  }
}

function needUrl(text: string): URL {
  if (!URL.canParse(text)) throw new UsageError(`--url: '${text}' is no URL`);
  return new URL(text);
}

/** Two reconcilers may know of one lane: the one that tried more often tells it. */
function worstOf(open: readonly Open[]): Open[] {
  const byLane = new Map<string, Open>();
  for (const one of open) {
    const key = `${one.from}/${one.to}/${one.lane}`;
    const known = byLane.get(key);
    if (known === undefined || known.tries < one.tries) byLane.set(key, one);
  }
  return [...byLane.values()];
}

function textOf(one: Open): string {
  const seconds = Math.round((Date.now() - one.firstSeenMs) / 1_000);
  const answer = one.lastAnswer === null ? 'no answer yet' : `last answer ${one.lastAnswer}`;
  return [
    `${one.reason}: ${one.what}`,
    `  lane ${one.laneName}, ${moneyText(one.cents)}, ${one.behind} more behind it`,
    `  seen here for ${seconds} s, ${one.tries} tries, ${answer}`,
    `  ${one.advice}`,
    '',
  ].join('\n');
}

/** Cents as people write them: 1,234.05. */
function moneyText(cents: number): string {
  const whole = Math.floor(cents / 100).toLocaleString('en-US');
  return `${whole}.${String(cents % 100).padStart(2, '0')}`;
}
