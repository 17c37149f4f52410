// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface InviteAnswer {
  'inviter'?: (string);
  'expiresAt'?: (number | string | Long);
  'mac'?: (Buffer | Uint8Array | string);
}

export interface InviteAnswer__Output {
  'inviter': (string);
  'expiresAt': (string);
  'mac': (Buffer);
}
