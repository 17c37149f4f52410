// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface ReplicaStatus {
  'replica'?: (number);
  'active'?: (boolean);
  'ackedLsn'?: (number | string | Long);
  'lagEntries'?: (number | string | Long);
}

export interface ReplicaStatus__Output {
  'replica': (number);
  'active': (boolean);
  'ackedLsn': (string);
  'lagEntries': (string);
}
