import { expect, test } from 'vitest';
import type { Id } from '../../lib/core/ids.ts';
import { decodeOps } from '../../lib/core/journal-entry.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { Faulty } from './set-log-world.ts';
import { World, user } from './set-log-world.ts';

async function withGroup(): Promise<{ w: World; groupId: Id }> {
  const w = await World.start(3);
  await w.fund('ann', 10_000);
  return { w, groupId: await w.foundGroup('ann') };
}

function at(w: World, replica: number): Faulty {
  const found = w.replicas[replica];
  if (found === undefined) throw new Error(`no replica ${replica}`);
  return found;
}

async function journal(replica: Faulty): Promise<Entry[]> {
  return replica.disk.read({ after: lsn(0), limitBytes: 2 ** 30 });
}

/** Virtual ms until this engine leads. */
async function untilLeading(w: World, limitMs: number): Promise<number> {
  const since = w.clock.monotonicMs();
  while (w.engine.driver === null && w.clock.monotonicMs() - since < limitMs) await w.run(10);
  expect(w.engine.status.kind).toBe('leading');
  return w.clock.monotonicMs() - since;
}

for (const stopped of [0, 1, 2]) {
  test(`a takeover does not wait for replica ${stopped}, which is stopped`, async () => {
    const { w, groupId } = await withGroup();
    await w.kill();
    const thaw = at(w, stopped).freeze();
    w.engine.start();
    expect(await untilLeading(w, 5_000)).toBeLessThan(800);
    const answers = w.submit(w.message('ann', groupId));
    await w.run(50);
    expect(answers[0]?.status).toBe('ok');
    thaw();
    // What was still asked of it lands now; then it is brought up beside the leader.
    await w.run(3_000);
    const heads = await Promise.all(
      w.replicas.map(async (one) => (await journal(one)).at(-1)?.sum),
    );
    expect(heads[stopped]).toEqual(heads[(stopped + 1) % 3]);
    expect(w.count('set_doubt')).toBe(0);
  });
}

test('a replica that stops in the middle of a takeover costs one more try', async () => {
  for (const ms of [0, 1, 2, 3, 4, 5]) {
    const { w } = await withGroup();
    await w.kill();
    w.engine.start();
    for (let turn = 0; turn < ms; turn++) await Promise.resolve();
    at(w, 0).freeze();
    expect(await untilLeading(w, 9_000)).toBeLessThan(3_000);
  }
});

test('without Q replicas: refused within 1 s, sealed ones unknown, served again within 3 s', async () => {
  const { w, groupId } = await withGroup();
  await w.run(500);
  const thaws = [at(w, 0).freeze(), at(w, 1).freeze()];
  const sealed = w.submit(w.message('ann', groupId));
  await w.run(10);
  const waiting = w.submit(w.message('ann', groupId));
  await w.run(1_000);
  expect(waiting.map(({ status }) => status)).toEqual(['set_unavailable']);
  expect(sealed).toEqual([]);
  const fresh = w.submit(w.message('ann', groupId));
  await w.run(10);
  expect(fresh.map(({ status }) => status)).toEqual(['set_unavailable']);
  await w.run(1_500);
  expect(sealed.map(({ status }) => status)).toEqual(['unknown']);
  for (let second = 0; second < 20; second++) {
    await w.run(1_000);
    const answers = w.submit(w.message('ann', groupId));
    await w.run(900);
    expect(answers.map(({ status }) => status)).toEqual(['set_unavailable']);
  }
  thaws[1]?.();
  expect(await untilLeading(w, 9_000)).toBeLessThan(3_000);
  const answers = w.submit(w.message('ann', groupId));
  await w.run(50);
  expect(answers[0]?.status).toBe('ok');
});

test('a stopped third replica slows nobody, holds no memory, and catches up from another', async () => {
  const { w, groupId } = await withGroup();
  const thaw = at(w, 2).freeze();
  const body = 'x'.repeat(8_000);
  let slowestMs = 0;
  for (let count = 0; count < 400; count++) {
    const since = w.clock.monotonicMs();
    const answers = w.submit({ ...w.message('ann', groupId), body });
    while (answers.length === 0 && w.clock.monotonicMs() - since < 5_000) await w.run(1);
    expect(answers[0]?.status).toBe('ok');
    slowestMs = Math.max(slowestMs, w.clock.monotonicMs() - since);
  }
  expect(slowestMs).toBeLessThan(5);
  const { setLog } = w.driver;
  expect(setLog.window.batches).toBeLessThanOrEqual(65);
  const { head } = setLog;
  thaw();
  await w.run(1_500);
  expect((await journal(at(w, 2))).length).toBe(head);
  await w.run(500);
  expect(setLog.window.batches).toBe(0);
});

