// Original file: proto/hongbao.proto

import type { OutboxEntry as _hongbao_OutboxEntry, OutboxEntry__Output as _hongbao_OutboxEntry__Output } from '../hongbao/OutboxEntry.ts';

export interface OutboxAnswer {
  'entries'?: (_hongbao_OutboxEntry)[];
}

export interface OutboxAnswer__Output {
  'entries': (_hongbao_OutboxEntry__Output)[];
}
