// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface PacketQuery {
  'user'?: (string);
  'packetId'?: (number | string | Long);
  'grant'?: (Buffer | Uint8Array | string);
}

export interface PacketQuery__Output {
  'user': (string);
  'packetId': (string);
  'grant': (Buffer);
}
