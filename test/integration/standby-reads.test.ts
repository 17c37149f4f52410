import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Ask } from '../../router/api.ts';
import { SessionMarks } from '../../router/session-marks.ts';
import { until } from './fake-set.ts';
import type { Person } from './reads-world.ts';
import { ReadsWorld, SET, pause, user } from './reads-world.ts';

const END = Number.MAX_SAFE_INTEGER;
const LONG = { timeout: 40_000 };

let w: ReadsWorld;
let ann: Person;

beforeEach(async () => {
  w = await ReadsWorld.start();
  ann = await w.person('ann');
}, 20_000);

afterEach(() => w.close(), 20_000);

function historyOf(of: Person, toSeq = END): Ask {
  const history = { user: of.name, groupId: String(of.groupId), fromSeq: 1, toSeq };
  return { history: { ...history, limit: 100, reverse: true } };
}

const ledgerOf = (of: Person): Ask => ({ ledger: { user: of.name, beforeLsn: 0, limit: 100 } });

function claimsOf(of: Person, packetId: bigint): Ask {
  const { bytes } = w.grant(of.name, ann.groupId);
  const claims = { user: of.name, packetId: String(packetId), grant: bytes };
  return { claims: { ...claims, afterOrder: 0, limit: 100 } };
}

async function say(by: Person, session = by.session): Promise<{ seq: number; lsn: number }> {
  const done = await w.do(
    {
      type: 'message.send',
      commandId: w.commandId(),
      user: by.me,
      groupId: by.groupId,
      kind: 'text',
      body: 'x',
      seenSeq: 0,
    },
    session,
  );
  return { seq: done.success.seq, lsn: done.lsn };
}

/** The router has heard from a standby that shows all that there is. */
async function warm(): Promise<void> {
  await w.ask(historyOf(ann), ann.session);
  await w.projected();
}

describe('[Q7] lists come from a standby', () => {
  test('that shows what the session has seen, and says how much it shows', LONG, async () => {
    const { packetId, lsn } = await w.packet(ann, 3);
    const { seq } = await say(ann);
    const open = { type: 'packet.open', packetId, user: ann.me } as const;
    const { grant } = w.grant('ann', ann.groupId);
    await w.do({ ...open, grant }, ann.session);
    await warm();
    const seen = ann.session.at(SET);
    for (const ask of [historyOf(ann), ledgerOf(ann), claimsOf(ann, packetId)]) {
      const { status, reply } = await w.ask(ask, ann.session);
      expect(status).toBe('ok');
      expect(Number(reply?.asOfLsn)).toBeGreaterThanOrEqual(seen);
    }
    expect(await w.standby.reads('standby')).toBe(3);
    const { status, reply } = await w.ask(historyOf(ann), ann.session);
    expect(status).toBe('ok');
    expect(reply?.history?.messages.map((one) => Number(one.seq))).toContain(seq);
    const lines = (await w.ask(ledgerOf(ann), ann.session)).reply?.ledger?.lines;
    expect(lines?.map((line) => Number(line.lsn))).toContain(lsn);
    const claims = (await w.ask(claimsOf(ann, packetId), ann.session)).reply?.claims?.claims;
    expect(claims?.map((claim) => claim.user)).toEqual(['ann']);
  });

  test('the same as from the leader, byte for byte', LONG, async () => {
    for (let count = 0; count < 5; count++) await say(ann);
    const { packetId } = await w.packet(ann, 2);
    for (const name of ['ann', 'bob']) {
      const { grant } = w.grant(name, ann.groupId);
      await w.do({ type: 'packet.open', packetId, user: user(name), grant });
    }
    await warm();
    for (const ask of [historyOf(ann), historyOf(ann, 3), ledgerOf(ann), claimsOf(ann, packetId)]) {
      const own = await w.askNode(w.standby, ask);
      const owner = await w.askNode(w.leader, ask);
      expect(own.status).toBe('ok');
      expect({ ...own, asOfLsn: '' }).toEqual({ ...owner, asOfLsn: '' });
    }
  });

  test('a session without a mark, balances and memberships go to the leader', LONG, async () => {
    await warm();
    const groupIds = [String(ann.groupId)];
    const asks: Ask[] = [
      { wallet: { user: 'ann' } },
      { membership: { user: 'ann', groupIds } },
      { group: { user: 'ann', groupId: String(ann.groupId) } },
      { lastSeqs: { groupIds } },
    ];
    for (const ask of asks) expect((await w.ask(ask, ann.session)).status).toBe('ok');
    const fresh = new SessionMarks();
    expect((await w.ask(historyOf(ann), fresh)).status).toBe('ok');
    expect(await w.standby.reads('standby')).toBe(0);
    expect((await w.ask(historyOf(ann), fresh)).status).toBe('ok');
    expect(await w.standby.reads('standby')).toBe(1);
    // Asked itself, it passes them on.
    for (const ask of asks) {
      expect((await w.askNode(w.standby, ask)).status).toBe('set_unavailable');
    }
  });

  test('a no is for the leader to say', LONG, async () => {
    await warm();
    const eve: Person = { ...ann, name: 'eve', me: user('eve') };
    expect((await w.askNode(w.standby, historyOf(eve))).status).toBe('set_unavailable');
    expect((await w.ask(historyOf(eve), ann.session)).status).toBe('not_a_member');
    const unknown = claimsOf(ann, BigInt(ann.groupId));
    expect((await w.askNode(w.standby, unknown)).status).toBe('set_unavailable');
    expect((await w.ask(unknown, ann.session)).status).toBe('packet_not_found');
  });
});

