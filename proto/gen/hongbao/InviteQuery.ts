// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface InviteQuery {
  'user'?: (string);
  'groupId'?: (number | string | Long);
  'lifetimeMs'?: (number | string | Long);
}

export interface InviteQuery__Output {
  'user': (string);
  'groupId': (string);
  'lifetimeMs': (string);
}
