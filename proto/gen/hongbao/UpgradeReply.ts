// Original file: proto/hongbao.proto


export interface UpgradeReply {
  'raised'?: (boolean);
  'rules'?: (number);
  'reason'?: (string);
}

export interface UpgradeReply__Output {
  'raised': (boolean);
  'rules': (number);
  'reason': (string);
}
