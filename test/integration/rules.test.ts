/** Rulings 8: the rules of a Set are raised once every node can read them, and never before. */
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { readOps } from '../../ops/prove/journal.ts';
import { sumOf } from '../../reconciler/audit/sum.ts';
import { recover } from '../../set-node/log/replay.ts';
import { encodeState } from '../../set-node/machine/snapshot.ts';
import { SET, StandbyWorld } from './standby-world.ts';
import type { NodeOptions, StandbyNode } from './standby-world.ts';

const RESERVE = { type: 'ids.reserve', count: 1 } as const;
const OLD: NodeOptions = { nodes: 2, rulesMax: 1 };
const NEW: NodeOptions = { nodes: 2 };
const ANN = parseUserId('ann') ?? (() => expect.unreachable())();

/** A group of which ann is the owner and only member. */
async function found(w: StandbyWorld, leader: StandbyNode, first: number): Promise<Id> {
  const ids = await w.ask(leader, RESERVE);
  if (ids.status !== 'ok' || ids.type !== 'ids.reserve') throw new Error(ids.status);
  const groupId = ids.firstId;
  const transfers = [
    { kind: 'group.found', groupId, owner: ANN, name: 'g', history: 'all' },
  ] as const;
  await w.ask(leader, { type: 'transfer.deliver', from: SET, lane: 0, first, transfers });
  return groupId;
}

function leave(groupId: Id, ms: number): Command {
  const commandId = makeCommandId(ms, new Uint8Array(10).fill(7));
  return { type: 'group.leave', user: ANN, groupId, commandId };
}

async function journal(w: StandbyWorld, replica = 0): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (;;) {
    const after = lsn(entries.length);
    const more = await w.disks[replica]!.read({ after, limitBytes: 1_048_576 });
    if (more.length === 0) return entries;
    entries.push(...more);
  }
}

const formats = (entries: readonly Entry[]): number[] => [...new Set(entries.map((e) => e.format))];

/** Runs until the promise is settled. */
async function settled<T>(w: StandbyWorld, promise: Promise<T>): Promise<T> {
  let isOver = false;
  void promise.finally(() => (isOver = true)).catch(() => undefined);
  for (let turn = 0; turn < 600 && !isOver; turn++) await w.run(5);
  return promise;
}

async function stepDown(w: StandbyWorld, leader: StandbyNode): Promise<StandbyNode> {
  expect(await settled(w, leader.engine.stepDown())).toBe(true);
  const next = await w.untilLed(500, leader);
  // Both may compete again.
  await w.run(5_100);
  return next;
}

/** What an old build might have touched. */
async function everything(w: StandbyWorld): Promise<unknown> {
  const disks = w.disks.map(async (disk, replica) => {
    const row = await disk.fenceRow();
    const snapshot = await disk.readSnapshot();
    const kept = { row, snapshot, projected: await disk.projectedLsn() };
    return { ...kept, entries: (await journal(w, replica)).map(({ sum }) => sum) };
  });
  return Promise.all(disks);
}

