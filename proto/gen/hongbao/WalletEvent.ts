// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface WalletEvent {
  'user'?: (string);
  'balanceCents'?: (number | string | Long);
  'amountCents'?: (number | string | Long);
  'reason'?: (string);
  'packetId'?: (number | string | Long);
  'at'?: (number | string | Long);
}

export interface WalletEvent__Output {
  'user': (string);
  'balanceCents': (string);
  'amountCents': (string);
  'reason': (string);
  'packetId': (string);
  'at': (string);
}
