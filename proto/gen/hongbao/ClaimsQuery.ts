// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface ClaimsQuery {
  'user'?: (string);
  'packetId'?: (number | string | Long);
  'grant'?: (Buffer | Uint8Array | string);
  'afterOrder'?: (number);
  'limit'?: (number);
}

export interface ClaimsQuery__Output {
  'user': (string);
  'packetId': (string);
  'grant': (Buffer);
  'afterOrder': (number);
  'limit': (number);
}
