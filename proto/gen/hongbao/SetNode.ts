// Original file: proto/hongbao.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CommandBatch as _hongbao_CommandBatch, CommandBatch__Output as _hongbao_CommandBatch__Output } from '../hongbao/CommandBatch.ts';
import type { CommandReplyBatch as _hongbao_CommandReplyBatch, CommandReplyBatch__Output as _hongbao_CommandReplyBatch__Output } from '../hongbao/CommandReplyBatch.ts';
import type { EventBatch as _hongbao_EventBatch, EventBatch__Output as _hongbao_EventBatch__Output } from '../hongbao/EventBatch.ts';
import type { EventInterest as _hongbao_EventInterest, EventInterest__Output as _hongbao_EventInterest__Output } from '../hongbao/EventInterest.ts';
import type { NodeStatus as _hongbao_NodeStatus, NodeStatus__Output as _hongbao_NodeStatus__Output } from '../hongbao/NodeStatus.ts';
import type { QueryBatch as _hongbao_QueryBatch, QueryBatch__Output as _hongbao_QueryBatch__Output } from '../hongbao/QueryBatch.ts';
import type { QueryReplyBatch as _hongbao_QueryReplyBatch, QueryReplyBatch__Output as _hongbao_QueryReplyBatch__Output } from '../hongbao/QueryReplyBatch.ts';
import type { StatusAsk as _hongbao_StatusAsk, StatusAsk__Output as _hongbao_StatusAsk__Output } from '../hongbao/StatusAsk.ts';
import type { StepDownAsk as _hongbao_StepDownAsk, StepDownAsk__Output as _hongbao_StepDownAsk__Output } from '../hongbao/StepDownAsk.ts';
import type { StepDownReply as _hongbao_StepDownReply, StepDownReply__Output as _hongbao_StepDownReply__Output } from '../hongbao/StepDownReply.ts';
import type { UpgradeAsk as _hongbao_UpgradeAsk, UpgradeAsk__Output as _hongbao_UpgradeAsk__Output } from '../hongbao/UpgradeAsk.ts';
import type { UpgradeReply as _hongbao_UpgradeReply, UpgradeReply__Output as _hongbao_UpgradeReply__Output } from '../hongbao/UpgradeReply.ts';

export interface SetNodeClient extends grpc.Client {
  Commands(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_CommandBatch, _hongbao_CommandReplyBatch__Output>;
  Commands(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_CommandBatch, _hongbao_CommandReplyBatch__Output>;
  commands(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_CommandBatch, _hongbao_CommandReplyBatch__Output>;
  commands(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_CommandBatch, _hongbao_CommandReplyBatch__Output>;
  
  Events(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_EventInterest, _hongbao_EventBatch__Output>;
  Events(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_EventInterest, _hongbao_EventBatch__Output>;
  events(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_EventInterest, _hongbao_EventBatch__Output>;
  events(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_EventInterest, _hongbao_EventBatch__Output>;
  
  Queries(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_QueryBatch, _hongbao_QueryReplyBatch__Output>;
  Queries(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_QueryBatch, _hongbao_QueryReplyBatch__Output>;
  queries(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_QueryBatch, _hongbao_QueryReplyBatch__Output>;
  queries(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hongbao_QueryBatch, _hongbao_QueryReplyBatch__Output>;
  
  Status(argument: _hongbao_StatusAsk, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _hongbao_StatusAsk, metadata: grpc.Metadata, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _hongbao_StatusAsk, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _hongbao_StatusAsk, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _hongbao_StatusAsk, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _hongbao_StatusAsk, metadata: grpc.Metadata, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _hongbao_StatusAsk, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _hongbao_StatusAsk, callback: grpc.requestCallback<_hongbao_NodeStatus__Output>): grpc.ClientUnaryCall;
  
  StepDown(argument: _hongbao_StepDownAsk, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  StepDown(argument: _hongbao_StepDownAsk, metadata: grpc.Metadata, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  StepDown(argument: _hongbao_StepDownAsk, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  StepDown(argument: _hongbao_StepDownAsk, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  stepDown(argument: _hongbao_StepDownAsk, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  stepDown(argument: _hongbao_StepDownAsk, metadata: grpc.Metadata, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  stepDown(argument: _hongbao_StepDownAsk, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  stepDown(argument: _hongbao_StepDownAsk, callback: grpc.requestCallback<_hongbao_StepDownReply__Output>): grpc.ClientUnaryCall;
  
  Upgrade(argument: _hongbao_UpgradeAsk, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  Upgrade(argument: _hongbao_UpgradeAsk, metadata: grpc.Metadata, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  Upgrade(argument: _hongbao_UpgradeAsk, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  Upgrade(argument: _hongbao_UpgradeAsk, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  upgrade(argument: _hongbao_UpgradeAsk, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  upgrade(argument: _hongbao_UpgradeAsk, metadata: grpc.Metadata, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  upgrade(argument: _hongbao_UpgradeAsk, options: grpc.CallOptions, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  upgrade(argument: _hongbao_UpgradeAsk, callback: grpc.requestCallback<_hongbao_UpgradeReply__Output>): grpc.ClientUnaryCall;
  
}

export interface SetNodeHandlers extends grpc.UntypedServiceImplementation {
  Commands: grpc.handleBidiStreamingCall<_hongbao_CommandBatch__Output, _hongbao_CommandReplyBatch>;
  
  Events: grpc.handleBidiStreamingCall<_hongbao_EventInterest__Output, _hongbao_EventBatch>;
  
  Queries: grpc.handleBidiStreamingCall<_hongbao_QueryBatch__Output, _hongbao_QueryReplyBatch>;
  
  Status: grpc.handleUnaryCall<_hongbao_StatusAsk__Output, _hongbao_NodeStatus>;
  
  StepDown: grpc.handleUnaryCall<_hongbao_StepDownAsk__Output, _hongbao_StepDownReply>;
  
  Upgrade: grpc.handleUnaryCall<_hongbao_UpgradeAsk__Output, _hongbao_UpgradeReply>;
  
}

export interface SetNodeDefinition extends grpc.ServiceDefinition {
  Commands: MethodDefinition<_hongbao_CommandBatch, _hongbao_CommandReplyBatch, _hongbao_CommandBatch__Output, _hongbao_CommandReplyBatch__Output>
  Events: MethodDefinition<_hongbao_EventInterest, _hongbao_EventBatch, _hongbao_EventInterest__Output, _hongbao_EventBatch__Output>
  Queries: MethodDefinition<_hongbao_QueryBatch, _hongbao_QueryReplyBatch, _hongbao_QueryBatch__Output, _hongbao_QueryReplyBatch__Output>
  Status: MethodDefinition<_hongbao_StatusAsk, _hongbao_NodeStatus, _hongbao_StatusAsk__Output, _hongbao_NodeStatus__Output>
  StepDown: MethodDefinition<_hongbao_StepDownAsk, _hongbao_StepDownReply, _hongbao_StepDownAsk__Output, _hongbao_StepDownReply__Output>
  Upgrade: MethodDefinition<_hongbao_UpgradeAsk, _hongbao_UpgradeReply, _hongbao_UpgradeAsk__Output, _hongbao_UpgradeReply__Output>
}
