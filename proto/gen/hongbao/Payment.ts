// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface Payment {
  'paymentId'?: (number | string | Long);
  'user'?: (string);
  'purpose'?: (string);
  'amountCents'?: (number | string | Long);
  'state'?: (string);
  'packetId'?: (number | string | Long);
  'destination'?: (string);
  'reference'?: (string);
  'createdAt'?: (number | string | Long);
  'dueAt'?: (number | string | Long);
  'endedAt'?: (number | string | Long);
}

export interface Payment__Output {
  'paymentId': (string);
  'user': (string);
  'purpose': (string);
  'amountCents': (string);
  'state': (string);
  'packetId': (string);
  'destination': (string);
  'reference': (string);
  'createdAt': (string);
  'dueAt': (string);
  'endedAt': (string);
}
