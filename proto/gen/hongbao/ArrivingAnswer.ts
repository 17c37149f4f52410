// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface ArrivingAnswer {
  'arrivingCents'?: (number | string | Long);
  'transfers'?: (number);
}

export interface ArrivingAnswer__Output {
  'arrivingCents': (string);
  'transfers': (number);
}
