// Original file: proto/hongbao.proto

import type { WalletAnswer as _hongbao_WalletAnswer, WalletAnswer__Output as _hongbao_WalletAnswer__Output } from '../hongbao/WalletAnswer.ts';
import type { ArrivingAnswer as _hongbao_ArrivingAnswer, ArrivingAnswer__Output as _hongbao_ArrivingAnswer__Output } from '../hongbao/ArrivingAnswer.ts';
import type { GroupHintsAnswer as _hongbao_GroupHintsAnswer, GroupHintsAnswer__Output as _hongbao_GroupHintsAnswer__Output } from '../hongbao/GroupHintsAnswer.ts';
import type { MembershipAnswer as _hongbao_MembershipAnswer, MembershipAnswer__Output as _hongbao_MembershipAnswer__Output } from '../hongbao/MembershipAnswer.ts';
import type { GroupAnswer as _hongbao_GroupAnswer, GroupAnswer__Output as _hongbao_GroupAnswer__Output } from '../hongbao/GroupAnswer.ts';
import type { InviteAnswer as _hongbao_InviteAnswer, InviteAnswer__Output as _hongbao_InviteAnswer__Output } from '../hongbao/InviteAnswer.ts';
import type { PacketAnswer as _hongbao_PacketAnswer, PacketAnswer__Output as _hongbao_PacketAnswer__Output } from '../hongbao/PacketAnswer.ts';
import type { ClaimsAnswer as _hongbao_ClaimsAnswer, ClaimsAnswer__Output as _hongbao_ClaimsAnswer__Output } from '../hongbao/ClaimsAnswer.ts';
import type { HistoryAnswer as _hongbao_HistoryAnswer, HistoryAnswer__Output as _hongbao_HistoryAnswer__Output } from '../hongbao/HistoryAnswer.ts';
import type { LastSeqsAnswer as _hongbao_LastSeqsAnswer, LastSeqsAnswer__Output as _hongbao_LastSeqsAnswer__Output } from '../hongbao/LastSeqsAnswer.ts';
import type { LedgerAnswer as _hongbao_LedgerAnswer, LedgerAnswer__Output as _hongbao_LedgerAnswer__Output } from '../hongbao/LedgerAnswer.ts';
import type { OutboxAnswer as _hongbao_OutboxAnswer, OutboxAnswer__Output as _hongbao_OutboxAnswer__Output } from '../hongbao/OutboxAnswer.ts';
import type { MoneyAnswer as _hongbao_MoneyAnswer, MoneyAnswer__Output as _hongbao_MoneyAnswer__Output } from '../hongbao/MoneyAnswer.ts';
import type { PaymentsAnswer as _hongbao_PaymentsAnswer, PaymentsAnswer__Output as _hongbao_PaymentsAnswer__Output } from '../hongbao/PaymentsAnswer.ts';
import type { JournalAnswer as _hongbao_JournalAnswer, JournalAnswer__Output as _hongbao_JournalAnswer__Output } from '../hongbao/JournalAnswer.ts';
import type { StatementAnswer as _hongbao_StatementAnswer, StatementAnswer__Output as _hongbao_StatementAnswer__Output } from '../hongbao/StatementAnswer.ts';
import type { StatisticsAnswer as _hongbao_StatisticsAnswer, StatisticsAnswer__Output as _hongbao_StatisticsAnswer__Output } from '../hongbao/StatisticsAnswer.ts';
import type { LanesAnswer as _hongbao_LanesAnswer, LanesAnswer__Output as _hongbao_LanesAnswer__Output } from '../hongbao/LanesAnswer.ts';
import type { Long } from '@grpc/proto-loader';

export interface QueryReply {
  'tag'?: (number);
  'status'?: (string);
  'asOfLsn'?: (number | string | Long);
  'wallet'?: (_hongbao_WalletAnswer | null);
  'arriving'?: (_hongbao_ArrivingAnswer | null);
  'groupHints'?: (_hongbao_GroupHintsAnswer | null);
  'membership'?: (_hongbao_MembershipAnswer | null);
  'group'?: (_hongbao_GroupAnswer | null);
  'invite'?: (_hongbao_InviteAnswer | null);
  'packet'?: (_hongbao_PacketAnswer | null);
  'claims'?: (_hongbao_ClaimsAnswer | null);
  'history'?: (_hongbao_HistoryAnswer | null);
  'lastSeqs'?: (_hongbao_LastSeqsAnswer | null);
  'ledger'?: (_hongbao_LedgerAnswer | null);
  'outbox'?: (_hongbao_OutboxAnswer | null);
  'money'?: (_hongbao_MoneyAnswer | null);
  'payments'?: (_hongbao_PaymentsAnswer | null);
  'journal'?: (_hongbao_JournalAnswer | null);
  'statement'?: (_hongbao_StatementAnswer | null);
  'statistics'?: (_hongbao_StatisticsAnswer | null);
  'lanes'?: (_hongbao_LanesAnswer | null);
  'answer'?: "wallet"|"arriving"|"groupHints"|"membership"|"group"|"invite"|"packet"|"claims"|"history"|"lastSeqs"|"ledger"|"outbox"|"money"|"payments"|"journal"|"statement"|"statistics"|"lanes";
}

export interface QueryReply__Output {
  'tag': (number);
  'status': (string);
  'asOfLsn': (string);
  'wallet'?: (_hongbao_WalletAnswer__Output | null);
  'arriving'?: (_hongbao_ArrivingAnswer__Output | null);
  'groupHints'?: (_hongbao_GroupHintsAnswer__Output | null);
  'membership'?: (_hongbao_MembershipAnswer__Output | null);
  'group'?: (_hongbao_GroupAnswer__Output | null);
  'invite'?: (_hongbao_InviteAnswer__Output | null);
  'packet'?: (_hongbao_PacketAnswer__Output | null);
  'claims'?: (_hongbao_ClaimsAnswer__Output | null);
  'history'?: (_hongbao_HistoryAnswer__Output | null);
  'lastSeqs'?: (_hongbao_LastSeqsAnswer__Output | null);
  'ledger'?: (_hongbao_LedgerAnswer__Output | null);
  'outbox'?: (_hongbao_OutboxAnswer__Output | null);
  'money'?: (_hongbao_MoneyAnswer__Output | null);
  'payments'?: (_hongbao_PaymentsAnswer__Output | null);
  'journal'?: (_hongbao_JournalAnswer__Output | null);
  'statement'?: (_hongbao_StatementAnswer__Output | null);
  'statistics'?: (_hongbao_StatisticsAnswer__Output | null);
  'lanes'?: (_hongbao_LanesAnswer__Output | null);
  'answer'?: "wallet"|"arriving"|"groupHints"|"membership"|"group"|"invite"|"packet"|"claims"|"history"|"lastSeqs"|"ledger"|"outbox"|"money"|"payments"|"journal"|"statement"|"statistics"|"lanes";
}
