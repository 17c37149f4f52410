// Original file: proto/hongbao.proto

import type { LedgerLine as _hongbao_LedgerLine, LedgerLine__Output as _hongbao_LedgerLine__Output } from '../hongbao/LedgerLine.ts';

export interface LedgerAnswer {
  'lines'?: (_hongbao_LedgerLine)[];
}

export interface LedgerAnswer__Output {
  'lines': (_hongbao_LedgerLine__Output)[];
}
