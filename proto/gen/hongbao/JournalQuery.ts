// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface JournalQuery {
  'afterLsn'?: (number | string | Long);
  'maxBytes'?: (number);
}

export interface JournalQuery__Output {
  'afterLsn': (string);
  'maxBytes': (number);
}
