// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface OutboxCursor {
  'to'?: (number);
  'lane'?: (number);
  'after'?: (number | string | Long);
}

export interface OutboxCursor__Output {
  'to': (number);
  'lane': (number);
  'after': (string);
}
