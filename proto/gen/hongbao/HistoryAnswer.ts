// Original file: proto/hongbao.proto

import type { Message as _hongbao_Message, Message__Output as _hongbao_Message__Output } from '../hongbao/Message.ts';
import type { Long } from '@grpc/proto-loader';

export interface HistoryAnswer {
  'messages'?: (_hongbao_Message)[];
  'lastSeq'?: (number | string | Long);
}

export interface HistoryAnswer__Output {
  'messages': (_hongbao_Message__Output)[];
  'lastSeq': (string);
}
