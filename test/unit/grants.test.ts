import { expect, test } from 'vitest';
import { Grants } from '../../access/grants.ts';
import { limitsWith } from '../../access/limits.ts';
import { People } from '../../access/people.ts';
import type { Person } from '../../access/people.ts';
import { Topics } from '../../access/topics.ts';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { Writer } from '../../lib/core/bytes.ts';
import { RIGHT_SEND_PACKET, writeGrant } from '../../lib/core/grant.ts';
import { packId } from '../../lib/core/ids.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { QueryAnswer, Router } from '../../router/api.ts';

const SET = setId(1);
const GROUP = packId({ ms: 1_000, set: SET, sequence: 0 });

/** One person at one access node; answers of the group's Set come when the test gives them. */
class Stage {
  readonly asked: ((answer: QueryAnswer) => void)[] = [];
  readonly person: Person;
  readonly grants: Grants;

  constructor() {
    const clock = new ManualClock();
    const limits = limitsWith();
    const router = {
      homeOf: () => SET,
      watchUser: () => undefined,
      watchGroup: () => undefined,
      unwatchGroup: () => undefined,
      query: () => new Promise<QueryAnswer>((resolve) => this.asked.push(resolve)),
    } as unknown as Router;
    const topics = new Topics(router, () => undefined);
    const user = parseUserId('ann');
    if (user === null) throw new Error('not a user');
    this.person = new People({ router, clock, limits, topics }).enter(user);
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    this.grants = new Grants({ router, clock, log, limits, topics });
  }

  /** The answer to question `at`, as the Set had it at this LSN. */
  answer(at: number, { member, asOfLsn }: { member: boolean; asOfLsn: number }): void {
    const writer = new Writer();
    writeGrant(writer, {
      groupId: GROUP,
      role: 'member',
      rights: RIGHT_SEND_PACKET,
      groupLsn: lsn(asOfLsn),
      issuedAt: new ManualClock().now(),
      mac: new Uint8Array(16),
    });
    const membership = {
      groupId: String(GROUP),
      member,
      name: 'g',
      grant: member ? Buffer.from(writer.finish()) : Buffer.alloc(0),
      version: member ? '1' : '0',
      lastSeq: '1',
      readSeq: '0',
      firstSeq: '1',
      unread: 0,
      memberCount: 1,
    };
    const reply = { asOfLsn: String(asOfLsn), membership: { memberships: [membership] } };
    this.asked[at]?.({ status: 'ok', reply } as unknown as QueryAnswer);
  }
}

test('a no that was asked for before the request is not its answer', async () => {
  const stage = new Stage();
  const early = stage.grants.ask(stage.person, GROUP);
  const late = stage.grants.ask(stage.person, GROUP);
  const later = stage.grants.ask(stage.person, GROUP);
  expect(stage.asked).toHaveLength(1);
  stage.answer(0, { member: false, asOfLsn: 5 });
  expect((await early).kind).toBe('stranger');
  // Those who came meanwhile ask once more, together.
  expect(stage.asked).toHaveLength(2);
  stage.answer(1, { member: true, asOfLsn: 6 });
  expect([(await late).kind, (await later).kind]).toEqual(['member', 'member']);
});

test('a no that is older than the yes that is known takes nothing away', async () => {
  const stage = new Stage();
  const early = stage.grants.ask(stage.person, GROUP);
  const joined = stage.grants.ask(stage.person, GROUP, 9);
  stage.answer(1, { member: true, asOfLsn: 9 });
  expect((await joined).kind).toBe('member');
  stage.answer(0, { member: false, asOfLsn: 8 });
  expect((await early).kind).toBe('member');
  expect(stage.grants.fresh(stage.person, GROUP)).not.toBeNull();
  const left = stage.grants.ask(stage.person, GROUP);
  stage.answer(2, { member: false, asOfLsn: 12 });
  expect((await left).kind).toBe('stranger');
});
