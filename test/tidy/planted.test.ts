/** The rules prove themselves: each catches what is planted for it, and passes what is fine. */
import { describe, expect, test } from 'vitest';
import { checkCode } from './code-rules.ts';
import { checkFile } from './file-rules.ts';
import { checkDetours, checkImports } from './import-rules.ts';
import { parse } from './source.ts';

function rulesBroken(path: string, text: string): readonly string[] {
  const file = parse({ path, text });
  const found = [...checkImports(file), ...checkCode(file), ...checkFile(file)];
  return [...new Set(found.map(({ rule }) => rule))];
}

/** An absolute path that must not stand in this file as it is. */
const WORKPLACE = ['', 'work', 'main', 'x'].join('/');
const LONG = 'export const x = 1;\n'.repeat(501);

describe('planted violations are caught', () => {
  test.each([
    // Imports between folders.
    ['layer', 'lib/core/x.ts', `import type { Log } from '../port/log.ts';`],
    ['layer', 'lib/port/x.ts', `import { x } from '../runtime/x.ts';`],
    ['layer', 'lib/adapter/x.ts', `import { x } from '../runtime/x.ts';`],
    ['layer', 'lib/runtime/x.ts', `import { x } from '../adapter/x.ts';`],
    ['layer', 'router/x.ts', `import { x } from '../access/x.ts';`],
    ['layer', 'set-node/x.ts', `import { x } from '../router/ring.ts';`],
    ['layer', 'set-node/server.ts', `import { x } from '../lib/adapter/sqlite.ts';`],
    ['layer', 'access/x.ts', `import type { X } from '../set-node/state.ts';`],
    ['layer', 'reconciler/x.ts', `export { x } from '../set-node/state.ts';`],
    ['layer', 'reconciler/x.ts', `const x = await import('../set-node/state.ts');`],
    ['layer', 'reconciler/x.ts', `type X = import('../set-node/state.ts').State;`],
    ['layer', 'ops/start.ts', `import { x } from '../set-node/state.ts';`],
    ['layer', 'ops/x.ts', `import { x } from '../test/unit/x.ts';`],
    ['layer', 'client/x.ts', `import { x } from '../lib/runtime/x.ts';`],
    ['layer', 'client/x.ts', `import { x } from './web/x.ts';`],
    ['layer', 'client/web/x.tsx', `import { x } from '../../ops/x.ts';`],
    ['layer', 'lib/core/x.ts', `import { x } from '../../elsewhere/x.ts';`],
    ['zone', 'elsewhere/x.ts', `import { x } from '../lib/core/x.ts';`],
    ['denied', 'reconciler/audit/books.ts', `import { x } from '../../lib/core/command.ts';`],
    ['denied', 'reconciler/audit/money.ts', `import { x } from '../../lib/core/outcome.ts';`],
    ['denied', 'reconciler/audit/books.ts', `import { x } from '../../lib/core/allocation.ts';`],
    ['computed-import', 'set-node/driver.ts', `await import(name);`],
    // One room per library.
    ['room', 'access/sessions.ts', `import type { WebSocket } from 'uWebSockets.js';`],
    ['room', 'access/server.ts', `import { z } from 'zod';`],
    ['room', 'set-node/server.ts', `import * as grpc from '@grpc/grpc-js';`],
    ['room', 'access/x.ts', `import HashRing from 'hashring';`],
    ['room', 'access/metrics.ts', `import { Registry } from 'prom-client';`],
    ['room', 'lib/runtime/x.ts', `import { createPool } from 'mysql2/promise';`],
    ['room', 'lib/core/x.ts', `import { x } from 'anything';`],
    ['room', 'client/connection.ts', `import WebSocket from 'ws';`],
    ['room', 'ops/x.ts', `import { test } from 'vitest';`],
    ['room', 'ops/x.ts', `import { join } from 'path';`],
    // node: modules.
    ['node-module', 'lib/core/x.ts', `import { createHash } from 'node:crypto';`],
    ['node-module', 'client/x.ts', `import { join } from 'node:path';`],
    ['pure', 'set-node/machine/state.ts', `import { createHash } from 'node:crypto';`],
    ['pure', 'set-node/machine/state.ts', `import { x } from '../../lib/runtime/x.ts';`],
    ['pure', 'set-node/machine/state.ts', `export async function f() {}`],
    ['pure', 'set-node/machine/state.ts', `await x;`],
    ['pure', 'lib/core/x.ts', `export const f = async () => 1;`],
    // Clocks, chance, environment.
    ['ambient', 'access/x.ts', `export const at = Date.now();`],
    ['ambient', 'access/x.ts', `export const at = Date['now']();`],
    ['ambient', 'access/x.ts', `export const at = new Date();`],
    ['ambient', 'access/x.ts', `export const at = Date();`],
    ['ambient', 'access/x.ts', `const D = Date; D.now();`],
    ['ambient', 'access/x.ts', `const { now } = Date;`],
    ['ambient', 'access/x.ts', `performance.now();`],
    ['ambient', 'access/x.ts', `Math.random();`],
    ['ambient', 'access/x.ts', `const { random } = Math;`],
    ['ambient', 'access/x.ts', `const M = Math;`],
    ['ambient', 'access/x.ts', `Math['random']();`],
    ['ambient', 'access/x.ts', `const key = 'random'; Math[key]();`],
    ['ambient', 'access/x.ts', `setTimeout(f, 1);`],
    ['ambient', 'access/x.ts', `const later = setInterval;`],
    ['ambient', 'access/x.ts', `call({ setImmediate });`],
    ['ambient', 'access/x.ts', `(setTimeout as unknown)(f);`],
    ['ambient', 'access/x.ts', `globalThis.setTimeout(f, 1);`],
    ['ambient', 'access/x.ts', `globalThis['Date'].now();`],
    ['ambient', 'access/x.ts', `AbortSignal.timeout(5);`],
    ['ambient', 'access/x.ts', `export const home = process.env['HOME'];`],
    ['ambient', 'access/x.ts', `const { env } = process;`],
    ['ambient', 'access/main.ts', `export const home = process.env['HOME'];`],
    ['ambient', 'access/main.ts', `const p = process;`],
    ['ambient', 'access/x.ts', `crypto.randomUUID();`],
    ['ambient', 'access/x.ts', `crypto.getRandomValues(bytes);`],
    ['ambient', 'access/x.ts', `import { randomBytes } from 'node:crypto';`],
    ['ambient', 'access/x.ts', `import { randomUUID as id } from 'node:crypto';`],
    ['ambient', 'access/x.ts', `import * as c from 'node:crypto';`],
    ['ambient', 'access/x.ts', `import c from 'node:crypto';`],
    ['ambient', 'access/x.ts', `const c = await import('node:crypto');`],
    ['ambient', 'access/x.ts', `import { setTimeout as sleep } from 'node:timers/promises';`],
    ['ambient', 'access/x.ts', `import { performance as p } from 'node:perf_hooks';`],
    ['ambient', 'access/x.ts', `import { env } from 'node:process';`],
    ['ambient', 'client/connection.ts', `setTimeout(retry, Math.random());`],
    ['console', 'lib/runtime/x.ts', `console.log('x');`],
    ['console', 'client/web/x.ts', `const { log } = console;`],
    // Shape.
    ['erasable', 'ops/x.ts', `enum Colour { Red }`],
    ['erasable', 'ops/x.ts', `namespace N { export const x = 1; }`],
    ['erasable', 'ops/x.ts', `class A { constructor(readonly x: number) {} }`],
    ['erasable', 'ops/x.ts', `import x = require('x');`],
    ['private', 'ops/x.ts', `class A { private x = 1; }`],
    ['barrel', 'lib/core/index.ts', `export * from './units.ts';`],
    ['barrel', 'lib/core/all.ts', `import { a } from './a.ts';\nexport { a };`],
    ['barrel', 'lib/core/types.ts', `export type { A } from './a.ts';`],
    ['depth', 'ops/a/b/c/x.ts', `export const x = 1;`],
    ['length', 'ops/x.ts', LONG],
    ['machine-path', 'ops/x.ts', `const home = '${WORKPLACE}';`],
  ])('[%s] in %s: %s', (rule, path, text) => {
    expect(rulesBroken(path, text)).toContain(rule);
  });

  test('[denied] by a detour through another file of the tier', () => {
    const files = [
      { path: 'reconciler/audit/books.ts', text: `import { x } from '../helper.ts';` },
      { path: 'reconciler/helper.ts', text: `import { x } from '../lib/core/command.ts';` },
    ].map(parse);
    expect(checkDetours(files).map(({ path, rule }) => ({ path, rule }))).toEqual([
      { path: 'reconciler/audit/books.ts', rule: 'denied' },
    ]);
  });

  test('a file that does not parse is an error, never a pass', () => {
    expect(() => parse({ path: 'ops/x.ts', text: 'const = ;' })).toThrow(/does not parse/);
  });
});

