import { pure } from './import-rules.ts';
import { CONSOLE, DOORS, fits, GENERATED, PROCESS_ENTRIES, SHELL } from './matrix.ts';
import { lineAt, nameOf, nodesIn, textOf, walk } from './source.ts';
import type { Node, ParsedFile, Violation, Visit } from './source.ts';

/** All that can be said about the code of one file by itself. */
export function checkCode(file: ParsedFile): readonly Violation[] {
  if (fits(file.path, GENERATED)) return [];
  const found: Violation[] = [];
  for (const visit of walk(file.program)) {
    for (const [rule, message] of checkNode(file.path, visit)) {
      const line = lineAt(file.text, visit.node.start);
      found.push({ rule, path: file.path, line, message });
    }
  }
  if (isBarrel(file.program) && !fits(file.path, DOORS)) {
    const message = 'only re-exports: import from the file that defines it';
    found.push({ rule: 'barrel', path: file.path, line: 1, message });
  }
  return found;
}

type Complaint = readonly [rule: string, message: string];

function checkNode(path: string, visit: Visit): readonly Complaint[] {
  const complaints = [...checkErasable(visit.node)];
  if (pure(path)) complaints.push(...checkPure(visit.node));
  const name = globalName(visit);
  if (name === undefined) return complaints;
  if (name === 'console' && !fits(path, CONSOLE)) {
    complaints.push(['console', 'write to a Log (lib/port/log.ts)']);
  }
  if (!fits(path, SHELL)) complaints.push(...checkGlobal({ path, name, visit }));
  return complaints;
}

function checkErasable(node: Node): readonly Complaint[] {
  const name = node.type;
  if (name === 'TSEnumDeclaration') return [['erasable', 'no enum: a union of string literals']];
  if (name === 'TSParameterProperty') return [['erasable', 'no parameter property: declare #name']];
  if (name === 'TSImportEqualsDeclaration' || name === 'TSExportAssignment') {
    return [['erasable', 'ES modules only']];
  }
  // `declare module 'x'` and `declare global` only describe; they leave no code behind.
  const describes = textOf(node['id']) !== undefined || nameOf(node['id']) === 'global';
  if (name === 'TSModuleDeclaration' && !describes) return [['erasable', 'no namespace: a module']];
  const member = name === 'PropertyDefinition' || name === 'MethodDefinition';
  const hidden = node['accessibility'] === 'private' || node['accessibility'] === 'protected';
  // A constructor cannot be called #constructor.
  if (member && hidden && node['kind'] !== 'constructor') {
    return [['private', 'use #name, which holds at run time too']];
  }
  return [];
}

function checkPure(node: Node): readonly Complaint[] {
  const waits =
    node.type === 'AwaitExpression' ||
    node['async'] === true ||
    (node.type === 'ForOfStatement' && node['await'] === true);
  return waits ? [['pure', 'is pure: a file that waits cannot be replayed']] : [];
}

/** Fields in which an identifier is a label or a key, not a value. */
const KEY_FIELDS: Readonly<Record<string, readonly string[]>> = {
  MemberExpression: ['property'],
  Property: ['key'],
  PropertyDefinition: ['key'],
  MethodDefinition: ['key'],
  AccessorProperty: ['key'],
};
const LABEL_FIELDS: Readonly<Record<string, readonly string[]>> = {
  ImportSpecifier: ['imported'],
  ExportSpecifier: ['exported'],
  ExportAllDeclaration: ['exported'],
  LabeledStatement: ['label'],
  BreakStatement: ['label'],
  ContinueStatement: ['label'],
  MetaProperty: ['meta', 'property'],
};
/** The only TypeScript nodes that hold values. */
const VALUE_WRAPPERS = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
  'TSInstantiationExpression',
  'TSParameterProperty',
  'TSExportAssignment',
]);

/** The identifier's name when it stands for a value (or hides one: a local called `Date`). */
function globalName({ node, parent, field }: Visit): string | undefined {
  const name = nameOf(node);
  if (name === undefined || parent === undefined) return undefined;
  const labels = parent.type in LABEL_FIELDS ? LABEL_FIELDS[parent.type] : undefined;
  if (labels?.includes(field) === true) return undefined;
  const keys = parent.type in KEY_FIELDS ? KEY_FIELDS[parent.type] : undefined;
  if (keys?.includes(field) === true && parent['computed'] !== true) return undefined;
  if (parent.type.startsWith('TS') && !VALUE_WRAPPERS.has(parent.type)) return undefined;
  return name;
}

const FROM_A_PORT = 'take time, chance and environment from a port (lib/port)';
const BANNED = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'performance',
  'crypto',
  'globalThis',
  'global',
  'eval',
  'Function',
]);
/** What may be done with a global that is only partly a clock or a die. */
const PARTLY: Readonly<Record<string, (visit: Visit) => boolean>> = {
  // `new Date(ms)` and `Date.UTC` calculate; `Date.now()`, `new Date()` and `Date()` look.
  Date: ({ parent, field, node }) =>
    (parent?.type === 'NewExpression' &&
      field === 'callee' &&
      nodesIn(parent['arguments']).length > 0) ||
    memberOf(parent, node) === 'UTC',
  Math: ({ parent, node }) => !['random', undefined].includes(memberOf(parent, node)),
  AbortSignal: ({ parent, node }) => !['timeout', undefined].includes(memberOf(parent, node)),
};
const AMBIENT_OF_PROCESS = new Set(['env', 'hrtime', 'uptime', 'getBuiltinModule']);

function checkGlobal(options: { path: string; name: string; visit: Visit }): readonly Complaint[] {
  const { path, name, visit } = options;
  if (BANNED.has(name)) return [['ambient', `${name}: ${FROM_A_PORT}`]];
  if (name === 'process') {
    const member = memberOf(visit.parent, visit.node);
    const fine =
      fits(path, PROCESS_ENTRIES) && member !== undefined && !AMBIENT_OF_PROCESS.has(member);
    return fine ? [] : [['ambient', `process: ${FROM_A_PORT}`]];
  }
  const allows = Object.hasOwn(PARTLY, name) ? PARTLY[name] : undefined;
  if (allows === undefined || allows(visit)) return [];
  return [['ambient', `${name}: ${FROM_A_PORT}; no alias of it either`]];
}

/** The member that is read from `object` where the parent is `object.member`. */
function memberOf(parent: Node | undefined, object: Node): string | undefined {
  if (parent?.type !== 'MemberExpression' || parent['object'] !== object) return undefined;
  return parent['computed'] === true ? textOf(parent['property']) : nameOf(parent['property']);
}

function isBarrel(program: Node): boolean {
  const statements = nodesIn(program['body']);
  const reexports = statements.filter(
    (one) =>
      one.type === 'ExportAllDeclaration' ||
      (one.type === 'ExportNamedDeclaration' && (one['declaration'] ?? null) === null),
  );
  const imports = statements.filter((one) => one.type === 'ImportDeclaration');
  return reexports.length > 0 && reexports.length + imports.length === statements.length;
}
