// Original file: proto/hongbao.proto

import type { QueryReply as _hongbao_QueryReply, QueryReply__Output as _hongbao_QueryReply__Output } from '../hongbao/QueryReply.ts';
import type { Long } from '@grpc/proto-loader';

export interface QueryReplyBatch {
  'topologyVersion'?: (number | string | Long);
  'setId'?: (number);
  'epoch'?: (number | string | Long);
  'replies'?: (_hongbao_QueryReply)[];
  'leaderEpoch'?: (number | string | Long);
  'shownLsn'?: (number | string | Long);
}

export interface QueryReplyBatch__Output {
  'topologyVersion': (string);
  'setId': (number);
  'epoch': (string);
  'replies': (_hongbao_QueryReply__Output)[];
  'leaderEpoch': (string);
  'shownLsn': (string);
}