describe('[Q8] a standby never shows less than is asked for', () => {
  test('a question above what its replicas show is passed on', LONG, async () => {
    await say(ann);
    await warm();
    const shown = w.commit;
    expect((await w.askNode(w.standby, { ...historyOf(ann), atLsn: shown })).status).toBe('ok');
    const above = { ...historyOf(ann), atLsn: shown + 1 };
    expect((await w.askNode(w.standby, above)).status).toBe('set_unavailable');
    // The leader has it, or says that nobody has.
    const { seq, lsn } = await say(ann);
    const answer = await w.askNode(w.leader, { ...historyOf(ann), atLsn: lsn });
    expect(answer.history?.lastSeq).toBe(String(seq));
    expect(Number(answer.asOfLsn)).toBeGreaterThanOrEqual(lsn);
  });

  test('nor from a replica whose tables went backwards with its disk', LONG, async () => {
    await say(ann);
    await warm();
    const at = w.commit;
    // What its replicas said is not what they have: every one of them answers from further behind.
    for (const disk of w.disks) {
      const scan = disk.scan.bind(disk);
      disk.scan = async (query) => ({ ...(await scan(query)), asOfLsn: (at - 1) as never });
    }
    const ask = { ...historyOf(ann), atLsn: at };
    expect((await w.askNode(w.standby, ask)).status).toBe('set_unavailable');
  });

  test('a range that ends beyond its tables is the leader\u2019s to answer', LONG, async () => {
    const { seq } = await say(ann);
    await warm();
    expect((await w.askNode(w.standby, historyOf(ann, seq))).status).toBe('ok');
    expect((await w.askNode(w.standby, historyOf(ann, seq + 1))).status).toBe('set_unavailable');
  });

  test('what the leader has shown to a session is not taken back', LONG, async () => {
    await say(ann);
    await warm();
    const bob = new SessionMarks();
    const cat = new SessionMarks();
    for (const session of [bob, cat]) session.note(SET, w.commit);
    // From now on the tables stand still.
    for (const disk of w.disks) disk.project = () => disk.projectedLsn();
    const { seq, lsn } = await say(ann);
    // Bob hears of it from the leader: by a yes, and Cat by a no.
    await w.ask({ lastSeqs: { groupIds: [String(ann.groupId)] } }, bob);
    const stranger = { user: 'eve', groupId: String(ann.groupId) };
    expect((await w.ask({ group: stranger }, cat)).status).toBe('not_a_member');
    for (const session of [bob, cat]) {
      expect(session.at(SET)).toBeGreaterThanOrEqual(lsn);
      expect((await w.ask(historyOf(ann), session)).reply?.history?.lastSeq).toBe(String(seq));
    }
    // Who has seen nothing newer may still get the older list: it says how old.
    const dan = new SessionMarks();
    dan.note(SET, lsn - 1);
    const { reply } = await w.ask(historyOf(ann), dan);
    expect([reply?.history?.lastSeq, Number(reply?.asOfLsn)]).toEqual([String(seq - 1), lsn - 1]);
  });

  test('200 writes, each read back at once or later, whoever answers', LONG, async () => {
    const names = ['bob', 'cat', 'dan', 'eva', 'fay', 'gus', 'hal'];
    const people = [ann, ...(await Promise.all(names.map((name) => w.person(name))))];
    const { packetId } = await w.packet(ann, 100);
    await warm();
    let opened = 0;
    const read = async (of: Person, ask: Ask) => {
      const seen = of.session.at(SET);
      const { status, reply } = await w.ask(ask, of.session);
      expect(status).toBe('ok');
      // Monotone: at least what the session was shown before.
      expect(Number(reply?.asOfLsn)).toBeGreaterThanOrEqual(seen);
      return reply;
    };
    const steps: ((of: Person, step: number) => Promise<void>)[] = [
      async (of) => {
        const { seq } = await say(of);
        if (w.random.below(3) === 0) await pause(w.random.below(1_000));
        const reply = await read(of, historyOf(of));
        // A packet's own message may have come in between.
        expect(reply?.history?.messages.map((one) => one.seq)).toContain(String(seq));
      },
      async (of) => {
        const sent = await w.packet(of, 1);
        if (w.random.below(2) === 0) await pause(w.random.below(1_000));
        const reply = await read(of, ledgerOf(of));
        expect(reply?.ledger?.lines.map((line) => Number(line.lsn))).toContain(sent.lsn);
      },
      async (of, step) => {
        // A new name for every share; the session is the same.
        const name = `${of.name}-${step}`;
        const { grant } = w.grant(name, ann.groupId);
        const open = { type: 'packet.open', packetId, user: user(name), grant } as const;
        const { success } = await w.do(open, of.session);
        opened = Math.max(opened, success.order);
        if (w.random.below(3) === 0) await pause(w.random.below(1_000));
        const reply = await read(of, claimsOf({ ...of, name }, packetId));
        const claims = reply?.claims?.claims ?? [];
        expect(claims.map((claim) => claim.user)).toContain(name);
        expect(claims.length).toBeGreaterThanOrEqual(success.order);
      },
    ];
    const run = async (of: Person): Promise<void> => {
      for (let step = 0; step < 25; step++) {
        await steps[w.random.below(opened >= 90 ? 2 : 3)]?.(of, step);
      }
    };
    await Promise.all(people.map(run));
    expect(await w.standby.reads('standby')).toBeGreaterThan(20);
    expect(await w.leader.reads('leader')).toBeGreaterThan(20);
  });
});

