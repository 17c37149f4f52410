// Original file: proto/hongbao.proto

import type { Membership as _hongbao_Membership, Membership__Output as _hongbao_Membership__Output } from '../hongbao/Membership.ts';

export interface MembershipAnswer {
  'memberships'?: (_hongbao_Membership)[];
}

export interface MembershipAnswer__Output {
  'memberships': (_hongbao_Membership__Output)[];
}