describe('an old node and a new one', () => {
  test('[L23] an old leader with a new standby, and back: entries stay at rules 1', async () => {
    const w = await StandbyWorld.start(2, [OLD, NEW]);
    const first = await w.untilLed(1_500);
    const groupId = await found(w, first, 1);
    const seen: StandbyNode[] = [];
    for (let leader = first; seen.length < 3; leader = await stepDown(w, leader)) {
      seen.push(leader);
      expect(await w.ask(leader, leave(groupId, leader.clock.now()))).toMatchObject({
        status: 'malformed',
      });
      expect(await w.ask(leader, RESERVE)).toMatchObject({ status: 'ok' });
    }
    expect(seen.map(({ slot }) => slot)).toEqual([first.slot, 1 - first.slot, first.slot]);
    expect(formats(await journal(w))).toEqual([1]);
    expect(w.nodes.map(({ engine }) => engine.rules.max)).toEqual([1, 3]);
  });

  test('[L23] neither of them raises the rules', async () => {
    const w = await StandbyWorld.start(2, [OLD, NEW]);
    let leader = await w.untilLed(1_500);
    const why: Record<number, string> = {};
    for (let turn = 0; turn < 2; turn++, leader = await stepDown(w, leader)) {
      // Asked well, or asked by somebody who left the old node out.
      const askedSlots = leader.slot === 1 ? [1] : [0, 1];
      const reply = await settled(w, leader.engine.raiseRules({ rules: 2, askedSlots }));
      expect(reply).toMatchObject({ raised: false, rules: 1 });
      why[leader.slot] = reply.reason;
      const other = w.other(leader).engine.raiseRules({ rules: 2, askedSlots: [0, 1] });
      expect(await other).toMatchObject({ raised: false, reason: 'this node does not lead' });
    }
    expect(why).toEqual({
      0: 'this node reads up to rules 1',
      1: 'node 0 was not asked what it reads',
    });
    expect(formats(await journal(w))).toEqual([1]);
  });

  test('[L23] an old node that follows while the rules are raised refuses; the leader goes on', async () => {
    const w = await StandbyWorld.start(2, [OLD, NEW]);
    let leader = await w.untilLed(1_500);
    await w.run(500);
    if (leader.slot === 0) leader = await stepDown(w, leader);
    const old = w.other(leader);
    // Somebody swears that all were asked.
    const reply = leader.engine.raiseRules({ rules: 2, askedSlots: [0, 1] });
    expect(await settled(w, reply)).toMatchObject({ raised: true, rules: 2 });
    await w.run(500);
    expect(old.engine.status).toMatchObject({ kind: 'refused', error: { name: 'NodeTooOld' } });
    const groupId = await found(w, leader, 1);
    expect(await w.ask(leader, leave(groupId, leader.clock.now()))).toMatchObject({ status: 'ok' });
    // Nobody is left to take over: better than one who cannot read.
    leader.pause();
    const before = await everything(w);
    await w.run(5_000);
    expect(await everything(w)).toEqual(before);
  });
});

