/** Rulings 1: membership travels as a grant; what was not given by the group's Set opens nothing. */
import { describe, expect, test } from 'vitest';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { grantMac, inviteMac } from '../../lib/core/grant.ts';
import { packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { lsn, setId, timeMs } from '../../lib/core/units.ts';
import { Seals } from '../../set-node/machine/findings.ts';
import { user } from '../golden/format-examples.ts';

const crypto = makeCrypto({
  seedKey: new Uint8Array(32),
  clusterSecret: new Uint8Array(32).fill(1),
});
const seals = new Seals(crypto);
const NOW = 1_000_000;
const GROUP = packId({ ms: 1, set: setId(7), sequence: 1 });
const PACKET = packId({ ms: 2, set: setId(3), sequence: 1 });
const BOB = user('bob');

const UNSIGNED = {
  groupId: GROUP,
  role: 'member',
  rights: 1,
  groupLsn: lsn(9),
  issuedAt: timeMs(NOW),
} as const;
const GRANT: Grant = { ...UNSIGNED, mac: grantMac(seals.keyOf(7), BOB, UNSIGNED) };

function open(grant: Grant | null, name = BOB): Command {
  return { type: 'packet.open', packetId: PACKET, user: name, grant };
}

/** A new one each time, and one that has seen the right grant before: caches must not be fooled. */
function findings(command: Command, ts: number): string[] {
  seals.findings(open(GRANT), NOW);
  return [new Seals(crypto), seals].map((each) => each.findings(command, ts).grant);
}

describe('a grant', () => {
  test('as it was given is valid, to the last millisecond of its minute', () => {
    expect(findings(open(GRANT), NOW)).toEqual(['valid', 'valid']);
    const last = NOW + LIMITS.grantAgeMsMax;
    expect(findings(open(GRANT), last)).toEqual(['valid', 'valid']);
    expect(findings(open(GRANT), last + 1)).toEqual(['expired', 'expired']);
  });

  test('none is none', () => {
    expect(findings(open(null), NOW)).toEqual(['absent', 'absent']);
  });

  const CHANGES: Partial<Grant>[] = [
    { groupId: packId({ ms: 1, set: setId(7), sequence: 2 }) },
    { groupId: packId({ ms: 1, set: setId(8), sequence: 1 }) },
    { role: 'owner' },
    { rights: 3 },
    { groupLsn: lsn(10) },
    { issuedAt: timeMs(NOW + 1) },
    { mac: GRANT.mac.map((byte, at) => (at === 15 ? byte ^ 1 : byte)) },
    { mac: new Uint8Array(16) },
  ];
  test.each(CHANGES)('with another %o is invalid', (change) => {
    expect(findings(open({ ...GRANT, ...change }), NOW)).toEqual(['invalid', 'invalid']);
  });

  test("somebody else's is invalid", () => {
    expect(findings(open(GRANT, user('eve')), NOW)).toEqual(['invalid', 'invalid']);
    expect(seals.vouches({ user: user('eve'), grant: GRANT })).toBe(false);
    expect(seals.vouches({ user: BOB, grant: GRANT })).toBe(true);
  });

  test("is signed with the key of the group's Set and no other", () => {
    const mac = grantMac(seals.keyOf(3), BOB, UNSIGNED);
    expect(findings(open({ ...GRANT, mac }), NOW)).toEqual(['invalid', 'invalid']);
  });

  test('covers lengths: text cannot slide from the user into the group', () => {
    const other = grantMac(seals.keyOf(7), user('bo'), UNSIGNED);
    expect(other).not.toEqual(GRANT.mac);
  });
});

describe('an invitation', () => {
  const unsigned = { groupId: GROUP, inviter: user('alice'), expiresAt: timeMs(NOW) };
  const invite = { ...unsigned, mac: inviteMac(seals.keyOf(7), unsigned) };
  const found = (change: Partial<typeof invite>): string =>
    seals.findings({ type: 'group.join', user: BOB, invite: { ...invite, ...change } }, NOW).invite;

  test('as it was given is valid for whoever holds it', () => expect(found({})).toBe('valid'));

  test.each([
    { inviter: user('eve') },
    { expiresAt: timeMs(NOW + 1) },
    { groupId: packId({ ms: 1, set: setId(7), sequence: 2 }) },
    { mac: GRANT.mac },
  ])('with another %o is invalid', (change) => expect(found(change)).toBe('invalid'));
});
