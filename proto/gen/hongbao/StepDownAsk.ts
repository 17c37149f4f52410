// Original file: proto/hongbao.proto


export interface StepDownAsk {
}

export interface StepDownAsk__Output {
}
