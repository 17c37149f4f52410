// Original file: proto/hongbao.proto


export interface LanesQuery {
}

export interface LanesQuery__Output {
}
