// Original file: proto/hongbao.proto

import type { LedgerLine as _hongbao_LedgerLine, LedgerLine__Output as _hongbao_LedgerLine__Output } from '../hongbao/LedgerLine.ts';
import type { Long } from '@grpc/proto-loader';

export interface StatementAnswer {
  'openingCents'?: (number | string | Long);
  'closingCents'?: (number | string | Long);
  'throughLsn'?: (number | string | Long);
  'lines'?: (_hongbao_LedgerLine)[];
  'more'?: (boolean);
}

export interface StatementAnswer__Output {
  'openingCents': (string);
  'closingCents': (string);
  'throughLsn': (string);
  'lines': (_hongbao_LedgerLine__Output)[];
  'more': (boolean);
}
