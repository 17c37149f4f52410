// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface CommandBatch {
  'topologyVersion'?: (number | string | Long);
  'body'?: (Buffer | Uint8Array | string);
}

export interface CommandBatch__Output {
  'topologyVersion': (string);
  'body': (Buffer);
}
