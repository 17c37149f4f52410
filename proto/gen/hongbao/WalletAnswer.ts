// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface WalletAnswer {
  'exists'?: (boolean);
  'balanceCents'?: (number | string | Long);
  'frozen'?: (boolean);
}

export interface WalletAnswer__Output {
  'exists': (boolean);
  'balanceCents': (string);
  'frozen': (boolean);
}
