// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface LedgerLine {
  'lsn'?: (number | string | Long);
  'index'?: (number);
  'amountCents'?: (number | string | Long);
  'reason'?: (string);
  'packetId'?: (number | string | Long);
  'at'?: (number | string | Long);
}

export interface LedgerLine__Output {
  'lsn': (string);
  'index': (number);
  'amountCents': (string);
  'reason': (string);
  'packetId': (string);
  'at': (string);
}
