// Original file: proto/hongbao.proto

import type { Claim as _hongbao_Claim, Claim__Output as _hongbao_Claim__Output } from '../hongbao/Claim.ts';

export interface ClaimsAnswer {
  'claims'?: (_hongbao_Claim)[];
  'best'?: (_hongbao_Claim | null);
  'kind'?: (string);
}

export interface ClaimsAnswer__Output {
  'claims': (_hongbao_Claim__Output)[];
  'best': (_hongbao_Claim__Output | null);
  'kind': (string);
}
