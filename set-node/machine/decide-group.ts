import { setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Decision } from './context.ts';
import { withoutEffects } from './context.ts';
import type { At, Of } from './decision.ts';
import { done, outgoing, refused } from './decision.ts';
import { countsAt } from './groups.ts';

export function createGroup({ state }: At, command: Of<'group.create'>): Decision {
  const { type, user, groupId, name, history } = command;
  const hints = state.people.get(user)?.hints.size ?? 0;
  if (hints >= LIMITS.userGroupsMax) return refused(command, 'too_many_groups');
  const transfer = { kind: 'group.found', groupId, owner: user, name, history } as const;
  return done({
    outcome: { type, status: 'ok', groupId },
    sends: [outgoing(state, { to: setOfId(groupId), transfer })],
  });
}

export function joinGroup({ state, found, world }: At, command: Of<'group.join'>): Decision {
  const { type, user, invite } = command;
  const group = state.groups.get(invite.groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  const member = group.members.get(user);
  if (member !== undefined) {
    const { role, joinedSeq } = member;
    return withoutEffects({
      type,
      status: 'ok',
      role,
      version: group.version,
      joinedSeq,
      seq: group.seq,
    });
  }
  if (found.invite !== 'valid') return refused(command, 'invite_invalid');
  if (world.ts >= invite.expiresAt) return refused(command, 'invite_expired');
  if (group.members.size >= LIMITS.groupMembersMax) return refused(command, 'group_full');
  const version = group.version + 1;
  const { groupId, name } = group;
  const transfer = { kind: 'member.hint', groupId, user, version, present: true, name } as const;
  return done({
    outcome: {
      type,
      status: 'ok',
      role: 'member',
      version,
      joinedSeq: group.seq,
      seq: group.seq + 1,
    },
    sends: [outgoing(state, { to: world.homeOf(user), transfer })],
  });
}

export function leaveGroup({ state, world }: At, command: Of<'group.leave'>): Decision {
  const { type, user, groupId } = command;
  const group = state.groups.get(groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  const member = group.members.get(user);
  if (member === undefined) return refused(command, 'not_a_member');
  // An owner hands the group over first; only the last one may turn off the light.
  if (member.role === 'owner' && group.members.size > 1) return refused(command, 'not_allowed');
  const version = group.version + 1;
  const transfer = {
    kind: 'member.hint',
    groupId,
    user,
    version,
    present: false,
    name: group.name,
  } as const;
  return done({
    outcome: { type, status: 'ok', version, seq: group.seq + 1 },
    sends: [outgoing(state, { to: world.homeOf(user), transfer })],
  });
}

export function sendMessage({ state, world }: At, command: Of<'message.send'>): Decision {
  const { type, user, groupId } = command;
  const group = state.groups.get(groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  if (!group.members.has(user)) return refused(command, 'not_a_member');
  return done({ outcome: { type, status: 'ok', seq: group.seq + 1, at: world.ts } });
}

export function readMessages({ state }: At, command: Of<'message.read'>): Decision {
  const { type, user, groupId } = command;
  const group = state.groups.get(groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  const member = group.members.get(user);
  if (member === undefined) return refused(command, 'not_a_member');
  const seq = Math.min(command.seq, group.seq);
  const unchanged = seq <= member.readSeq;
  const { readCount, ownAfter } = unchanged ? member : countsAt(group, { seq, user, member });
  const unread = Math.min(group.counting - readCount - ownAfter, LIMITS.unreadShownMax);
  const outcome = {
    type,
    status: 'ok',
    seq: Math.max(seq, member.readSeq),
    readCount,
    ownAfter,
    unread,
  } as const;
  return unchanged ? withoutEffects(outcome) : done({ outcome });
}
