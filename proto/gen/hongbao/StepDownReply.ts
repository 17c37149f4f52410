// Original file: proto/hongbao.proto


export interface StepDownReply {
  'stepped'?: (boolean);
}

export interface StepDownReply__Output {
  'stepped': (boolean);
}
