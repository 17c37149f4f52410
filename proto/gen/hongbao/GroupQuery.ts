// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface GroupQuery {
  'user'?: (string);
  'groupId'?: (number | string | Long);
}

export interface GroupQuery__Output {
  'user': (string);
  'groupId': (string);
}
