// Original file: proto/hongbao.proto

import type { LastSeq as _hongbao_LastSeq, LastSeq__Output as _hongbao_LastSeq__Output } from '../hongbao/LastSeq.ts';

export interface LastSeqsAnswer {
  'last'?: (_hongbao_LastSeq)[];
}

export interface LastSeqsAnswer__Output {
  'last': (_hongbao_LastSeq__Output)[];
}
