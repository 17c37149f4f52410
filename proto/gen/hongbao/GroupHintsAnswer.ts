// Original file: proto/hongbao.proto

import type { GroupHint as _hongbao_GroupHint, GroupHint__Output as _hongbao_GroupHint__Output } from '../hongbao/GroupHint.ts';

export interface GroupHintsAnswer {
  'hints'?: (_hongbao_GroupHint)[];
}

export interface GroupHintsAnswer__Output {
  'hints': (_hongbao_GroupHint__Output)[];
}
