// Original file: proto/hongbao.proto

import type { ReplicaStatus as _hongbao_ReplicaStatus, ReplicaStatus__Output as _hongbao_ReplicaStatus__Output } from '../hongbao/ReplicaStatus.ts';
import type { Long } from '@grpc/proto-loader';

export interface NodeStatus {
  'setId'?: (number);
  'nodeSlot'?: (number);
  'role'?: (string);
  'epoch'?: (number | string | Long);
  'leaderEpoch'?: (number | string | Long);
  'lsn'?: (number | string | Long);
  'commitLsn'?: (number | string | Long);
  'replicas'?: (_hongbao_ReplicaStatus)[];
  'reason'?: (string);
  'rules'?: (number);
  'rulesMax'?: (number);
}

export interface NodeStatus__Output {
  'setId': (number);
  'nodeSlot': (number);
  'role': (string);
  'epoch': (string);
  'leaderEpoch': (string);
  'lsn': (string);
  'commitLsn': (string);
  'replicas': (_hongbao_ReplicaStatus__Output)[];
  'reason': (string);
  'rules': (number);
  'rulesMax': (number);
}
