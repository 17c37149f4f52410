// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface OutboxEntry {
  'to'?: (number);
  'lane'?: (number);
  'number'?: (number | string | Long);
  'transfer'?: (Buffer | Uint8Array | string);
}

export interface OutboxEntry__Output {
  'to': (number);
  'lane': (number);
  'number': (string);
  'transfer': (Buffer);
}
