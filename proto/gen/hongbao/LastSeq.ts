// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface LastSeq {
  'groupId'?: (number | string | Long);
  'seq'?: (number | string | Long);
}

export interface LastSeq__Output {
  'groupId': (string);
  'seq': (string);
}