describe('what is fine passes', () => {
  test.each([
    ['set-node/main.ts', `import { x } from '../lib/adapter/sqlite.ts'; process.exitCode = 1;`],
    ['set-node/driver.ts', `import { x } from './state.ts'; await x;`],
    [
      'set-node/machine/state.ts',
      `import { x } from '../../lib/core/units.ts'; new Date(5); Math.max(1, 2);`,
    ],
    ['ops/start.ts', `import { x } from '../access/server.ts'; setTimeout(x, 1); console.log(1);`],
    ['ops/bench-driver.ts', `import { x } from '../set-node/driver.ts';`],
    ['access/server.ts', `import uws from 'uWebSockets.js';`],
    ['access/schema.ts', `import { z } from 'zod';`],
    ['access/x.ts', `import { createHash } from 'node:crypto'; clock.setTimeout(f); x.Date;`],
    ['access/x.ts', `type Timer = ReturnType<typeof setTimeout>; const at: Date = new Date(1);`],
    ['access/x.ts', `const options = { process: 1, setTimeout: 2 }; class A { #x = 1; now() {} }`],
    ['access/x.ts', `AbortSignal.any([signal]); Date.UTC(2025, 0); export { x as process };`],
    ['lib/runtime/grpc-server.ts', `import { Server } from '@grpc/grpc-js'; setTimeout(f, 1);`],
    ['lib/adapter/nats.ts', `import { connect } from 'nats';`],
    ['router/ring.ts', `import HashRing from 'hashring';`],
    ['client/platform.ts', `setTimeout(f, Math.random());`],
    ['client/index.ts', `export { connect } from './connection.ts';`],
    ['client/web/page.tsx', `import { render } from 'preact'; import '../index.ts';`],
    ['test/unit/x.test.ts', `import { x } from '../../set-node/machine/state.ts'; Date.now();`],
    ['reconciler/audit/books.ts', `import { x } from '../../lib/core/units.ts';`],
    ['ops/x.ts', `declare global { interface X { x: 1 } }\nexport const x = 1;`],
    ['ops/x.ts', `const url = 'https://example.org/${'work'}/x';`],
  ])('%s: %s', (path, text) => {
    expect(rulesBroken(path, text)).toEqual([]);
  });
});
