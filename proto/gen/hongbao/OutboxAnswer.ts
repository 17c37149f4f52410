// Original file: proto/hongbao.proto

import type { OutboxEntry as _hongbao_OutboxEntry, OutboxEntry__Output as _hongbao_OutboxEntry__Output } from '../hongbao/OutboxEntry.ts';
import type { OutboxRun as _hongbao_OutboxRun, OutboxRun__Output as _hongbao_OutboxRun__Output } from '../hongbao/OutboxRun.ts';

export interface OutboxAnswer {
  'entries'?: (_hongbao_OutboxEntry)[];
  'runs'?: (_hongbao_OutboxRun)[];
}

export interface OutboxAnswer__Output {
  'entries': (_hongbao_OutboxEntry__Output)[];
  'runs': (_hongbao_OutboxRun__Output)[];
}
