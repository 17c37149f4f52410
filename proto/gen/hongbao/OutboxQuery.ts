// Original file: proto/hongbao.proto

import type { OutboxCursor as _hongbao_OutboxCursor, OutboxCursor__Output as _hongbao_OutboxCursor__Output } from '../hongbao/OutboxCursor.ts';

export interface OutboxQuery {
  'cursors'?: (_hongbao_OutboxCursor)[];
  'limit'?: (number);
  'packed'?: (boolean);
}

export interface OutboxQuery__Output {
  'cursors': (_hongbao_OutboxCursor__Output)[];
  'limit': (number);
  'packed': (boolean);
}
