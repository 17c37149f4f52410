// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface SentLane {
  'to'?: (number);
  'lane'?: (number);
  'first'?: (number | string | Long);
  'next'?: (number | string | Long);
  'pendingCents'?: (number | string | Long);
}

export interface SentLane__Output {
  'to': (number);
  'lane': (number);
  'first': (string);
  'next': (string);
  'pendingCents': (string);
}
