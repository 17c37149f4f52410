// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface JournalAnswer {
  'entries'?: (Buffer | Uint8Array | string)[];
  'commitLsn'?: (number | string | Long);
}

export interface JournalAnswer__Output {
  'entries': (Buffer)[];
  'commitLsn': (string);
}