describe('[Q9] whoever is away costs a reader little', () => {
  async function timed(ask: () => Promise<{ status: string }>): Promise<number> {
    const since = performance.now();
    expect((await ask()).status).toBe('ok');
    return performance.now() - since;
  }

  test('a standby that is killed: the leader answers within the deadline', LONG, async () => {
    await say(ann);
    await warm();
    const asked = Promise.all(
      Array.from({ length: 20 }, () => timed(() => w.ask(historyOf(ann), ann.session))),
    );
    const { standby } = w;
    await standby.server.stop();
    expect(Math.max(...(await asked))).toBeLessThan(2_000);
    expect(await timed(() => w.ask(historyOf(ann), ann.session))).toBeLessThan(500);
  });

  test(
    'a standby whose replicas are all stopped: the leader, and it first after that',
    LONG,
    async () => {
      await say(ann);
      await warm();
      for (const replica of [0, 1, 2]) w.standby.hung.add(replica);
      expect(await timed(() => w.ask(historyOf(ann), ann.session))).toBeLessThan(1_500);
      await pause(2_500);
      const before = await w.standby.reads('standby', 'passed_on');
      expect(await timed(() => w.ask(historyOf(ann), ann.session))).toBeLessThan(200);
      expect(await w.standby.reads('standby', 'passed_on')).toBe(before);
    },
  );

  test('a stopped replica is passed over, and not asked first again', LONG, async () => {
    await say(ann);
    await warm();
    w.standby.hung.add(0);
    expect(await timed(() => w.askNode(w.standby, historyOf(ann)))).toBeLessThan(1_000);
    expect(await timed(() => w.askNode(w.standby, historyOf(ann)))).toBeLessThan(250);
    w.standby.hung.clear();
    w.leader.hung.add(0);
    expect(await timed(() => w.askNode(w.leader, ledgerOf(ann)))).toBeLessThan(1_500);
    expect(await timed(() => w.askNode(w.leader, ledgerOf(ann)))).toBeLessThan(250);
  });

  test(
    'one replica alone is no witness: a standby with fewer than Q answers nothing',
    LONG,
    async () => {
      await say(ann);
      await warm();
      w.standby.hung.add(0).add(1);
      await pause(2_500);
      expect((await w.askNode(w.standby, historyOf(ann))).status).toBe('set_unavailable');
      w.standby.hung.clear();
    },
  );

  test('a replica that lags far behind the others is not read from', LONG, async () => {
    await warm();
    const [cut] = w.disks;
    if (cut === undefined) throw new Error('none');
    cut.project = () => new Promise(() => undefined);
    const { seq } = await say(ann);
    await until(() => w.leader.server.engine.driver?.projections.quorumLsn() === w.commit);
    await pause(6_000);
    w.standby.hung.add(1).add(2);
    // It was told 5 s ago that others show more.
    expect((await w.askNode(w.standby, historyOf(ann))).status).toBe('set_unavailable');
    w.standby.hung.clear();
    await pause(600);
    const answer = await w.askNode(w.standby, historyOf(ann));
    expect(answer.history?.lastSeq).toBe(String(seq));
  });

  test('the leader falls: lists go on meanwhile', LONG, async () => {
    await say(ann);
    await warm();
    const { leader, standby } = w;
    for (const replica of [0, 1, 2]) leader.hung.add(replica);
    expect(await timed(() => w.ask(historyOf(ann), ann.session))).toBeLessThan(500);
    await until(() => standby.leads, 5_000);
    expect(await timed(() => w.ask(historyOf(ann), ann.session))).toBeLessThan(2_000);
  });

  test('a clean end does not wait for a stopped replica', LONG, async () => {
    await say(ann);
    w.leader.hung.add(2);
    const since = performance.now();
    await w.leader.server.stop();
    expect(performance.now() - since).toBeLessThan(5_500);
  });
});

test('[Q7] switched off, everything comes from the leader', LONG, async () => {
  await w.close();
  w = await ReadsWorld.start({ standbyReads: false });
  ann = await w.person('ann');
  const { seq } = await say(ann);
  await warm();
  const { reply } = await w.ask(historyOf(ann), ann.session);
  expect(reply?.history?.lastSeq).toBe(String(seq));
  expect(await w.standby.reads('standby')).toBe(0);
});

describe('[AU3] a journal comes from a standby', () => {
  test('its committed rows, and the leader reads none', LONG, async () => {
    await w.packet(ann, 3);
    const ask: Ask = { journal: { afterLsn: '0', maxBytes: 1_000_000 } };
    await w.ask(ask);
    await w.projected();
    const byLeader = await w.leader.reads('leader');
    const { status, reply } = await w.ask(ask);
    expect(status).toBe('ok');
    const entries = reply?.journal?.entries ?? [];
    expect(entries.length).toBeGreaterThan(2);
    expect(entries.length).toBeLessThanOrEqual(Number(reply?.journal?.commitLsn));
    expect(await w.leader.reads('leader')).toBe(byLeader);
  });
});
