import type { GroupSummary, Message } from '../index.ts';

/** A message of ours that no server has confirmed to this page yet. */
export type Outgoing = {
  readonly clientMsgId: string;
  readonly body: string;
  readonly at: number;
  state: 'sending' | 'failed';
  /** Why, in words; only when failed. */
  reason: string;
};

const UNREAD_MAX = 100;

/** One group as this page knows it: its messages in order, and those on their way. */
export class MessageLog {
  readonly groupId: string;
  summary: GroupSummary;
  outgoing: Outgoing[] = [];
  members: readonly string[] = [];
  isLoading = false;
  /** Has the newest page been read? */
  isLoaded = false;
  #messages: Message[] = [];
  readonly #packets = new Set<string>();

  constructor(summary: GroupSummary) {
    this.groupId = summary.groupId;
    this.summary = summary;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get last(): Message | null {
    return this.#messages.at(-1) ?? null;
  }

  /** Is there something above the oldest message that we hold? */
  get hasOlder(): boolean {
    const oldest = this.#messages[0];
    return oldest !== undefined && oldest.seq > Math.max(1, this.summary.firstSeq);
  }

  hasPacket(packetId: string): boolean {
    return this.#packets.has(packetId);
  }

  /** Adds messages from anywhere, in any order, each once. */
  add(messages: readonly Message[]): void {
    for (const message of messages) this.#insert(message);
    const newest = this.#messages.at(-1)?.seq ?? 0;
    if (newest > this.summary.lastSeq) this.summary = { ...this.summary, lastSeq: newest };
  }

  /** One that was pushed to us and nobody has read. */
  countUnread(): void {
    const unread = Math.min(UNREAD_MAX, this.summary.unread + 1);
    this.summary = { ...this.summary, unread };
  }

  /** Forgets what lies before a hole that will not be filled by itself. */
  cutAbove(seq: number): void {
    this.#messages = this.#messages.filter((message) => message.seq > seq);
  }

  drop(clientMsgId: string): void {
    this.outgoing = this.outgoing.filter((one) => one.clientMsgId !== clientMsgId);
  }

  #insert(message: Message): void {
    const packetId = packetIdOf(message);
    if (packetId !== null) this.#packets.add(packetId);
    if (message.clientMsgId !== '') this.drop(message.clientMsgId);
    // From the end: nearly all are newer than all we have.
    let index = this.#messages.length;
    while (index > 0 && this.#messages[index - 1]!.seq > message.seq) index -= 1;
    if (this.#messages[index - 1]?.seq === message.seq) return;
    this.#messages.splice(index, 0, message);
  }
}

/** A JSON body's fields; an empty object when it is none. */
export function bodyOf(message: Message): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(message.body);
    return typeof body === 'object' && body !== null ? { ...body } : {};
  } catch {
    return {};
  }
}

export function packetIdOf(message: Message): string | null {
  if (message.kind !== 'red_packet') return null;
  const { packetId } = bodyOf(message);
  return typeof packetId === 'string' ? packetId : null;
}

function textOf(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** A message in one line, for the list of groups. */
export function previewOf(message: Message, me: string): string {
  const who = message.sender === me ? 'You' : message.sender;
  switch (message.kind) {
    case 'text':
      return `${who}: ${message.body}`;
    case 'red_packet':
      return `${who}: 🧧 ${textOf(bodyOf(message)['greeting'], 'red packet')}`;
    case 'system':
      return systemText(message, me);
    default:
      return `${who}: [${message.kind}]`;
  }
}

/** What a system message says, in words. */
export function systemText(message: Message, me: string): string {
  const { event, userId, inviter } = bodyOf(message);
  const who = userId === me ? 'You' : textOf(userId, message.sender);
  const isInvited = typeof inviter === 'string' && inviter !== userId;
  switch (event) {
    case 'founded':
      return `${who} created the group`;
    case 'joined':
      return isInvited
        ? `${who} joined, invited by ${inviter === me ? 'you' : inviter}`
        : `${who} joined`;
    case 'left':
      return `${who} left`;
    default:
      return 'Something changed in this group';
  }
}
