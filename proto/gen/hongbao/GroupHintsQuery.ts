// Original file: proto/hongbao.proto


export interface GroupHintsQuery {
  'user'?: (string);
}

export interface GroupHintsQuery__Output {
  'user': (string);
}
