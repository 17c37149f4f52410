// Original file: proto/hongbao.proto


export interface WalletQuery {
  'user'?: (string);
}

export interface WalletQuery__Output {
  'user': (string);
}
