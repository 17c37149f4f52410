// Original file: proto/hongbao.proto


export interface ArrivingQuery {
  'user'?: (string);
}

export interface ArrivingQuery__Output {
  'user': (string);
}
