// Original file: proto/hongbao.proto

import type { Member as _hongbao_Member, Member__Output as _hongbao_Member__Output } from '../hongbao/Member.ts';
import type { Long } from '@grpc/proto-loader';

export interface GroupAnswer {
  'groupId'?: (number | string | Long);
  'name'?: (string);
  'owner'?: (string);
  'history'?: (string);
  'lastSeq'?: (number | string | Long);
  'createdAt'?: (number | string | Long);
  'members'?: (_hongbao_Member)[];
}

export interface GroupAnswer__Output {
  'groupId': (string);
  'name': (string);
  'owner': (string);
  'history': (string);
  'lastSeq': (string);
  'createdAt': (string);
  'members': (_hongbao_Member__Output)[];
}
