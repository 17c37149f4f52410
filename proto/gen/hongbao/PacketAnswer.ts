// Original file: proto/hongbao.proto

import type { Claim as _hongbao_Claim, Claim__Output as _hongbao_Claim__Output } from '../hongbao/Claim.ts';
import type { Long } from '@grpc/proto-loader';

export interface PacketAnswer {
  'packetId'?: (number | string | Long);
  'groupId'?: (number | string | Long);
  'sender'?: (string);
  'kind'?: (string);
  'strategy'?: (string);
  'timing'?: (string);
  'count'?: (number);
  'taken'?: (number);
  'greeting'?: (string);
  'phase'?: (string);
  'createdAt'?: (number | string | Long);
  'expiresAt'?: (number | string | Long);
  'endedAt'?: (number | string | Long);
  'seedHash'?: (Buffer | Uint8Array | string);
  'seed'?: (Buffer | Uint8Array | string);
  'amountsShown'?: (boolean);
  'totalCents'?: (number | string | Long);
  'takenCents'?: (number | string | Long);
  'refundedCents'?: (number | string | Long);
  'mine'?: (_hongbao_Claim | null);
  'best'?: (_hongbao_Claim | null);
}

export interface PacketAnswer__Output {
  'packetId': (string);
  'groupId': (string);
  'sender': (string);
  'kind': (string);
  'strategy': (string);
  'timing': (string);
  'count': (number);
  'taken': (number);
  'greeting': (string);
  'phase': (string);
  'createdAt': (string);
  'expiresAt': (string);
  'endedAt': (string);
  'seedHash': (Buffer);
  'seed': (Buffer);
  'amountsShown': (boolean);
  'totalCents': (string);
  'takenCents': (string);
  'refundedCents': (string);
  'mine': (_hongbao_Claim__Output | null);
  'best': (_hongbao_Claim__Output | null);
}