describe('when all nodes are new', () => {
  test('[L23] from the entry after CONFIG on the format is 2; both are replayed to the same state', async () => {
    const w = await StandbyWorld.start(2, [NEW, NEW]);
    const leader = await w.untilLed(1_500);
    const groupId = await found(w, leader, 1);
    const command = leave(groupId, leader.clock.now());
    expect(await w.ask(leader, command)).toMatchObject({ status: 'malformed' });
    const ask = { rules: 2, askedSlots: [0, 1] };
    expect(await settled(w, leader.engine.raiseRules(ask))).toMatchObject({ raised: true });
    const at = leader.engine.driver?.state.lsn;
    // Said again it is true, and nothing is journaled.
    expect(await settled(w, leader.engine.raiseRules(ask))).toEqual({
      raised: true,
      rules: 2,
      reason: '',
    });
    expect(leader.engine.driver?.state.lsn).toBe(at);
    for (const [rules, reason] of [
      [1, 'never lowered'],
      [4, 'reads up to rules 3'],
    ] as const) {
      const reply = await leader.engine.raiseRules({ ...ask, rules });
      expect(reply).toMatchObject({ raised: false, rules: 2 });
      expect(reply.reason).toContain(reason);
    }
    const answer = await w.ask(leader, command);
    expect(answer.status).toBe('ok');
    leader.pause(); // for good
    const heir = await w.untilLed(1_200);
    expect(await w.ask(heir, command)).toEqual(answer);
    await w.run(300);

    const { driver } = heir.engine;
    const entries = await journal(w);
    const config = entries.findLastIndex(({ kind }) => kind === 'CONFIG');
    expect(entries[config]?.lsn).toBe(at);
    expect(formats(entries.slice(0, config + 1))).toEqual([1]);
    expect(formats(entries.slice(config + 1))).toEqual([2]);
    expect(entries.slice(config + 1).length).toBeGreaterThan(1);
    const store = w.disks[0]!;
    const recovered = await recover({ store, setId: SET, commitLsn: driver!.commit, hash: sha256 });
    const sum = recovered.sum;
    expect(recovered.state.lsn).toBe(driver!.state.lsn);
    expect(encodeState({ state: recovered.state, sum })).toEqual(
      encodeState({ state: driver!.state, sum }),
    );
    // A reader that shares nothing with the program reads both.
    expect(entries.every((entry) => sumOf(entry).equals(entry.sum))).toBe(true);
    const actions = entries.flatMap((entry) => readOps(entry).map(({ action }) => action));
    const commandId = command.type === 'group.leave' ? String(command.commandId) : '';
    expect(actions.filter(({ kind }) => kind === 'leave')).toEqual([
      {
        kind: 'leave',
        groupId: String(groupId),
        user: 'ann',
        commandId: commandId.replaceAll('-', ''),
      },
    ]);
    const [, raised] = entries.filter(({ kind }) => kind === 'CONFIG');
    expect(() => readOps({ ...raised!, format: 4 })).toThrow('format 4');
  });

  test('[L23] an old node that is started then refuses, says why, and changes nothing', async () => {
    const w = await StandbyWorld.start(2, [NEW, NEW]);
    const leader = await w.untilLed(1_500);
    const reply = leader.engine.raiseRules({ rules: 2, askedSlots: [0, 1] });
    expect(await settled(w, reply)).toMatchObject({ raised: true });
    await w.ask(leader, RESERVE);
    await w.run(300); // the commit point is written lazily
    const config = (await journal(w)).findLast(({ kind }) => kind === 'CONFIG');
    const refused = async (at: number | undefined): Promise<void> => {
      const old = w.add(2, OLD);
      await w.run(3_000);
      expect(old.engine.status).toMatchObject({
        kind: 'refused',
        error: { name: 'NodeTooOld', setId: 1, lsn: at, rules: 2 },
      });
      const said = old.lines.find((line) => line.startsWith('set_refused'));
      expect(said).toContain('this node reads up to rules 1: this node is too old');
    };
    // With a leader in office.
    await refused(config?.lsn);
    expect(await w.ask(leader, RESERVE)).toMatchObject({ status: 'ok' });
    await w.run(300);
    // With none.
    for (const node of w.nodes) node.pause();
    let before = await everything(w);
    await refused(config?.lsn);
    expect(await everything(w)).toEqual(before);
    // By the snapshot that it starts from.
    const { state } = leader.engine.driver!;
    const snapshot = encodeState({ state, sum: (await journal(w)).at(-1)!.sum });
    for (const disk of w.disks) await disk.writeSnapshot(snapshot);
    before = await everything(w);
    await refused(state.lsn);
    expect(await everything(w)).toEqual(before);
  });

  describe('[L23] a CONFIG that one replica has stored when its leader dies', () => {
    const journals = (w: StandbyWorld): Promise<Entry[][]> =>
      Promise.all([0, 1, 2].map((replica) => journal(w, replica)));

    async function halfRaised(): Promise<{ w: StandbyWorld; dead: StandbyNode }> {
      const w = await StandbyWorld.start(1, [{ nodes: 1 }]);
      const dead = await w.untilLed(1_500);
      await w.ask(dead, RESERVE);
      dead.cut.add(1).add(2);
      void dead.engine.raiseRules({ rules: 2, askedSlots: [0] });
      await w.run(20);
      dead.pause(); // for good
      const heads = (await journals(w)).map((entries) => entries.at(-1)?.kind);
      expect(heads).toEqual(['CONFIG', 'OPS', 'OPS']);
      return { w, dead };
    }

    test('a new node adopts it and writes the new format', async () => {
      const { w, dead } = await halfRaised();
      w.add(1, NEW);
      const heir = await w.untilLed(3_000, dead);
      expect(heir.engine.rules).toEqual({ at: 2, max: 3 });
      await w.ask(heir, RESERVE);
      const entries = await journal(w, 1);
      expect(entries.at(-2)).toMatchObject({ kind: 'EPOCH_START', format: 2 });
      expect(entries.at(-1)).toMatchObject({ kind: 'OPS', format: 2 });
    });

    test('an old node refuses, and repairs nothing', async () => {
      const { w } = await halfRaised();
      const before = await journals(w);
      const old = w.add(1, OLD);
      await w.run(5_000);
      expect(old.engine.status).toMatchObject({ kind: 'refused', error: { rules: 2 } });
      expect(await journals(w)).toEqual(before);
    });
  });
});
