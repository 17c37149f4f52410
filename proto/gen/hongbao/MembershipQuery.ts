// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface MembershipQuery {
  'user'?: (string);
  'groupIds'?: (number | string | Long)[];
}

export interface MembershipQuery__Output {
  'user': (string);
  'groupIds': (string)[];
}
