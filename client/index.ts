/** The SDK's one door. */
export { HongbaoClient } from './client.ts';
export type { ClientEvents, ClientOptions } from './client.ts';
export { fetchDevToken } from './dev-token.ts';
export { HongbaoError } from './errors.ts';
export type { GrabResult, RequestOptions } from './ops.ts';
export { systemPlatform } from './platform.ts';
export type { Platform, Socket, SocketHandler } from './platform.ts';
export type {
  AppOp,
  Claim,
  GroupEvent,
  GroupSummary,
  Hello,
  Input,
  Message,
  Output,
  Packet,
  PacketEvent,
  ServerEvents,
  WalletEvent,
} from './protocol.ts';
export type { ClientState, Token } from './session.ts';
export type { Statement, StatementLine, Year } from './statement.ts';
export { verifyPacket } from './verify.ts';
export type { Verdict } from './verify.ts';
export type { Balance } from './wallet.ts';
