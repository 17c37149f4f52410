// Original file: proto/hongbao.proto

import type { Event as _hongbao_Event, Event__Output as _hongbao_Event__Output } from '../hongbao/Event.ts';
import type { Long } from '@grpc/proto-loader';

export interface EventBatch {
  'topologyVersion'?: (number | string | Long);
  'setId'?: (number);
  'epoch'?: (number | string | Long);
  'firstNumber'?: (number | string | Long);
  'events'?: (_hongbao_Event)[];
  'wallets'?: (Buffer | Uint8Array | string);
  'walletCount'?: (number);
  'leaderEpoch'?: (number | string | Long);
  'asOfLsn'?: (number | string | Long);
}

export interface EventBatch__Output {
  'topologyVersion': (string);
  'setId': (number);
  'epoch': (string);
  'firstNumber': (string);
  'events': (_hongbao_Event__Output)[];
  'wallets': (Buffer);
  'walletCount': (number);
  'leaderEpoch': (string);
  'asOfLsn': (string);
}
