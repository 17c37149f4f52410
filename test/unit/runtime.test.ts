import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ConfigError,
  flagOf,
  oneOf,
  readConfig,
  secret,
  text,
  variableOf,
  whole,
  yesNo,
} from '../../lib/runtime/config.ts';
import { Lifecycle, guardProcess } from '../../lib/runtime/lifecycle.ts';
import { serveMetrics } from '../../lib/runtime/metrics-endpoint.ts';
import { createMetrics, processMetrics } from '../../lib/runtime/metrics.ts';

const SETTINGS = {
  dataDir: text('.data', 'where it lives'),
  portNumber: whole(8_080, { min: 1, max: 65_535, help: 'port' }),
  tokenSecret: secret('signs tokens'),
  devTokens: yesNo(false, 'tokens for anyone'),
  mode: oneOf('embedded', { of: ['embedded', 'cluster'], help: 'size' }),
};

describe('settings', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hb-config-'));
    file = join(folder, 'hongbao.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('defaults < file < environment < flags, and each knows where it came from', () => {
    writeFileSync(file, JSON.stringify({ dataDir: 'f', portNumber: 1, devTokens: true }));
    const config = readConfig({
      settings: SETTINGS,
      file,
      environment: {
        HONGBAO_DATA_DIR: 'e',
        HONGBAO_PORT_NUMBER: '2',
        HONGBAO_OTHER: 'x',
        HOME: '/',
      },
      flags: ['--data-dir', 'g'],
    });
    expect(config.values).toEqual({
      dataDir: 'g',
      portNumber: 2,
      tokenSecret: '',
      devTokens: true,
      mode: 'embedded',
    });
    const port: number = config.values.portNumber;
    const mode: 'embedded' | 'cluster' = config.values.mode;
    expect([port, mode]).toEqual([2, 'embedded']);
    expect(config.lines.map((line) => line.origin)).toEqual([
      'flag',
      'environment',
      'default',
      'file',
      'default',
    ]);
    expect(config.unknownVariables).toEqual(['HONGBAO_OTHER']);
  });

  test('names follow one rule', () => {
    expect([variableOf('dataDir'), flagOf('dataDir')]).toEqual(['HONGBAO_DATA_DIR', '--data-dir']);
  });

  test('a secret is never printed, neither as a line nor in an error', () => {
    const environment = { HONGBAO_TOKEN_SECRET: 'hunter2' };
    const config = readConfig({ settings: SETTINGS, environment });
    expect(config.values.tokenSecret).toBe('hunter2');
    expect(JSON.stringify(config.lines)).not.toContain('hunter2');
    const strict = {
      tokenSecret: {
        ...SETTINGS.tokenSecret,
        read: () => {
          throw new Error('is too short');
        },
      },
    };
    expect(() => readConfig({ settings: strict, environment })).toThrow(
      /^tokenSecret is too short \(from the environment\)$/,
    );
  });

  test.each([
    [['--port-number=0'], 'portNumber is a whole number, 1..65535, not "0" (from the flag)'],
    [['--port-number', '1e3'], 'portNumber is a whole number'],
    [['--dev-tokens=yes'], 'devTokens is true or false'],
    [['--mode=huge'], 'mode is one of embedded, cluster'],
    [['--prot-number=1'], 'no setting is called protNumber'],
    [['--port-number'], 'needs a value'],
    [['port'], 'port is not a flag'],
  ])('%j is refused', (flags, message) => {
    const read = (): unknown => readConfig({ settings: SETTINGS, environment: {}, flags });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(message);
  });

  test.each([
    ['[]', 'not a JSON object'],
    ['{', 'cannot be read'],
    ['{"dataDir":[]}', 'dataDir is text'],
    ['{"x":1}', 'no setting is called x'],
  ])('the file %s is refused', (content, message) => {
    writeFileSync(file, content);
    expect(() => readConfig({ settings: SETTINGS, file, environment: {} })).toThrow(message);
  });
});

function recorder(): { lines: string[]; log: { info: Note; warn: Note; error: Note } } {
  const lines: string[] = [];
  const note = (event: string, fields?: object): void =>
    void lines.push(`${event} ${JSON.stringify(fields)}`);
  return { lines, log: { info: note, warn: note, error: note } };
}
type Note = (event: string, fields?: object) => void;

