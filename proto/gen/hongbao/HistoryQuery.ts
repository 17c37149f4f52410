// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface HistoryQuery {
  'user'?: (string);
  'groupId'?: (number | string | Long);
  'fromSeq'?: (number | string | Long);
  'toSeq'?: (number | string | Long);
  'limit'?: (number);
  'reverse'?: (boolean);
}

export interface HistoryQuery__Output {
  'user': (string);
  'groupId': (string);
  'fromSeq': (string);
  'toSeq': (string);
  'limit': (number);
  'reverse': (boolean);
}
