import type { Table } from '../../lib/port/replica-store.ts';

/** The tables that people and reads ask (the sources' schema), projected from the journal (design 3). */
export const TABLES = [
  {
    name: 'red_packet',
    columns: {
      packet_id: 'id',
      group_id: 'id',
      sender: 'user',
      kind: 'text',
      strategy: 'text',
      timing: 'text',
      total_cents: 'cents',
      count: 'u64',
      greeting: 'text',
      created_at: 'u64',
      expires_at: 'u64',
      phase: 'text',
      taken: 'u64',
      taken_cents: 'cents',
      refund_cents: 'cents',
      ended_at: 'u64',
      seed_hash: 'blob',
      seed: 'blob',
    },
    key: ['packet_id'],
  },
  {
    name: 'red_packet_record',
    columns: {
      packet_id: 'id',
      claim_order: 'u64',
      claimer: 'user',
      amount_cents: 'cents',
      at: 'u64',
    },
    key: ['packet_id', 'claim_order'],
  },
  {
    name: 'chat_group',
    columns: {
      group_id: 'id',
      name: 'text',
      owner: 'user',
      history: 'text',
      created_at: 'u64',
    },
    key: ['group_id'],
  },
  {
    name: 'group_member',
    columns: {
      group_id: 'id',
      member: 'user',
      role: 'text',
      joined_at: 'u64',
      joined_seq: 'u64',
      version: 'u64',
      present: 'flag',
    },
    key: ['group_id', 'member'],
  },
  {
    name: 'message',
    columns: {
      group_id: 'id',
      seq: 'u64',
      sender: 'user',
      kind: 'text',
      body: 'text',
      at: 'u64',
      client_msg_id: 'text',
    },
    key: ['group_id', 'seq'],
  },
  // Wallet legs only: a statement. The other legs of a posting stand in the journal, which audits read.
  {
    name: 'ledger_entry',
    columns: {
      owner: 'user',
      lsn: 'u64',
      leg: 'u64',
      amount_cents: 'cents',
      reason: 'text',
      packet_id: 'id',
      at: 'u64',
    },
    key: ['owner', 'lsn', 'leg'],
  },
  {
    name: 'command_answer',
    columns: {
      requester: 'user',
      command_id: 'text',
      fingerprint: 'text',
      command_type: 'text',
      outcome: 'blob',
      lsn: 'u64',
    },
    key: ['requester', 'command_id'],
  },
  {
    name: 'user_group',
    columns: { member: 'user', group_id: 'id', version: 'u64', present: 'flag', name: 'text' },
    key: ['member', 'group_id'],
  },
] as const satisfies readonly Table[];

export type TableName = (typeof TABLES)[number]['name'];
