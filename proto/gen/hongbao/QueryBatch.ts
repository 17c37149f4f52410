// Original file: proto/hongbao.proto

import type { Query as _hongbao_Query, Query__Output as _hongbao_Query__Output } from '../hongbao/Query.ts';
import type { Long } from '@grpc/proto-loader';

export interface QueryBatch {
  'topologyVersion'?: (number | string | Long);
  'queries'?: (_hongbao_Query)[];
}

export interface QueryBatch__Output {
  'topologyVersion': (string);
  'queries': (_hongbao_Query__Output)[];
}
