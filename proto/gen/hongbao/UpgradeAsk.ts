// Original file: proto/hongbao.proto


export interface UpgradeAsk {
  'rules'?: (number);
  'askedSlots'?: (number)[];
}

export interface UpgradeAsk__Output {
  'rules': (number);
  'askedSlots': (number)[];
}
