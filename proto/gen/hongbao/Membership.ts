// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface Membership {
  'groupId'?: (number | string | Long);
  'member'?: (boolean);
  'name'?: (string);
  'role'?: (string);
  'grant'?: (Buffer | Uint8Array | string);
  'lastSeq'?: (number | string | Long);
  'readSeq'?: (number | string | Long);
  'joinedSeq'?: (number | string | Long);
  'unread'?: (number);
  'memberCount'?: (number);
  'version'?: (number | string | Long);
  'firstSeq'?: (number | string | Long);
}

export interface Membership__Output {
  'groupId': (string);
  'member': (boolean);
  'name': (string);
  'role': (string);
  'grant': (Buffer);
  'lastSeq': (string);
  'readSeq': (string);
  'joinedSeq': (string);
  'unread': (number);
  'memberCount': (number);
  'version': (string);
  'firstSeq': (string);
}
