// Original file: proto/hongbao.proto

import type { Message as _hongbao_Message, Message__Output as _hongbao_Message__Output } from '../hongbao/Message.ts';
import type { PacketEvent as _hongbao_PacketEvent, PacketEvent__Output as _hongbao_PacketEvent__Output } from '../hongbao/PacketEvent.ts';
import type { GroupEvent as _hongbao_GroupEvent, GroupEvent__Output as _hongbao_GroupEvent__Output } from '../hongbao/GroupEvent.ts';
import type { Long } from '@grpc/proto-loader';

export interface Event {
  'lsn'?: (number | string | Long);
  'message'?: (_hongbao_Message | null);
  'packet'?: (_hongbao_PacketEvent | null);
  'group'?: (_hongbao_GroupEvent | null);
  'event'?: "message"|"packet"|"group";
}

export interface Event__Output {
  'lsn': (string);
  'message'?: (_hongbao_Message__Output | null);
  'packet'?: (_hongbao_PacketEvent__Output | null);
  'group'?: (_hongbao_GroupEvent__Output | null);
  'event'?: "message"|"packet"|"group";
}
