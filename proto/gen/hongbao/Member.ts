// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface Member {
  'user'?: (string);
  'role'?: (string);
  'joinedAt'?: (number | string | Long);
  'readSeq'?: (number | string | Long);
}

export interface Member__Output {
  'user': (string);
  'role': (string);
  'joinedAt': (string);
  'readSeq': (string);
}
