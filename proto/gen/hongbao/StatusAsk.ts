// Original file: proto/hongbao.proto


export interface StatusAsk {
}

export interface StatusAsk__Output {
}
