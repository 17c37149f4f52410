// Original file: proto/hongbao.proto

import type { SentLane as _hongbao_SentLane, SentLane__Output as _hongbao_SentLane__Output } from '../hongbao/SentLane.ts';
import type { ReceivedLane as _hongbao_ReceivedLane, ReceivedLane__Output as _hongbao_ReceivedLane__Output } from '../hongbao/ReceivedLane.ts';

export interface LanesAnswer {
  'sent'?: (_hongbao_SentLane)[];
  'received'?: (_hongbao_ReceivedLane)[];
}

export interface LanesAnswer__Output {
  'sent': (_hongbao_SentLane__Output)[];
  'received': (_hongbao_ReceivedLane__Output)[];
}
