// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface Message {
  'groupId'?: (number | string | Long);
  'seq'?: (number | string | Long);
  'sender'?: (string);
  'kind'?: (string);
  'body'?: (string);
  'at'?: (number | string | Long);
  'clientMsgId'?: (string);
}

export interface Message__Output {
  'groupId': (string);
  'seq': (string);
  'sender': (string);
  'kind': (string);
  'body': (string);
  'at': (string);
  'clientMsgId': (string);
}
