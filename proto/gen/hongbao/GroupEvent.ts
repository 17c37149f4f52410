// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface GroupEvent {
  'groupId'?: (number | string | Long);
  'change'?: (string);
  'user'?: (string);
  'name'?: (string);
  'version'?: (number | string | Long);
  'role'?: (string);
}

export interface GroupEvent__Output {
  'groupId': (string);
  'change': (string);
  'user': (string);
  'name': (string);
  'version': (string);
  'role': (string);
}
