// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface Claim {
  'user'?: (string);
  'order'?: (number);
  'amountCents'?: (number | string | Long);
  'at'?: (number | string | Long);
}

export interface Claim__Output {
  'user': (string);
  'order': (number);
  'amountCents': (string);
  'at': (string);
}
