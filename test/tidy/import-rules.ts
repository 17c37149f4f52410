import { posix } from 'node:path';
import {
  ANY_PACKAGE,
  DENIALS,
  fits,
  GENERATED,
  GRANTS,
  PURE,
  ROOM_OF_THE_REST,
  ROOMS,
  SHELL,
  within,
  zoneOf,
} from './matrix.ts';
import { lineAt, nameOf, nodesIn, textOf, walk } from './source.ts';
import type { Node, ParsedFile, Violation } from './source.ts';

/** One import, export-from or `import()` of a file. */
interface Import {
  /** As written; undefined when it is computed. */
  readonly specifier: string | undefined;
  /** The file of this repository that it means; undefined for packages and `node:`. */
  readonly target: string | undefined;
  readonly line: number;
  readonly node: Node;
}

const IMPORTING = new Set([
  'ImportDeclaration',
  'ExportAllDeclaration',
  'ExportNamedDeclaration',
  'ImportExpression',
  'TSImportType',
]);

function importsOf(file: ParsedFile): readonly Import[] {
  const found: Import[] = [];
  for (const { node } of walk(file.program)) {
    if (!IMPORTING.has(node.type)) continue;
    const source = node['source'] ?? node['argument'];
    // `export const x` is no import; `import(path)` with a computed path is one.
    if (source === null || source === undefined) continue;
    const specifier = textOf(source);
    const target = specifier === undefined ? undefined : targetOf(file.path, specifier);
    found.push({ specifier, target, line: lineAt(file.text, node.start), node });
  }
  return found;
}

function targetOf(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(path), specifier.replace(/[?#].*$/, ''));
}

/** All that can be said about the imports of one file by itself. */
export function checkImports(file: ParsedFile): readonly Violation[] {
  if (fits(file.path, GENERATED)) return [];
  return importsOf(file).flatMap((one) => {
    const { specifier, target, line } = one;
    const found: Violation[] = [];
    const report = (rule: string, message: string): void => {
      found.push({ rule, path: file.path, line, message });
    };
    if (specifier === undefined) {
      if (!fits(file.path, SHELL)) report('computed-import', 'import() with a fixed path only');
    } else if (target !== undefined) {
      checkTarget({ path: file.path, target, report });
    } else if (specifier.startsWith('node:')) {
      checkBuiltin({ path: file.path, one, report });
    } else {
      checkPackage({ path: file.path, specifier, report });
    }
    return found;
  });
}

type Report = (rule: string, message: string) => void;

function checkTarget(options: { path: string; target: string; report: Report }): void {
  const { path, target, report } = options;
  const zone = zoneOf(path);
  const other = zoneOf(target);
  if (zone === undefined) {
    if (!fits(path, ANY_PACKAGE)) report('zone', 'lies in no zone of test/tidy/matrix.ts');
    return;
  }
  if (other === undefined) {
    if (zone.folder !== 'test') report('layer', `imports ${target}, which lies in no zone`);
    return;
  }
  if (pure(path) && within(target, ['lib/runtime', 'lib/adapter'])) {
    report('pure', `is pure, yet imports ${target}: let the driver call it`);
  }
  if (other.folder !== zone.folder) {
    const granted = GRANTS.filter(({ files }) => fits(path, [files])).flatMap((one) => one.imports);
    if (!within(target, [...zone.imports, ...granted])) {
      report('layer', `${zone.folder} may not import ${target} (test/tidy/matrix.ts)`);
    }
  }
  for (const { files, imports, why } of DENIALS) {
    if (fits(path, [files]) && fits(target, imports)) report('denied', `imports ${target}: ${why}`);
  }
}

/** Modules that hand out a clock, an environment, or everything by another door. */
const AMBIENT_MODULES = new Set([
  'node:timers',
  'node:timers/promises',
  'node:perf_hooks',
  'node:process',
  'node:module',
  'node:vm',
]);
const CHANCE = /^(random|getRandomValues|webcrypto|generateKey|generatePrime|default$)/;

function checkBuiltin(options: { path: string; one: Import; report: Report }): void {
  const { path, one, report } = options;
  const specifier = one.specifier ?? '';
  const zone = zoneOf(path);
  if (zone !== undefined && !zone.node) {
    if (!fits(path, ANY_PACKAGE)) report('node-module', `${zone.folder} must run in a browser too`);
  } else if (pure(path)) {
    report('pure', `is pure, yet imports ${specifier}: take it from a port`);
  }
  if (fits(path, SHELL)) return;
  if (AMBIENT_MODULES.has(specifier)) {
    report('ambient', `${specifier}: take time, chance and environment from a port`);
  }
  if (specifier !== 'node:crypto') return;
  const specifiers = nodesIn(one.node['specifiers']);
  const named = specifiers.map((node) => nameOf(node['imported']) ?? 'default');
  if (specifiers.length === 0 || named.some((name) => CHANCE.test(name))) {
    report('ambient', 'chance comes from the Random port; name what else you need of node:crypto');
  }
}

function checkPackage(options: { path: string; specifier: string; report: Report }): void {
  const { path, specifier, report } = options;
  if (fits(path, ANY_PACKAGE)) return;
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const room = (Object.hasOwn(ROOMS, name) ? ROOMS[name] : undefined) ?? ROOM_OF_THE_REST;
  if (!fits(path, room)) report('room', `only ${room.join(', ')} may import ${name}`);
}

/** Whether the file must be replayable: no await, no node:, no runtime. */
export function pure(path: string): boolean {
  return PURE.some(({ folder, shell }) => within(path, [folder]) && !fits(path, shell));
}

/** Denials hold through other files of the same zone too: the way there is named. */
export function checkDetours(files: readonly ParsedFile[]): readonly Violation[] {
  const edges = new Map(
    files.map((file) => [file.path, importsOf(file).flatMap(({ target }) => target ?? [])]),
  );
  const found: Violation[] = [];
  for (const { files: pattern, imports, why } of DENIALS) {
    for (const start of edges.keys()) {
      if (!fits(start, [pattern])) continue;
      const seen = new Set([start]);
      for (const path of seen) {
        for (const target of edges.get(path) ?? []) {
          if (path !== start && fits(target, imports)) {
            const message = `reaches ${target} through ${path}: ${why}`;
            found.push({ rule: 'denied', path: start, line: 1, message });
          } else if (zoneOf(target) === zoneOf(start)) {
            seen.add(target);
          }
        }
      }
    }
  }
  return found;
}
