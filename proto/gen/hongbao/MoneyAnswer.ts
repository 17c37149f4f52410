// Original file: proto/hongbao.proto

import type { Long } from '@grpc/proto-loader';

export interface MoneyAnswer {
  'lsn'?: (number | string | Long);
  'walletsCents'?: (number | string | Long);
  'packetsCents'?: (number | string | Long);
  'clearingCents'?: (number | string | Long);
  'issuerCents'?: (number | string | Long);
  'pendingCents'?: (number | string | Long);
  'livePackets'?: (number);
  'wallets'?: (number);
  'pendingTransfers'?: (number);
  'gatewayCents'?: (number | string | Long);
  'pendingPayments'?: (number);
}

export interface MoneyAnswer__Output {
  'lsn': (string);
  'walletsCents': (string);
  'packetsCents': (string);
  'clearingCents': (string);
  'issuerCents': (string);
  'pendingCents': (string);
  'livePackets': (number);
  'wallets': (number);
  'pendingTransfers': (number);
  'gatewayCents': (string);
  'pendingPayments': (number);
}
