// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface GroupHint {
  'groupId'?: (number | string | Long);
  'version'?: (number | string | Long);
  'present'?: (boolean);
  'name'?: (string);
}

export interface GroupHint__Output {
  'groupId': (string);
  'version': (string);
  'present': (boolean);
  'name': (string);
}
