// Original file: proto/hongbao.proto

import type { WalletQuery as _hongbao_WalletQuery, WalletQuery__Output as _hongbao_WalletQuery__Output } from '../hongbao/WalletQuery.ts';
import type { ArrivingQuery as _hongbao_ArrivingQuery, ArrivingQuery__Output as _hongbao_ArrivingQuery__Output } from '../hongbao/ArrivingQuery.ts';
import type { GroupHintsQuery as _hongbao_GroupHintsQuery, GroupHintsQuery__Output as _hongbao_GroupHintsQuery__Output } from '../hongbao/GroupHintsQuery.ts';
import type { MembershipQuery as _hongbao_MembershipQuery, MembershipQuery__Output as _hongbao_MembershipQuery__Output } from '../hongbao/MembershipQuery.ts';
import type { GroupQuery as _hongbao_GroupQuery, GroupQuery__Output as _hongbao_GroupQuery__Output } from '../hongbao/GroupQuery.ts';
import type { InviteQuery as _hongbao_InviteQuery, InviteQuery__Output as _hongbao_InviteQuery__Output } from '../hongbao/InviteQuery.ts';
import type { PacketQuery as _hongbao_PacketQuery, PacketQuery__Output as _hongbao_PacketQuery__Output } from '../hongbao/PacketQuery.ts';
import type { ClaimsQuery as _hongbao_ClaimsQuery, ClaimsQuery__Output as _hongbao_ClaimsQuery__Output } from '../hongbao/ClaimsQuery.ts';
import type { HistoryQuery as _hongbao_HistoryQuery, HistoryQuery__Output as _hongbao_HistoryQuery__Output } from '../hongbao/HistoryQuery.ts';
import type { LastSeqsQuery as _hongbao_LastSeqsQuery, LastSeqsQuery__Output as _hongbao_LastSeqsQuery__Output } from '../hongbao/LastSeqsQuery.ts';
import type { LedgerQuery as _hongbao_LedgerQuery, LedgerQuery__Output as _hongbao_LedgerQuery__Output } from '../hongbao/LedgerQuery.ts';
import type { OutboxQuery as _hongbao_OutboxQuery, OutboxQuery__Output as _hongbao_OutboxQuery__Output } from '../hongbao/OutboxQuery.ts';
import type { MoneyQuery as _hongbao_MoneyQuery, MoneyQuery__Output as _hongbao_MoneyQuery__Output } from '../hongbao/MoneyQuery.ts';
import type { PaymentsQuery as _hongbao_PaymentsQuery, PaymentsQuery__Output as _hongbao_PaymentsQuery__Output } from '../hongbao/PaymentsQuery.ts';
import type { JournalQuery as _hongbao_JournalQuery, JournalQuery__Output as _hongbao_JournalQuery__Output } from '../hongbao/JournalQuery.ts';
import type { StatementQuery as _hongbao_StatementQuery, StatementQuery__Output as _hongbao_StatementQuery__Output } from '../hongbao/StatementQuery.ts';
import type { StatisticsQuery as _hongbao_StatisticsQuery, StatisticsQuery__Output as _hongbao_StatisticsQuery__Output } from '../hongbao/StatisticsQuery.ts';
import type { LanesQuery as _hongbao_LanesQuery, LanesQuery__Output as _hongbao_LanesQuery__Output } from '../hongbao/LanesQuery.ts';
import type { Long } from '@grpc/proto-loader';

export interface Query {
  'tag'?: (number);
  'atLsn'?: (number | string | Long);
  'wallet'?: (_hongbao_WalletQuery | null);
  'arriving'?: (_hongbao_ArrivingQuery | null);
  'groupHints'?: (_hongbao_GroupHintsQuery | null);
  'membership'?: (_hongbao_MembershipQuery | null);
  'group'?: (_hongbao_GroupQuery | null);
  'invite'?: (_hongbao_InviteQuery | null);
  'packet'?: (_hongbao_PacketQuery | null);
  'claims'?: (_hongbao_ClaimsQuery | null);
  'history'?: (_hongbao_HistoryQuery | null);
  'lastSeqs'?: (_hongbao_LastSeqsQuery | null);
  'ledger'?: (_hongbao_LedgerQuery | null);
  'outbox'?: (_hongbao_OutboxQuery | null);
  'money'?: (_hongbao_MoneyQuery | null);
  'payments'?: (_hongbao_PaymentsQuery | null);
  'journal'?: (_hongbao_JournalQuery | null);
  'statement'?: (_hongbao_StatementQuery | null);
  'statistics'?: (_hongbao_StatisticsQuery | null);
  'lanes'?: (_hongbao_LanesQuery | null);
  'ask'?: "wallet"|"arriving"|"groupHints"|"membership"|"group"|"invite"|"packet"|"claims"|"history"|"lastSeqs"|"ledger"|"outbox"|"money"|"payments"|"journal"|"statement"|"statistics"|"lanes";
}

export interface Query__Output {
  'tag': (number);
  'atLsn': (string);
  'wallet'?: (_hongbao_WalletQuery__Output | null);
  'arriving'?: (_hongbao_ArrivingQuery__Output | null);
  'groupHints'?: (_hongbao_GroupHintsQuery__Output | null);
  'membership'?: (_hongbao_MembershipQuery__Output | null);
  'group'?: (_hongbao_GroupQuery__Output | null);
  'invite'?: (_hongbao_InviteQuery__Output | null);
  'packet'?: (_hongbao_PacketQuery__Output | null);
  'claims'?: (_hongbao_ClaimsQuery__Output | null);
  'history'?: (_hongbao_HistoryQuery__Output | null);
  'lastSeqs'?: (_hongbao_LastSeqsQuery__Output | null);
  'ledger'?: (_hongbao_LedgerQuery__Output | null);
  'outbox'?: (_hongbao_OutboxQuery__Output | null);
  'money'?: (_hongbao_MoneyQuery__Output | null);
  'payments'?: (_hongbao_PaymentsQuery__Output | null);
  'journal'?: (_hongbao_JournalQuery__Output | null);
  'statement'?: (_hongbao_StatementQuery__Output | null);
  'statistics'?: (_hongbao_StatisticsQuery__Output | null);
  'lanes'?: (_hongbao_LanesQuery__Output | null);
  'ask'?: "wallet"|"arriving"|"groupHints"|"membership"|"group"|"invite"|"packet"|"claims"|"history"|"lastSeqs"|"ledger"|"outbox"|"money"|"payments"|"journal"|"statement"|"statistics"|"lanes";
}
