import { describe, expect, test } from 'vitest';
import { completed, lockText, missingEntries, readLock } from '../../ops/lock.ts';

const LOCK = {
  name: 'x',
  lockfileVersion: 3,
  packages: {
    '': { name: 'x', optionalDependencies: { fsevents: '~2.3.3' } },
    'node_modules/@tool/linux-x64-gnu': { version: '1.2.3', optional: true },
    'node_modules/nested/node_modules/tool': {
      version: '1.0.0',
      dev: true,
      optionalDependencies: { '@tool/linux-x64-gnu': '1.0.0', '@tool/darwin-arm64': '1.0.0' },
    },
    'node_modules/tool': {
      version: '1.2.3',
      optionalDependencies: {
        '@tool/linux-x64-gnu': '1.2.3',
        '@tool/linux-arm64-musl': '1.2.3',
        '@tool/win32-ia32-msvc': '1.2.3',
        '@tool/darwin-arm64': '1.2.3',
        '@tool/linux-arm-22': '1.2.3',
        short: 'npm:@tool/freebsd-x64@1.2.3',
      },
    },
  },
};
const TEXT = lockText(readLock(JSON.stringify(LOCK)));

describe('missingEntries', () => {
  const missing = Object.fromEntries(
    missingEntries(readLock(TEXT)).map(({ key, entry }) => [key, entry]),
  );

  test('finds what has no entry, and nothing else', () => {
    expect(Object.keys(missing).toSorted()).toEqual([
      'node_modules/@tool/darwin-arm64',
      'node_modules/@tool/linux-arm-22',
      'node_modules/@tool/linux-arm64-musl',
      'node_modules/@tool/win32-ia32-msvc',
      'node_modules/fsevents',
      'node_modules/nested/node_modules/@tool/darwin-arm64',
      'node_modules/nested/node_modules/@tool/linux-x64-gnu',
      'node_modules/short',
    ]);
  });

  test('reads platform, libc and Node from the words of the name', () => {
    expect(missing['node_modules/@tool/linux-arm64-musl']).toEqual({
      version: '1.2.3',
      optional: true,
      os: ['linux'],
      cpu: ['arm64'],
      libc: ['musl'],
    });
    expect(missing['node_modules/@tool/win32-ia32-msvc']).toEqual({
      version: '1.2.3',
      optional: true,
      os: ['win32'],
      cpu: ['ia32'],
    });
    expect(missing['node_modules/@tool/linux-arm-22']).toMatchObject({
      os: ['linux'],
      cpu: ['arm'],
      engines: { node: '>=22.0.0 <23.0.0' },
    });
    expect(missing['node_modules/fsevents']).toEqual({ version: '2.3.3', optional: true });
  });

  test('keeps the version, the aliased name and dev of the package that asks', () => {
    expect(missing['node_modules/nested/node_modules/@tool/linux-x64-gnu']).toMatchObject({
      version: '1.0.0',
      dev: true,
    });
    expect(missing['node_modules/short']).toMatchObject({
      name: '@tool/freebsd-x64',
      version: '1.2.3',
      os: ['freebsd'],
    });
  });
});

test('a completed lock lacks nothing, keeps what it had, and has its keys in order', () => {
  const lock = readLock(TEXT);
  const whole = completed(lock, missingEntries(lock));
  expect(missingEntries(whole)).toEqual([]);
  expect(whole.packages).toMatchObject(LOCK.packages);
  const keys = Object.keys(whole.packages);
  expect(keys).toEqual(keys.toSorted((a, b) => a.localeCompare(b, 'en')));
});

test.each(['[]', '{}', '{"lockfileVersion":1,"packages":{}}', 'null'])('%s is no lock', (text) => {
  expect(() => readLock(text)).toThrow('not a lock file of version 3');
});