describe('the life of a process', () => {
  test('all drain, then all stop, then all close, the last started first', async () => {
    const order: string[] = [];
    const lifecycle = new Lifecycle({ log: recorder().log });
    const verb = (what: string) => async (): Promise<void> => void order.push(what);
    await lifecycle.start(() => ({
      name: 'a',
      drain: verb('drain a'),
      stop: verb('stop a'),
      close: verb('close a'),
    }));
    await lifecycle.start(async () => ({
      name: 'b',
      drain: verb('drain b'),
      close: verb('close b'),
    }));
    const [first, second] = [lifecycle.end(), lifecycle.end()];
    expect(await first).toBe(true);
    expect(await second).toBe(true);
    expect(order).toEqual(['drain b', 'drain a', 'stop a', 'close b', 'close a']);
  });

  test('a part that fails or hangs keeps no other from ending, and is named', async () => {
    const { lines, log } = recorder();
    const order: string[] = [];
    const lifecycle = new Lifecycle({ log, limitsMs: { drain: 20 } });
    await lifecycle.start(() => ({ name: 'last', close: async () => void order.push('closed') }));
    await lifecycle.start(() => ({ name: 'bad', stop: () => Promise.reject(new Error('boom')) }));
    await lifecycle.start(() => ({ name: 'slow', drain: () => new Promise<void>(() => {}) }));
    expect(await lifecycle.end()).toBe(false);
    expect(order).toEqual(['closed']);
    expect(lines.join()).toMatch(/slow.*drain.*20 ms.*bad.*stop.*boom/);
  });

  function host(): {
    fire: (event: string, arg?: unknown) => void;
    exits: number[];
    process: never;
  } {
    const listeners = new Map<string, (arg: unknown) => void>();
    const exits: number[] = [];
    const process = {
      on: (event: string, listener: (arg: unknown) => void) => listeners.set(event, listener),
      exit: (code: number) => void exits.push(code),
    };
    return { fire: (event, arg) => listeners.get(event)?.(arg), exits, process: process as never };
  }

  test('SIGTERM drains and exits with 0; a second one exits at once', async () => {
    let release = (): void => {};
    const { log } = recorder();
    const { fire, exits, process } = host();
    const lifecycle = new Lifecycle({ log });
    guardProcess({ lifecycle, log, process });
    await lifecycle.start(() => ({
      name: 'a',
      drain: () => new Promise<void>((done) => (release = done)),
    }));
    fire('SIGTERM');
    expect(exits).toEqual([]);
    fire('SIGTERM');
    expect(exits).toEqual([1]);
    release();
    await lifecycle.end();
    await Promise.resolve();
    expect(exits).toEqual([1, 0]);
  });

  test('a rejection that nobody handles is one clear line and exit 1', () => {
    const { lines, log } = recorder();
    const { fire, exits, process } = host();
    guardProcess({ lifecycle: new Lifecycle({ log }), log, process });
    fire('unhandledRejection', new Error('forgotten'));
    expect(exits).toEqual([1]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/unhandled_rejection.*forgotten/);
  });
});

describe('metrics', () => {
  test('one name is one metric, however often it is asked for, and worlds do not mix', async () => {
    const metrics = createMetrics();
    const args = { name: 'hongbao_x_total', help: 'x', labels: ['set'] };
    metrics.counter(args).add(1, { set: 1 });
    metrics.counter(args).add(2, { set: 1 });
    metrics.histogram({ name: 'hongbao_h_seconds', help: 'h', buckets: [1, 2] }).observe(1.5);
    const text = await metrics.expose();
    expect(text).toContain('hongbao_x_total{set="1"} 3');
    expect(text).toContain('hongbao_h_seconds_bucket{le="2"} 1');
    expect(() => metrics.gauge(args)).toThrow('one kind');
    expect(await createMetrics().expose()).not.toContain('hongbao_x_total');
  });

  test('tell of the process without the names that promtool rejects', async () => {
    const metrics = createMetrics();
    const read = processMetrics(metrics);
    read();
    read();
    const text = await metrics.expose();
    expect(text).toMatch(/^process_cpu_seconds_total [0-9.]+$/m);
    expect(text).toMatch(/^process_resident_memory_bytes [1-9][0-9]+$/m);
    expect(text).toMatch(/^hongbao_event_loop_delay_seconds\{stat="p99"\} [0-9.e-]+$/m);
    expect(text).not.toContain('nodejs_');
  });

  test('are served at /metrics and nowhere else', async () => {
    const metrics = createMetrics();
    const endpoint = await serveMetrics({ port: 0, metrics });
    const url = `http://127.0.0.1:${endpoint.port}`;
    const answer = await fetch(`${url}/metrics`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, metrics.contentType]);
    expect(await answer.text()).toContain('process_cpu_seconds_total');
    expect((await fetch(`${url}/`)).status).toBe(404);
    await expect(serveMetrics({ port: endpoint.port, metrics })).rejects.toThrow('EADDRINUSE');
    await endpoint.close?.();
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });
});