test('[rulings 6] a replica set back with its memory raises an alarm and has no vote', async () => {
  const { w, groupId } = await withGroup();
  await w.run(500);
  const copy = at(w, 1).disk.diskCopy();
  for (let count = 0; count < 5; count++) await w.ask(w.message('ann', groupId));
  await w.run(500);
  await w.kill();
  at(w, 1).disk.revert(copy);
  at(w, 2).down = true;
  w.engine.start();
  await w.run(5_000);
  // One proved replica is no quorum: what it forgot may be what replica 2 alone has as well.
  expect(w.engine.status.kind).not.toBe('leading');
  expect(w.count('replica_amnesia')).toBeGreaterThan(0);
  at(w, 2).down = false;
  await untilLeading(w, 5_000);
  await w.run(2_000);
  // It came back by P9, with a new incarnation and everything.
  const row = await at(w, 1).disk.fenceRow();
  expect(row).toMatchObject({ proved: true });
  expect(row?.incarnation).toBeGreaterThan(1);
  expect((await journal(at(w, 1))).length).toBe(w.driver.setLog.head);
});

test('[rulings 6] two replicas that forgot what they acknowledged halt the Set for good', async () => {
  const { w, groupId } = await withGroup();
  await w.run(500);
  const copies = [0, 1].map((replica) => at(w, replica).disk.diskCopy());
  for (let count = 0; count < 5; count++) await w.ask(w.message('ann', groupId));
  await w.run(500);
  await w.kill();
  copies.forEach((copy, replica) => at(w, replica).disk.revert(copy));
  w.engine.start();
  await w.run(5_000);
  expect(w.engine.status).toMatchObject({ kind: 'refused', error: { name: 'CorruptEntry' } });
  expect(String((w.engine.status as { error: Error }).error.message)).toContain('replicas 0 and 1');
});

test('[rulings 6] a running replica that forgets is seen at its next append', async () => {
  const { w, groupId } = await withGroup();
  const alarms: number[] = [];
  w.engine = w.newEngine(1, { onAmnesia: (replica) => alarms.push(replica) });
  w.engine.start();
  await w.run(500);
  await w.ask(w.message('ann', groupId));
  const copy = at(w, 1).disk.diskCopy();
  for (let count = 0; count < 3; count++) await w.ask(w.message('ann', groupId));
  at(w, 1).disk.revert(copy);
  await w.ask(w.message('ann', groupId));
  expect(alarms).toEqual([1]);
  await w.run(2_000);
  // It forgot what it promised, too: only a new incarnation makes it good.
  expect((await at(w, 1).disk.fenceRow())?.incarnation).toBeGreaterThan(1);
  expect((await journal(at(w, 1))).length).toBe(w.driver.setLog.head);
});

test('[rulings 6] two doubtful and one away wait, until an operator signs --trust-disks', async () => {
  const { w, groupId } = await withGroup();
  await w.run(500);
  await w.kill();
  at(w, 0).disk.restart();
  at(w, 1).disk.restart();
  at(w, 2).down = true;
  w.engine.start();
  await w.run(20_000);
  expect(w.engine.status.kind).not.toBe('leading');
  await w.engine.stop();
  w.engine = w.newEngine(0, { trustDisks: true });
  w.engine.start();
  await untilLeading(w, 5_000);
  expect(w.lines.filter(({ event }) => event === 'trust_disks')).toHaveLength(1);
  expect((await w.ask(w.message('ann', groupId))).status).toBe('ok');
  at(w, 2).down = false;
  await w.run(3_000);
  expect((await journal(at(w, 2))).length).toBe(w.driver.setLog.head);
});

test('[rulings 6] --trust-disks is refused where a quorum is', async () => {
  const { w } = await withGroup();
  await w.kill();
  at(w, 2).disk.restart();
  w.engine = w.newEngine(0, { trustDisks: true });
  w.engine.start();
  await untilLeading(w, 5_000);
  expect(w.count('trust_disks')).toBe(0);
  expect(w.count('trust_disks_refused')).toBe(1);
});

