// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface StatementQuery {
  'user'?: (string);
  'fromAt'?: (number | string | Long);
  'toAt'?: (number | string | Long);
  'throughLsn'?: (number | string | Long);
  'afterLsn'?: (number | string | Long);
  'afterLeg'?: (number);
  'limit'?: (number);
}

export interface StatementQuery__Output {
  'user': (string);
  'fromAt': (string);
  'toAt': (string);
  'throughLsn': (string);
  'afterLsn': (string);
  'afterLeg': (number);
  'limit': (number);
}
