// Original file: proto/hongbao.proto


export interface MoneyQuery {
}

export interface MoneyQuery__Output {
}
