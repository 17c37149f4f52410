import { afterEach, describe, expect, test, vi } from 'vitest';
import { figure, parseArgs, printResult, resultOf, UsageError, usageOf } from '../../ops/cli.ts';
import { main, overview, VERBS } from '../../ops/main.ts';

const FLAGS = {
  sets: { kind: 'integer', help: 'how many', min: 1, max: 8, fallback: 2 },
  rate: { kind: 'number', help: 'per second', min: 0.5, max: 10 },
  mode: { kind: 'text', help: 'which', value: 'MODE', choices: ['fast', 'slow'], fallback: 'fast' },
  path: { kind: 'text', help: 'where', value: 'PATH' },
  part: { kind: 'list', help: 'only this', value: 'NAME', choices: ['a', 'b'] },
  json: { kind: 'switch', help: 'for machines' },
} as const;

function parse(...args: string[]) {
  return parseArgs({ args, flags: FLAGS, positionals: ['AMOUNT', '[COUNT]'] });
}

describe('parseArgs', () => {
  test('gives fallbacks for what is not said, and nothing where there is none', () => {
    expect(parse('1.00')).toEqual({
      flags: { sets: 2, mode: 'fast', part: [], json: false },
      positionals: ['1.00'],
    });
  });

  test('reads both spellings, lists in order, and positionals anywhere', () => {
    const { flags, positionals } = parse(
      ...'--sets=3 1.00 --rate 1.5 --part b --part=a --json -- --x'.split(' '),
    );
    expect(flags).toEqual({ sets: 3, rate: 1.5, mode: 'fast', part: ['b', 'a'], json: true });
    expect(positionals).toEqual(['1.00', '--x']);
  });

  test('types its values', () => {
    const { flags } = parse('1');
    const sets: number = flags.sets;
    const rate: number | undefined = flags.rate;
    const path: string | undefined = flags.path;
    expect([sets, rate, path]).toEqual([2, undefined, undefined]);
  });

  test('takes a negative number for a positional, not for a flag', () => {
    expect(parse('-5').positionals).toEqual(['-5']);
  });

  test.each([
    [['1', '--sest', '3'], 'unknown flag --sest'],
    [['1', '--toString'], 'unknown flag --toString'],
    [['1', '-x'], 'unknown flag -x'],
    [['1', '--sets'], '--sets needs a value'],
    [['1', '--sets='], '--sets needs a value'],
    [['1', '--path', '--json'], '--path needs a value'],
    [['1', '--sets', '0'], '--sets is a whole number from 1 to 8'],
    [['1', '--sets', '2.5'], '--sets is a whole number from 1 to 8'],
    [['1', '--sets', '1e0'], '--sets is a whole number from 1 to 8'],
    [['1', '--rate', 'NaN'], '--rate is a number from 0.5 to 10'],
    [['1', '--rate', ' 1'], '--rate is a number from 0.5 to 10'],
    [['1', '--mode', 'x'], '--mode is one of fast, slow'],
    [['1', '--part', 'c'], '--part is one of a, b'],
    [['1', '--sets', '1', '--sets', '2'], '--sets is given twice'],
    [['1', '--json=yes'], '--json takes no value'],
    [['1', '2', '3'], `unexpected argument '3'`],
    [[], 'AMOUNT is missing'],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(UsageError);
    expect(() => parse(...args)).toThrow(message);
  });
});

test('usageOf shows every flag with its range, choices and usual value', () => {
  const text = usageOf({
    name: 'demo',
    summary: 'show it',
    flags: FLAGS,
    positionals: ['AMOUNT', '[COUNT]'],
    notes: ['Exit 1 when it fails.'],
  });
  expect(text).toBe(
    [
      './hongbao demo AMOUNT [COUNT] [flags]',
      '',
      'show it.',
      '',
      '  --sets N     how many (1 to 8, usually 2)',
      '  --rate N     per second (0.5 to 10)',
      '  --mode MODE  which (fast, slow; usually fast)',
      '  --path PATH  where',
      '  --part NAME  only this (a, b; may be repeated)',
      '  --json       for machines',
      '  --help       print this text',
      '',
      'Exit 1 when it fails.',
      '',
    ].join('\n'),
  );
});

describe('results', () => {
  test('a goal is met or missed, and a number that is none misses it', () => {
    const atLeast = (value: number) =>
      figure({ name: 'rate', value, unit: '1/s', goal: { atLeast: 40 } });
    expect(atLeast(40)).toEqual({ name: 'rate', value: 40, unit: '1/s', goal: '>= 40', met: true });
    expect(atLeast(39.9).met).toBe(false);
    expect(atLeast(Number.NaN).met).toBe(false);
    const p99 = figure({ name: 'p99', value: 51, unit: 'ms', goal: { atMost: 50 } });
    expect(p99).toMatchObject({ goal: '<= 50', met: false });
    expect(figure({ name: 'n', value: 1, unit: '1' })).toEqual({ name: 'n', value: 1, unit: '1' });
  });

  test('ok needs every check and every goal', () => {
    const met = figure({ name: 'a', value: 1, unit: '1', goal: { atLeast: 1 } });
    const missed = figure({ name: 'b', value: 0, unit: '1', goal: { atLeast: 1 } });
    const ok = (figures: (typeof met)[], held?: boolean) =>
      resultOf({ name: 'x', figures, conditions: {}, ...(held === undefined ? {} : { held }) }).ok;
    expect(ok([met])).toBe(true);
    expect(ok([met, missed])).toBe(false);
    expect(ok([met], false)).toBe(false);
  });

  test('are printed as one line with the fields in their order', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    printResult({ conditions: { seed: 7 }, figures: [], name: 'x', ok: true });
    const printed = write.mock.calls.map(([text]) => text);
    write.mockRestore();
    expect(printed).toEqual(['{"ok":true,"name":"x","figures":[],"conditions":{"seed":7}}\n']);
  });
});

describe('main', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  async function call(...args: string[]) {
    let out = '';
    let err = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
    const status = await main(args);
    vi.restoreAllMocks();
    return { status, out, err };
  }

  test.each([['--help'], ['-h'], ['help']])('%s prints the overview', async (flag) => {
    expect(await call(flag)).toEqual({ status: 0, out: overview(), err: '' });
    for (const { name, summary } of VERBS) {
      expect(overview()).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
    }
  });

  test.each([
    [[], ''],
    [['strat'], `unknown verb 'strat'`],
    [['--verbose'], `unknown flag '--verbose'`],
    [['toString'], `unknown verb 'toString'`],
  ])('%j: the overview on standard error, status 2', async (args, message) => {
    const { status, out, err } = await call(...args);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toContain(message);
    expect(err).toContain(overview());
  });

  test.each(VERBS.map(({ name }) => name))('%s --help and an unknown flag', async (name) => {
    const help = await call(name, '--json', '--help');
    expect(help).toMatchObject({ status: 0, err: '' });
    expect(help.out).toContain(`./hongbao ${name}`);
    const wrong = await call(name, '--no-such-flag');
    expect(wrong).toMatchObject({ status: 2, out: '' });
    expect(wrong.err).toBe(`hongbao ${name}: unknown flag --no-such-flag\n\n${help.out}`);
  });
});
