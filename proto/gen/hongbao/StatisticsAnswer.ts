// Original file: proto/hongbao.proto

import type { LedgerLine as _hongbao_LedgerLine, LedgerLine__Output as _hongbao_LedgerLine__Output } from '../hongbao/LedgerLine.ts';
import type { Long } from '@grpc/proto-loader';

export interface StatisticsAnswer {
  'sentLucky'?: (number | string | Long);
  'sentEqual'?: (number | string | Long);
  'sentExclusive'?: (number | string | Long);
  'sentCents'?: (number | string | Long);
  'backCents'?: (number | string | Long);
  'receivedPackets'?: (number | string | Long);
  'receivedCents'?: (number | string | Long);
  'received'?: (_hongbao_LedgerLine)[];
  'more'?: (boolean);
  'lastLsn'?: (number | string | Long);
  'lastLeg'?: (number);
}

export interface StatisticsAnswer__Output {
  'sentLucky': (string);
  'sentEqual': (string);
  'sentExclusive': (string);
  'sentCents': (string);
  'backCents': (string);
  'receivedPackets': (string);
  'receivedCents': (string);
  'received': (_hongbao_LedgerLine__Output)[];
  'more': (boolean);
  'lastLsn': (string);
  'lastLeg': (number);
}
