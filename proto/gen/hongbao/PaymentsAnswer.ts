// Original file: proto/hongbao.proto

import type { Payment as _hongbao_Payment, Payment__Output as _hongbao_Payment__Output } from '../hongbao/Payment.ts';

export interface PaymentsAnswer {
  'payments'?: (_hongbao_Payment)[];
}

export interface PaymentsAnswer__Output {
  'payments': (_hongbao_Payment__Output)[];
}
