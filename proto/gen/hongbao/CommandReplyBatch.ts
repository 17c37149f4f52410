// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface CommandReplyBatch {
  'topologyVersion'?: (number | string | Long);
  'setId'?: (number);
  'epoch'?: (number | string | Long);
  'queueWaitUs'?: (number);
  'body'?: (Buffer | Uint8Array | string);
  'leaderEpoch'?: (number | string | Long);
}

export interface CommandReplyBatch__Output {
  'topologyVersion': (string);
  'setId': (number);
  'epoch': (string);
  'queueWaitUs': (number);
  'body': (Buffer);
  'leaderEpoch': (string);
}