test('[P8] a command that Q replicas will not store is found by bisection; the others go on', async () => {
  const { w, groupId } = await withGroup();
  const isBad = (entry: Entry): boolean =>
    decodeOps(entry).some(
      ({ command }) => command.type === 'message.send' && command.body === 'bad',
    );
  for (const replica of [0, 1]) at(w, replica).rejects = isBad;
  const send = ['a', 'b', 'bad', 'c', 'd'].map((body) => ({
    ...w.message('ann', groupId),
    body,
  }));
  const told = new Map<string, string[]>(send.map(({ body }) => [body, []]));
  // Clients ask again until they are told for good.
  for (let round = 0; round < 40; round++) {
    const asked = send.filter(({ body }) => !isFinal(told.get(body)));
    const tries = asked.map((command) => ({ body: command.body, answers: w.submit(command) }));
    await w.run(500);
    for (const { body, answers } of tries) {
      for (const { status } of answers) told.get(body)?.push(status);
    }
  }
  expect(told.get('bad')?.at(-1)).toBe('malformed');
  for (const body of ['a', 'b', 'c', 'd']) expect(told.get(body)?.at(-1)).toBe('ok');
  const bodies = (await journal(at(w, 0))).flatMap((entry) =>
    decodeOps(entry).flatMap(({ command }) =>
      command.type === 'message.send' ? command.body : [],
    ),
  );
  expect(bodies.toSorted()).toEqual(['a', 'b', 'c', 'd']);
  // Replica 2 had stored what the others would not: it is equal again.
  await w.run(2_000);
  expect((await journal(at(w, 2))).at(-1)?.sum).toEqual((await journal(at(w, 0))).at(-1)?.sum);
  expect(w.driver.state.people.get(user('ann'))?.balanceCents).toBe(10_000);
});

type Overrides = Partial<ReplicaStore>;

/** The stores of a world with some methods replaced by worse ones. */
function planted(w: World, make: (store: ReplicaStore) => Overrides): ReplicaStore[] {
  return w.replicas.map(({ store }) => {
    const overrides = make(store);
    return new Proxy(store, {
      get: (target, name) => Reflect.get(overrides, name) ?? (Reflect.get(target, name) as unknown),
    });
  });
}

/** Nothing that it acknowledged counts: entries were taken away here just now, it says. */
const untripped = (store: ReplicaStore): Overrides => ({
  takeOver: async (args) => {
    const reply = await store.takeOver(args);
    return reply.kind === 'promised' ? { ...reply, discardedBy: args.epoch } : reply;
  },
});

const unrecorded = (): Overrides => ({ recordIncarnation: async () => 'done' });

/**
 * Replica 0 sleeps while the others commit; then replica 1 is set back with its memory, replica 2
 * is away and replica 0 is back. Who leads now has lost what was answered; with replica 2 nobody
 * has. `restarts`: replica 1 was re-admitted since the copy.
 */
async function setBack(
  restarts: boolean,
  make: (store: ReplicaStore) => Overrides,
): Promise<{ leads: boolean; kept: boolean }> {
  const { w, groupId } = await withGroup();
  const replicas = planted(w, make);
  await w.kill();
  w.engine = w.newEngine(0, { replicas });
  w.engine.start();
  await untilLeading(w, 2_000);
  await w.run(500);
  const copy = at(w, 1).disk.diskCopy();
  if (restarts) at(w, 1).disk.restart();
  for (let count = 0; count < 3; count++) await w.ask(w.message('ann', groupId));
  await w.run(3_000);
  for (let count = 0; count < 3; count++) await w.ask(w.message('ann', groupId));
  at(w, 0).down = true;
  const told = await w.ask<'message.send'>(w.message('ann', groupId));
  expect(told.status).toBe('ok');
  w.driver.abandon();
  at(w, 0).down = false;
  at(w, 1).disk.revert(copy);
  at(w, 2).down = true;
  w.engine = w.newEngine(1, { replicas });
  w.engine.start();
  await w.run(5_000);
  const leads = w.engine.status.kind === 'leading';
  at(w, 2).down = false;
  await w.run(5_000);
  const seqs = (await journal(at(w, 0))).flatMap((entry) =>
    decodeOps(entry).flatMap(({ outcome }) =>
      outcome.type === 'message.send' && 'seq' in outcome ? [outcome.seq] : [],
    ),
  );
  return { leads, kept: seqs.includes(told.seq) };
}

const SAFE = { leads: false, kept: true };
const LOST = { leads: true, kept: false };

test('[rulings 6] the tripwire keeps what a replica with a lost memory has answered', async () => {
  expect(await setBack(false, () => ({}))).toEqual(SAFE);
  // The planted bug: without it the answer is gone.
  expect(await setBack(false, untripped)).toEqual(LOST);
});

test('[rulings 6] a re-admission that is recorded keeps it, and one that is not does not', async () => {
  expect(await setBack(true, untripped)).toEqual(SAFE);
  const neither = (store: ReplicaStore): Overrides => ({ ...untripped(store), ...unrecorded() });
  expect(await setBack(true, neither)).toEqual(LOST);
});

function isFinal(statuses: readonly string[] | undefined): boolean {
  return statuses?.some((status) => status === 'ok' || status === 'malformed') === true;
}
