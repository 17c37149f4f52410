// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface PaymentsQuery {
  'state'?: (string);
  'after'?: (number | string | Long);
  'limit'?: (number);
}

export interface PaymentsQuery__Output {
  'state': (string);
  'after': (string);
  'limit': (number);
}
