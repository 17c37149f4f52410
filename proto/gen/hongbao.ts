import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { ArrivingAnswer as _hongbao_ArrivingAnswer, ArrivingAnswer__Output as _hongbao_ArrivingAnswer__Output } from './hongbao/ArrivingAnswer.ts';
import type { ArrivingQuery as _hongbao_ArrivingQuery, ArrivingQuery__Output as _hongbao_ArrivingQuery__Output } from './hongbao/ArrivingQuery.ts';
import type { Claim as _hongbao_Claim, Claim__Output as _hongbao_Claim__Output } from './hongbao/Claim.ts';
import type { ClaimsAnswer as _hongbao_ClaimsAnswer, ClaimsAnswer__Output as _hongbao_ClaimsAnswer__Output } from './hongbao/ClaimsAnswer.ts';
import type { ClaimsQuery as _hongbao_ClaimsQuery, ClaimsQuery__Output as _hongbao_ClaimsQuery__Output } from './hongbao/ClaimsQuery.ts';
import type { CommandBatch as _hongbao_CommandBatch, CommandBatch__Output as _hongbao_CommandBatch__Output } from './hongbao/CommandBatch.ts';
import type { CommandReplyBatch as _hongbao_CommandReplyBatch, CommandReplyBatch__Output as _hongbao_CommandReplyBatch__Output } from './hongbao/CommandReplyBatch.ts';
import type { Event as _hongbao_Event, Event__Output as _hongbao_Event__Output } from './hongbao/Event.ts';
import type { EventBatch as _hongbao_EventBatch, EventBatch__Output as _hongbao_EventBatch__Output } from './hongbao/EventBatch.ts';
import type { EventInterest as _hongbao_EventInterest, EventInterest__Output as _hongbao_EventInterest__Output } from './hongbao/EventInterest.ts';
import type { GroupAnswer as _hongbao_GroupAnswer, GroupAnswer__Output as _hongbao_GroupAnswer__Output } from './hongbao/GroupAnswer.ts';
import type { GroupEvent as _hongbao_GroupEvent, GroupEvent__Output as _hongbao_GroupEvent__Output } from './hongbao/GroupEvent.ts';
import type { GroupHint as _hongbao_GroupHint, GroupHint__Output as _hongbao_GroupHint__Output } from './hongbao/GroupHint.ts';
import type { GroupHintsAnswer as _hongbao_GroupHintsAnswer, GroupHintsAnswer__Output as _hongbao_GroupHintsAnswer__Output } from './hongbao/GroupHintsAnswer.ts';
import type { GroupHintsQuery as _hongbao_GroupHintsQuery, GroupHintsQuery__Output as _hongbao_GroupHintsQuery__Output } from './hongbao/GroupHintsQuery.ts';
import type { GroupQuery as _hongbao_GroupQuery, GroupQuery__Output as _hongbao_GroupQuery__Output } from './hongbao/GroupQuery.ts';
import type { HistoryAnswer as _hongbao_HistoryAnswer, HistoryAnswer__Output as _hongbao_HistoryAnswer__Output } from './hongbao/HistoryAnswer.ts';
import type { HistoryQuery as _hongbao_HistoryQuery, HistoryQuery__Output as _hongbao_HistoryQuery__Output } from './hongbao/HistoryQuery.ts';
import type { InviteAnswer as _hongbao_InviteAnswer, InviteAnswer__Output as _hongbao_InviteAnswer__Output } from './hongbao/InviteAnswer.ts';
import type { InviteQuery as _hongbao_InviteQuery, InviteQuery__Output as _hongbao_InviteQuery__Output } from './hongbao/InviteQuery.ts';
import type { JournalAnswer as _hongbao_JournalAnswer, JournalAnswer__Output as _hongbao_JournalAnswer__Output } from './hongbao/JournalAnswer.ts';
import type { JournalQuery as _hongbao_JournalQuery, JournalQuery__Output as _hongbao_JournalQuery__Output } from './hongbao/JournalQuery.ts';
import type { LanesAnswer as _hongbao_LanesAnswer, LanesAnswer__Output as _hongbao_LanesAnswer__Output } from './hongbao/LanesAnswer.ts';
import type { LanesQuery as _hongbao_LanesQuery, LanesQuery__Output as _hongbao_LanesQuery__Output } from './hongbao/LanesQuery.ts';
import type { LastSeq as _hongbao_LastSeq, LastSeq__Output as _hongbao_LastSeq__Output } from './hongbao/LastSeq.ts';
import type { LastSeqsAnswer as _hongbao_LastSeqsAnswer, LastSeqsAnswer__Output as _hongbao_LastSeqsAnswer__Output } from './hongbao/LastSeqsAnswer.ts';
import type { LastSeqsQuery as _hongbao_LastSeqsQuery, LastSeqsQuery__Output as _hongbao_LastSeqsQuery__Output } from './hongbao/LastSeqsQuery.ts';
import type { LedgerAnswer as _hongbao_LedgerAnswer, LedgerAnswer__Output as _hongbao_LedgerAnswer__Output } from './hongbao/LedgerAnswer.ts';
import type { LedgerLine as _hongbao_LedgerLine, LedgerLine__Output as _hongbao_LedgerLine__Output } from './hongbao/LedgerLine.ts';
import type { LedgerQuery as _hongbao_LedgerQuery, LedgerQuery__Output as _hongbao_LedgerQuery__Output } from './hongbao/LedgerQuery.ts';
import type { Member as _hongbao_Member, Member__Output as _hongbao_Member__Output } from './hongbao/Member.ts';
import type { Membership as _hongbao_Membership, Membership__Output as _hongbao_Membership__Output } from './hongbao/Membership.ts';
import type { MembershipAnswer as _hongbao_MembershipAnswer, MembershipAnswer__Output as _hongbao_MembershipAnswer__Output } from './hongbao/MembershipAnswer.ts';
import type { MembershipQuery as _hongbao_MembershipQuery, MembershipQuery__Output as _hongbao_MembershipQuery__Output } from './hongbao/MembershipQuery.ts';
import type { Message as _hongbao_Message, Message__Output as _hongbao_Message__Output } from './hongbao/Message.ts';
import type { MoneyAnswer as _hongbao_MoneyAnswer, MoneyAnswer__Output as _hongbao_MoneyAnswer__Output } from './hongbao/MoneyAnswer.ts';
import type { MoneyQuery as _hongbao_MoneyQuery, MoneyQuery__Output as _hongbao_MoneyQuery__Output } from './hongbao/MoneyQuery.ts';
import type { NodeStatus as _hongbao_NodeStatus, NodeStatus__Output as _hongbao_NodeStatus__Output } from './hongbao/NodeStatus.ts';
import type { OutboxAnswer as _hongbao_OutboxAnswer, OutboxAnswer__Output as _hongbao_OutboxAnswer__Output } from './hongbao/OutboxAnswer.ts';
import type { OutboxCursor as _hongbao_OutboxCursor, OutboxCursor__Output as _hongbao_OutboxCursor__Output } from './hongbao/OutboxCursor.ts';
import type { OutboxEntry as _hongbao_OutboxEntry, OutboxEntry__Output as _hongbao_OutboxEntry__Output } from './hongbao/OutboxEntry.ts';
import type { OutboxQuery as _hongbao_OutboxQuery, OutboxQuery__Output as _hongbao_OutboxQuery__Output } from './hongbao/OutboxQuery.ts';
import type { OutboxRun as _hongbao_OutboxRun, OutboxRun__Output as _hongbao_OutboxRun__Output } from './hongbao/OutboxRun.ts';
import type { PacketAnswer as _hongbao_PacketAnswer, PacketAnswer__Output as _hongbao_PacketAnswer__Output } from './hongbao/PacketAnswer.ts';
import type { PacketEvent as _hongbao_PacketEvent, PacketEvent__Output as _hongbao_PacketEvent__Output } from './hongbao/PacketEvent.ts';
import type { PacketQuery as _hongbao_PacketQuery, PacketQuery__Output as _hongbao_PacketQuery__Output } from './hongbao/PacketQuery.ts';
import type { Payment as _hongbao_Payment, Payment__Output as _hongbao_Payment__Output } from './hongbao/Payment.ts';
import type { PaymentsAnswer as _hongbao_PaymentsAnswer, PaymentsAnswer__Output as _hongbao_PaymentsAnswer__Output } from './hongbao/PaymentsAnswer.ts';
import type { PaymentsQuery as _hongbao_PaymentsQuery, PaymentsQuery__Output as _hongbao_PaymentsQuery__Output } from './hongbao/PaymentsQuery.ts';
import type { Query as _hongbao_Query, Query__Output as _hongbao_Query__Output } from './hongbao/Query.ts';
import type { QueryBatch as _hongbao_QueryBatch, QueryBatch__Output as _hongbao_QueryBatch__Output } from './hongbao/QueryBatch.ts';
import type { QueryReply as _hongbao_QueryReply, QueryReply__Output as _hongbao_QueryReply__Output } from './hongbao/QueryReply.ts';
import type { QueryReplyBatch as _hongbao_QueryReplyBatch, QueryReplyBatch__Output as _hongbao_QueryReplyBatch__Output } from './hongbao/QueryReplyBatch.ts';
import type { ReceivedLane as _hongbao_ReceivedLane, ReceivedLane__Output as _hongbao_ReceivedLane__Output } from './hongbao/ReceivedLane.ts';
import type { ReplicaStatus as _hongbao_ReplicaStatus, ReplicaStatus__Output as _hongbao_ReplicaStatus__Output } from './hongbao/ReplicaStatus.ts';
import type { SentLane as _hongbao_SentLane, SentLane__Output as _hongbao_SentLane__Output } from './hongbao/SentLane.ts';
import type { SetNodeClient as _hongbao_SetNodeClient, SetNodeDefinition as _hongbao_SetNodeDefinition } from './hongbao/SetNode.ts';
import type { StatementAnswer as _hongbao_StatementAnswer, StatementAnswer__Output as _hongbao_StatementAnswer__Output } from './hongbao/StatementAnswer.ts';
import type { StatementQuery as _hongbao_StatementQuery, StatementQuery__Output as _hongbao_StatementQuery__Output } from './hongbao/StatementQuery.ts';
import type { StatisticsAnswer as _hongbao_StatisticsAnswer, StatisticsAnswer__Output as _hongbao_StatisticsAnswer__Output } from './hongbao/StatisticsAnswer.ts';
import type { StatisticsQuery as _hongbao_StatisticsQuery, StatisticsQuery__Output as _hongbao_StatisticsQuery__Output } from './hongbao/StatisticsQuery.ts';
import type { StatusAsk as _hongbao_StatusAsk, StatusAsk__Output as _hongbao_StatusAsk__Output } from './hongbao/StatusAsk.ts';
import type { StepDownAsk as _hongbao_StepDownAsk, StepDownAsk__Output as _hongbao_StepDownAsk__Output } from './hongbao/StepDownAsk.ts';
import type { StepDownReply as _hongbao_StepDownReply, StepDownReply__Output as _hongbao_StepDownReply__Output } from './hongbao/StepDownReply.ts';
import type { UpgradeAsk as _hongbao_UpgradeAsk, UpgradeAsk__Output as _hongbao_UpgradeAsk__Output } from './hongbao/UpgradeAsk.ts';
import type { UpgradeReply as _hongbao_UpgradeReply, UpgradeReply__Output as _hongbao_UpgradeReply__Output } from './hongbao/UpgradeReply.ts';
import type { WalletAnswer as _hongbao_WalletAnswer, WalletAnswer__Output as _hongbao_WalletAnswer__Output } from './hongbao/WalletAnswer.ts';
import type { WalletQuery as _hongbao_WalletQuery, WalletQuery__Output as _hongbao_WalletQuery__Output } from './hongbao/WalletQuery.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  hongbao: {
    ArrivingAnswer: MessageTypeDefinition<_hongbao_ArrivingAnswer, _hongbao_ArrivingAnswer__Output>
    ArrivingQuery: MessageTypeDefinition<_hongbao_ArrivingQuery, _hongbao_ArrivingQuery__Output>
    Claim: MessageTypeDefinition<_hongbao_Claim, _hongbao_Claim__Output>
    ClaimsAnswer: MessageTypeDefinition<_hongbao_ClaimsAnswer, _hongbao_ClaimsAnswer__Output>
    ClaimsQuery: MessageTypeDefinition<_hongbao_ClaimsQuery, _hongbao_ClaimsQuery__Output>
    CommandBatch: MessageTypeDefinition<_hongbao_CommandBatch, _hongbao_CommandBatch__Output>
    CommandReplyBatch: MessageTypeDefinition<_hongbao_CommandReplyBatch, _hongbao_CommandReplyBatch__Output>
    Event: MessageTypeDefinition<_hongbao_Event, _hongbao_Event__Output>
    EventBatch: MessageTypeDefinition<_hongbao_EventBatch, _hongbao_EventBatch__Output>
    EventInterest: MessageTypeDefinition<_hongbao_EventInterest, _hongbao_EventInterest__Output>
    GroupAnswer: MessageTypeDefinition<_hongbao_GroupAnswer, _hongbao_GroupAnswer__Output>
    GroupEvent: MessageTypeDefinition<_hongbao_GroupEvent, _hongbao_GroupEvent__Output>
    GroupHint: MessageTypeDefinition<_hongbao_GroupHint, _hongbao_GroupHint__Output>
    GroupHintsAnswer: MessageTypeDefinition<_hongbao_GroupHintsAnswer, _hongbao_GroupHintsAnswer__Output>
    GroupHintsQuery: MessageTypeDefinition<_hongbao_GroupHintsQuery, _hongbao_GroupHintsQuery__Output>
    GroupQuery: MessageTypeDefinition<_hongbao_GroupQuery, _hongbao_GroupQuery__Output>
    HistoryAnswer: MessageTypeDefinition<_hongbao_HistoryAnswer, _hongbao_HistoryAnswer__Output>
    HistoryQuery: MessageTypeDefinition<_hongbao_HistoryQuery, _hongbao_HistoryQuery__Output>
    InviteAnswer: MessageTypeDefinition<_hongbao_InviteAnswer, _hongbao_InviteAnswer__Output>
    InviteQuery: MessageTypeDefinition<_hongbao_InviteQuery, _hongbao_InviteQuery__Output>
    JournalAnswer: MessageTypeDefinition<_hongbao_JournalAnswer, _hongbao_JournalAnswer__Output>
    JournalQuery: MessageTypeDefinition<_hongbao_JournalQuery, _hongbao_JournalQuery__Output>
    LanesAnswer: MessageTypeDefinition<_hongbao_LanesAnswer, _hongbao_LanesAnswer__Output>
    LanesQuery: MessageTypeDefinition<_hongbao_LanesQuery, _hongbao_LanesQuery__Output>
    LastSeq: MessageTypeDefinition<_hongbao_LastSeq, _hongbao_LastSeq__Output>
    LastSeqsAnswer: MessageTypeDefinition<_hongbao_LastSeqsAnswer, _hongbao_LastSeqsAnswer__Output>
    LastSeqsQuery: MessageTypeDefinition<_hongbao_LastSeqsQuery, _hongbao_LastSeqsQuery__Output>
    LedgerAnswer: MessageTypeDefinition<_hongbao_LedgerAnswer, _hongbao_LedgerAnswer__Output>
    LedgerLine: MessageTypeDefinition<_hongbao_LedgerLine, _hongbao_LedgerLine__Output>
    LedgerQuery: MessageTypeDefinition<_hongbao_LedgerQuery, _hongbao_LedgerQuery__Output>
    Member: MessageTypeDefinition<_hongbao_Member, _hongbao_Member__Output>
    Membership: MessageTypeDefinition<_hongbao_Membership, _hongbao_Membership__Output>
    MembershipAnswer: MessageTypeDefinition<_hongbao_MembershipAnswer, _hongbao_MembershipAnswer__Output>
    MembershipQuery: MessageTypeDefinition<_hongbao_MembershipQuery, _hongbao_MembershipQuery__Output>
    Message: MessageTypeDefinition<_hongbao_Message, _hongbao_Message__Output>
    MoneyAnswer: MessageTypeDefinition<_hongbao_MoneyAnswer, _hongbao_MoneyAnswer__Output>
    MoneyQuery: MessageTypeDefinition<_hongbao_MoneyQuery, _hongbao_MoneyQuery__Output>
    NodeStatus: MessageTypeDefinition<_hongbao_NodeStatus, _hongbao_NodeStatus__Output>
    OutboxAnswer: MessageTypeDefinition<_hongbao_OutboxAnswer, _hongbao_OutboxAnswer__Output>
    OutboxCursor: MessageTypeDefinition<_hongbao_OutboxCursor, _hongbao_OutboxCursor__Output>
    OutboxEntry: MessageTypeDefinition<_hongbao_OutboxEntry, _hongbao_OutboxEntry__Output>
    OutboxQuery: MessageTypeDefinition<_hongbao_OutboxQuery, _hongbao_OutboxQuery__Output>
    OutboxRun: MessageTypeDefinition<_hongbao_OutboxRun, _hongbao_OutboxRun__Output>
    PacketAnswer: MessageTypeDefinition<_hongbao_PacketAnswer, _hongbao_PacketAnswer__Output>
    PacketEvent: MessageTypeDefinition<_hongbao_PacketEvent, _hongbao_PacketEvent__Output>
    PacketQuery: MessageTypeDefinition<_hongbao_PacketQuery, _hongbao_PacketQuery__Output>
    Payment: MessageTypeDefinition<_hongbao_Payment, _hongbao_Payment__Output>
    PaymentsAnswer: MessageTypeDefinition<_hongbao_PaymentsAnswer, _hongbao_PaymentsAnswer__Output>
    PaymentsQuery: MessageTypeDefinition<_hongbao_PaymentsQuery, _hongbao_PaymentsQuery__Output>
    Query: MessageTypeDefinition<_hongbao_Query, _hongbao_Query__Output>
    QueryBatch: MessageTypeDefinition<_hongbao_QueryBatch, _hongbao_QueryBatch__Output>
    QueryReply: MessageTypeDefinition<_hongbao_QueryReply, _hongbao_QueryReply__Output>
    QueryReplyBatch: MessageTypeDefinition<_hongbao_QueryReplyBatch, _hongbao_QueryReplyBatch__Output>
    ReceivedLane: MessageTypeDefinition<_hongbao_ReceivedLane, _hongbao_ReceivedLane__Output>
    ReplicaStatus: MessageTypeDefinition<_hongbao_ReplicaStatus, _hongbao_ReplicaStatus__Output>
    SentLane: MessageTypeDefinition<_hongbao_SentLane, _hongbao_SentLane__Output>
    SetNode: SubtypeConstructor<typeof grpc.Client, _hongbao_SetNodeClient> & { service: _hongbao_SetNodeDefinition }
    StatementAnswer: MessageTypeDefinition<_hongbao_StatementAnswer, _hongbao_StatementAnswer__Output>
    StatementQuery: MessageTypeDefinition<_hongbao_StatementQuery, _hongbao_StatementQuery__Output>
    StatisticsAnswer: MessageTypeDefinition<_hongbao_StatisticsAnswer, _hongbao_StatisticsAnswer__Output>
    StatisticsQuery: MessageTypeDefinition<_hongbao_StatisticsQuery, _hongbao_StatisticsQuery__Output>
    StatusAsk: MessageTypeDefinition<_hongbao_StatusAsk, _hongbao_StatusAsk__Output>
    StepDownAsk: MessageTypeDefinition<_hongbao_StepDownAsk, _hongbao_StepDownAsk__Output>
    StepDownReply: MessageTypeDefinition<_hongbao_StepDownReply, _hongbao_StepDownReply__Output>
    UpgradeAsk: MessageTypeDefinition<_hongbao_UpgradeAsk, _hongbao_UpgradeAsk__Output>
    UpgradeReply: MessageTypeDefinition<_hongbao_UpgradeReply, _hongbao_UpgradeReply__Output>
    WalletAnswer: MessageTypeDefinition<_hongbao_WalletAnswer, _hongbao_WalletAnswer__Output>
    WalletQuery: MessageTypeDefinition<_hongbao_WalletQuery, _hongbao_WalletQuery__Output>
  }
}

