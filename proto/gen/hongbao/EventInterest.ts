// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface EventInterest {
  'topologyVersion'?: (number | string | Long);
  'addGroups'?: (number | string | Long)[];
  'removeGroups'?: (number | string | Long)[];
  'addUsers'?: (string)[];
  'removeUsers'?: (string)[];
}

export interface EventInterest__Output {
  'topologyVersion': (string);
  'addGroups': (string)[];
  'removeGroups': (string)[];
  'addUsers': (string)[];
  'removeUsers': (string)[];
}
