// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface ReceivedLane {
  'from'?: (number);
  'lane'?: (number);
  'upTo'?: (number | string | Long);
  'above'?: (number);
  'tombstones'?: (number);
}

export interface ReceivedLane__Output {
  'from': (number);
  'lane': (number);
  'upTo': (string);
  'above': (number);
  'tombstones': (number);
}
