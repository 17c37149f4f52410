// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface LedgerQuery {
  'user'?: (string);
  'beforeLsn'?: (number | string | Long);
  'limit'?: (number);
}

export interface LedgerQuery__Output {
  'user': (string);
  'beforeLsn': (string);
  'limit': (number);
}
