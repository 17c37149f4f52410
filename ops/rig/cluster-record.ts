/** What runs from a data directory, written down: so that another terminal can look at it and end it. */
import { readFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A process and when it began: a process id alone may be another's by now. */
export type Recorded = {
  readonly pid: number;
  /** Of this boot, in the kernel's ticks; empty where there is no /proc. */
  readonly began: string;
  readonly name: string;
  /** Where it listens, for people; may be empty. */
  readonly address: string;
};

export type ClusterRecord = {
  /** The `cluster up` that started the others and ends them. */
  readonly supervisor: Recorded;
  readonly processes: readonly Recorded[];
};

const FILE = 'cluster.json';

export function record(of: { pid: number; name: string; address: string }): Recorded {
  return { ...of, began: beganAt(of.pid) };
}

export async function writeRecord(dir: string, made: ClusterRecord): Promise<void> {
  const file = join(dir, FILE);
  await writeFile(`${file}.new`, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** null: nothing was started from there, or it was ended in order. Rejects when it is not ours. */
export async function readRecord(dir: string): Promise<ClusterRecord | null> {
  const text = await readFile(join(dir, FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  const read: unknown = JSON.parse(text);
  if (isRecord(read)) return read;
  throw Object.assign(new Error(`${join(dir, FILE)} is not what cluster up writes`), {
    code: 'bad_record',
  });
}

export function removeRecord(dir: string): Promise<void> {
  return rm(join(dir, FILE), { force: true });
}

/** Whether it is this very process that runs under its id. */
export function isAlive({ pid, began }: Recorded): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return beganAt(pid) === began && !isZombie(pid);
}

function beganAt(pid: number): string {
  // Field 22; the name stands in brackets and may contain anything.
  return fieldsOf(pid)[19] ?? '';
}

function isZombie(pid: number): boolean {
  return fieldsOf(pid)[0] === 'Z';
}

function fieldsOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

function isRecord(value: unknown): value is ClusterRecord {
  if (!isObject(value) || !isRecorded(value['supervisor'])) return false;
  const { processes } = value;
  return Array.isArray(processes) && processes.every(isRecorded);
}

function isRecorded(value: unknown): value is Recorded {
  if (!isObject(value)) return false;
  const texts = [value['began'], value['name'], value['address']];
  // 1 is init, and 0 and below are groups: nobody's to end from here.
  return Number(value['pid']) > 1 && texts.every((text) => typeof text === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
