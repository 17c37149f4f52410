import {
  chmodSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeJsonLog } from '../../lib/adapter/json-log.ts';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { makeFolder } from './folder.ts';

let folder = '';
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('[LO1a] an event is one line of JSON with time, level and event first', () => {
  const lines: string[] = [];
  const log = makeJsonLog({ clock: new ManualClock(), write: (line) => lines.push(line) });
  log.info('started', {
    set: 3,
    id: 2n ** 60n,
    sum: Uint8Array.of(1, 255),
    cause: new Error('why\nnow'),
  });
  log.warn('plain');
  expect(lines).toEqual([
    '{"time":"2026-01-01T00:00:00.000Z","level":"info","event":"started","set":3,' +
      '"id":"1152921504606846976","sum":"01ff","cause":"Error: why\\nnow"}\n',
    '{"time":"2026-01-01T00:00:00.000Z","level":"warn","event":"plain"}\n',
  ]);
});

test('[LO1b] no field takes the place of the head, and none makes a log throw', () => {
  const lines: string[] = [];
  const log = makeJsonLog({ clock: new ManualClock(), write: (line) => lines.push(line) });
  log.error('real', { event: 'fake', level: 'info' });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ event: 'real', level: 'error' });
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  log.error('odd', { cycle });
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ event: 'odd', fields: 'not_serializable' });
});

test('[LO2a] what is below the level is not written', () => {
  const lines: string[] = [];
  const clock = new ManualClock();
  const log = makeJsonLog({ clock, level: 'warn', write: (line) => lines.push(line) });
  log.info('a');
  log.warn('b');
  log.error('c');
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(['b', 'c']);
});

test('[KF1a] keys are made once, 0600, and read again', () => {
  const path = join(folder, 'deep', 'keys');
  const made = loadKeyFile(path);
  expect([made.clusterSecret.length, made.seedKey.length]).toEqual([32, 32]);
  expect(made.clusterSecret).not.toEqual(made.seedKey);
  expect(loadKeyFile(path)).toEqual(made);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'deep'))).toEqual(['keys']);
});

test('[KF1b] a file that others can use is refused and stays as it is', () => {
  const path = join(folder, 'keys');
  const made = loadKeyFile(path);
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(path, mode);
    expect(() => loadKeyFile(path)).toThrow('can be used by others');
  }
  chmodSync(path, 0o600);
  expect(loadKeyFile(path)).toEqual(made);
});

test('[KF1c] another length, a link and a folder are refused, never replaced', () => {
  const path = join(folder, 'keys');
  writeFileSync(path, 'short', { mode: 0o600 });
  expect(() => loadKeyFile(path)).toThrow('does not hold 64 bytes');
  expect(statSync(path).size).toBe(5);
  const whole = join(folder, 'whole');
  loadKeyFile(whole);
  symlinkSync(whole, join(folder, 'link'));
  expect(() => loadKeyFile(join(folder, 'link'))).toThrow('ELOOP');
  mkdirSync(join(folder, 'dir'), { mode: 0o700 });
  expect(() => loadKeyFile(join(folder, 'dir'))).toThrow('no plain file');
});
