// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface LastSeqsQuery {
  'groupIds'?: (number | string | Long)[];
}

export interface LastSeqsQuery__Output {
  'groupIds': (string)[];
}
