// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface OutboxRun {
  'to'?: (number);
  'lane'?: (number);
  'first'?: (number | string | Long);
  'transfers'?: (Buffer | Uint8Array | string);
}

export interface OutboxRun__Output {
  'to': (number);
  'lane': (number);
  'first': (string);
  'transfers': (Buffer);
}
