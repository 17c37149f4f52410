import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';

/** A node of the syntax tree (ESTree with TypeScript); fields are looked at by name. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly [field: string]: unknown;
}

/** A file as the rules see it; planted ones exist in memory only. */
export interface SourceFile {
  /** From the repository's folder, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** A TypeScript file with its tree. */
export interface ParsedFile extends SourceFile {
  readonly program: Node;
}

export interface Violation {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  /** What is wrong and what to do instead. */
  readonly message: string;
}

export const ROOT = resolve(import.meta.dirname, '../..');

/** Every file that git tracks or would track; without git, every file that is not fetched. */
export function repositoryFiles(): readonly string[] {
  try {
    const output = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const listed = output.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
    if (listed.length > 0) return listed;
  } catch {
    // An unpacked archive, another owner's checkout, or no git: look for ourselves.
  }
  return walkFolder('');
}

const FETCHED = new Set(['node_modules', '.git', '.runtime', '.data', 'dist']);

function walkFolder(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (FETCHED.has(entry.name)) return [];
    return entry.isDirectory() ? walkFolder(path) : [path];
  });
}

export function readSource(path: string): SourceFile {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** @throws Error when the file does not parse: a rule must never pass a file that it cannot read */
export function parse(file: SourceFile): ParsedFile {
  const { program, errors } = parseSync(file.path, file.text, { astType: 'ts' });
  const [error] = errors;
  if (error !== undefined) throw new Error(`${file.path} does not parse: ${error.message}`);
  if (!isNode(program)) throw new Error(`${file.path} has no tree`);
  return { ...file, program };
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

/** The nodes in a field: one, several, or none. */
export function nodesIn(value: unknown): readonly Node[] {
  if (Array.isArray(value)) return value.filter(isNode);
  return isNode(value) ? [value] : [];
}

export interface Visit {
  readonly node: Node;
  readonly parent: Node | undefined;
  /** The field of the parent that holds the node. */
  readonly field: string;
}

/** Every node below and including the root, parents first. */
export function* walk(root: Node): Generator<Visit> {
  const stack: Visit[] = [{ node: root, parent: undefined, field: '' }];
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    yield visit;
    for (const [field, value] of Object.entries(visit.node)) {
      for (const node of nodesIn(value)) stack.push({ node, parent: visit.node, field });
    }
  }
}

/** The text of a string literal, or undefined. */
export function textOf(value: unknown): string | undefined {
  return isNode(value) && value.type === 'Literal' && typeof value['value'] === 'string'
    ? value['value']
    : undefined;
}

/** The name of an identifier, or undefined. */
export function nameOf(value: unknown): string | undefined {
  return isNode(value) && value.type === 'Identifier' && typeof value['name'] === 'string'
    ? value['name']
    : undefined;
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
