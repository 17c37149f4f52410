// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface PacketEvent {
  'packetId'?: (number | string | Long);
  'groupId'?: (number | string | Long);
  'phase'?: (string);
  'sender'?: (string);
  'kind'?: (string);
  'count'?: (number);
  'taken'?: (number);
  'greeting'?: (string);
  'at'?: (number | string | Long);
  'expiresAt'?: (number | string | Long);
  'seedHash'?: (Buffer | Uint8Array | string);
  'seed'?: (Buffer | Uint8Array | string);
}

export interface PacketEvent__Output {
  'packetId': (string);
  'groupId': (string);
  'phase': (string);
  'sender': (string);
  'kind': (string);
  'count': (number);
  'taken': (number);
  'greeting': (string);
  'at': (string);
  'expiresAt': (string);
  'seedHash': (Buffer);
  'seed': (Buffer);
}
