// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface StatisticsQuery {
  'user'?: (string);
  'fromAt'?: (number | string | Long);
  'toAt'?: (number | string | Long);
  'afterLsn'?: (number | string | Long);
  'afterLeg'?: (number);
}

export interface StatisticsQuery__Output {
  'user': (string);
  'fromAt': (string);
  'toAt': (string);
  'afterLsn': (string);
  'afterLeg': (number);
}
