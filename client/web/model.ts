import { HongbaoClient, fetchDevToken } from '../index.ts';
import type { Balance, ClientState, GroupEvent, GroupSummary, Hello, Message } from '../index.ts';
import { MessageLog } from './message-log.ts';
import type { Outgoing } from './message-log.ts';
import { PacketBook } from './packet-book.ts';
import { Store } from './store.ts';
import { explain } from './words.ts';

const PAGE = 50;
/** Groups whose last line is shown in the list; the others show theirs when something happens. */
const PREVIEWS_MAX = 30;
const READ_DELAY_MS = 400;
const TOAST_MS = 5_000;
/** The SDK repeats a message under the same id for this long before it asks the person. */
const SEND_DEADLINE_MS = 60_000;

/** One signed-in person: everything the page shows, and everything one can do in it. */
export class ChatModel extends Store {
  readonly me: string;
  readonly client: HongbaoClient;
  readonly packets: PacketBook;
  readonly logs = new Map<string, MessageLog>();
  state: ClientState = 'connecting';
  balance: Balance | null = null;
  currentId: string | null = null;
  toast: string | null = null;
  /** Has the list of groups been read? */
  isReady = false;
  /** Called when the session is over for good. */
  onEnd: (reason: string | null) => void = () => {};
  #readTimer: ReturnType<typeof setTimeout> | null = null;
  #toastTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(args: { readonly userId: string; readonly origin: string }) {
    super();
    this.me = args.userId;
    this.client = new HongbaoClient({
      url: `${args.origin.replace(/^http/, 'ws')}/v1/ws`,
      token: () => fetchDevToken({ baseUrl: args.origin, userId: args.userId }),
    });
    this.packets = new PacketBook(this.client);
    this.packets.subscribe(() => this.changed());
    this.#listen();
  }

  get current(): MessageLog | null {
    return this.currentId === null ? null : (this.logs.get(this.currentId) ?? null);
  }

  /** The liveliest first. */
  get groups(): MessageLog[] {
    const at = (log: MessageLog): number => log.last?.at ?? 0;
    return [...this.logs.values()].toSorted(
      (a, b) => at(b) - at(a) || a.summary.name.localeCompare(b.summary.name),
    );
  }

  get unread(): number {
    let sum = 0;
    for (const log of this.logs.values()) sum += log.summary.unread;
    return sum;
  }

  /** Resolves when the session has begun. Rejects with HongbaoError. */
  async start(): Promise<void> {
    await this.client.connect();
  }

  stop(): void {
    this.client.close();
  }

  say(text: string): void {
    this.toast = text;
    if (this.#toastTimer !== null) clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => {
      this.toast = null;
      this.changed();
    }, TOAST_MS);
    this.changed();
  }

  #listen(): void {
    const { client } = this;
    client.on('state', (state) => {
      this.state = state;
      this.changed();
    });
    client.on('hello', (hello) => this.#greeted(hello));
    client.on('balance', (balance) => {
      this.balance = balance;
      this.changed();
    });
    client.on('message', (message) => this.#received(message));
    client.on('gap', ({ groupId, toSeq }) => {
      this.logs.get(groupId)?.cutAbove(toSeq);
      this.changed();
    });
    client.on('packet', (event) => this.packets.fromEvent(event));
    client.on('group', (event) => void this.#groupChanged(event));
    client.on('closed', ({ error }) => this.onEnd(error === null ? null : explain(error)));
  }

  #greeted(hello: Hello): void {
    const present = new Set(hello.groups.map((group) => group.groupId));
    for (const groupId of [...this.logs.keys()]) {
      if (!present.has(groupId)) this.#forget(groupId);
    }
    for (const group of hello.groups) this.#summarise(group);
    this.isReady = true;
    this.changed();
    if (this.currentId !== null) void this.openGroup(this.currentId);
    void this.#loadPreviews();
  }

  #summarise(summary: GroupSummary): MessageLog {
    const log = this.logs.get(summary.groupId) ?? new MessageLog(summary);
    log.summary = summary;
    this.logs.set(summary.groupId, log);
    return log;
  }

  #forget(groupId: string): void {
    this.logs.delete(groupId);
    if (this.currentId === groupId) this.currentId = null;
  }

  async #loadPreviews(): Promise<void> {
    for (const log of [...this.logs.values()].slice(0, PREVIEWS_MAX)) {
      if (log.last !== null || log.summary.lastSeq === 0) continue;
      const d = { groupId: log.groupId, limit: 1, reverse: true };
      try {
        this.#add(log, (await this.client.message.history(d)).messages);
      } catch {
        // A line less in the list; opening the group asks again and says what is wrong.
      }
    }
  }

  #add(log: MessageLog, messages: readonly Message[]): void {
    for (const message of messages) this.packets.fromMessage(message);
    log.add(messages);
    this.changed();
  }

  #received(message: Message): void {
    const log = this.logs.get(message.groupId);
    if (log === undefined) {
      void this.#refreshGroups();
      return;
    }
    this.#add(log, [message]);
    const counts = message.kind !== 'system' && message.sender !== this.me;
    if (counts) log.countUnread();
    if (this.currentId === message.groupId) this.markRead();
  }

  async #groupChanged(event: GroupEvent): Promise<void> {
    if (event.userId === this.me && event.change === 'left') {
      this.#forget(event.groupId);
      this.changed();
      return;
    }
    const log = this.logs.get(event.groupId);
    if (log === undefined) {
      await this.#refreshGroups();
      return;
    }
    if (log.groupId === this.currentId && !log.isLoaded) await this.#loadNewest(log);
    await this.#loadMembers(log);
  }

  async #refreshGroups(): Promise<void> {
    try {
      for (const group of (await this.client.group.list()).groups) this.#summarise(group);
      this.changed();
      await this.#loadPreviews();
    } catch (error) {
      this.say(explain(error));
    }
  }

  async openGroup(groupId: string): Promise<void> {
    const log = this.logs.get(groupId);
    if (log === undefined) return;
    this.currentId = groupId;
    this.changed();
    this.markRead();
    const newest = log.isLoaded ? Promise.resolve() : this.#loadNewest(log);
    await Promise.all([newest, this.#loadMembers(log)]);
  }

  closeGroup(): void {
    this.currentId = null;
    this.changed();
  }

  async #loadNewest(log: MessageLog): Promise<void> {
    if (log.isLoading) return;
    log.isLoading = true;
    try {
      const d = { groupId: log.groupId, limit: PAGE, reverse: true };
      const { messages } = await this.client.message.history(d);
      this.#add(log, messages);
      log.isLoaded = true;
    } catch (error) {
      this.say(explain(error));
    } finally {
      log.isLoading = false;
      this.changed();
    }
  }

  async loadOlder(log: MessageLog): Promise<void> {
    const oldest = log.messages[0];
    if (log.isLoading || oldest === undefined || !log.hasOlder) return;
    log.isLoading = true;
    this.changed();
    try {
      const d = { groupId: log.groupId, toSeq: oldest.seq - 1, limit: PAGE, reverse: true };
      this.#add(log, (await this.client.message.history(d)).messages);
    } catch (error) {
      this.say(explain(error));
    } finally {
      log.isLoading = false;
      this.changed();
    }
  }

  async #loadMembers(log: MessageLog): Promise<void> {
    try {
      const { members } = await this.client.group.get(log.groupId);
      log.members = members.map((member) => member.userId);
      log.summary = { ...log.summary, memberCount: members.length };
      this.changed();
    } catch {
      // Decoration: the count of the summary is shown instead.
    }
  }

  /** Tells the server how far we have read, a moment later and only while somebody looks. */
  markRead(): void {
    const log = this.current;
    if (log === null || document.visibilityState !== 'visible') return;
    if (log.summary.unread === 0) return;
    log.summary = { ...log.summary, unread: 0, readSeq: log.summary.lastSeq };
    this.changed();
    if (this.#readTimer !== null) clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => {
      // Lost in the worst case: the badge comes back, and the next look clears it.
      this.client.message.read(log.groupId, log.summary.lastSeq).catch(() => {});
    }, READ_DELAY_MS);
  }

  /** Resolves with the new group's id. Rejects with HongbaoError. */
  async createGroup(name: string, clientId: string): Promise<void> {
    const { groupId, status } = await this.client.group.create({ name, clientId });
    const log = this.#summarise({
      groupId,
      name,
      role: 'owner',
      lastSeq: 0,
      readSeq: 0,
      firstSeq: 1,
      unread: 0,
      memberCount: 1,
    });
    log.members = [this.me];
    if (status === 'ready') {
      await this.openGroup(groupId);
      return;
    }
    // An event tells when it is there.
    this.currentId = groupId;
    this.say('Your group is being set up. It will be ready in a moment.');
  }

  /** Rejects with HongbaoError. */
  async join(invite: string): Promise<void> {
    const { group } = await this.client.group.join(invite);
    this.#summarise(group);
    await this.openGroup(group.groupId);
  }

  /** The link that lets others in. Rejects with HongbaoError. */
  async inviteLink(groupId: string): Promise<string> {
    const { invite } = await this.client.group.invite(groupId);
    return `${location.origin}/#join=${encodeURIComponent(invite)}`;
  }

  send(log: MessageLog, body: string): void {
    const clientMsgId = this.client.newId();
    const outgoing: Outgoing = { clientMsgId, body, at: Date.now(), state: 'sending', reason: '' };
    log.outgoing.push(outgoing);
    void this.#deliver(log, outgoing);
  }

  /** Under the same id: it can never appear twice. */
  sendAgain(log: MessageLog, outgoing: Outgoing): void {
    outgoing.state = 'sending';
    void this.#deliver(log, outgoing);
  }

  async #deliver(log: MessageLog, outgoing: Outgoing): Promise<void> {
    this.changed();
    const { clientMsgId, body } = outgoing;
    const { groupId } = log;
    try {
      const d = { groupId, clientMsgId, body, seenSeq: log.last?.seq ?? 0 };
      const deadline = { deadlineMs: SEND_DEADLINE_MS };
      const { seq, at } = await this.client.message.send(d, deadline);
      log.add([{ groupId, seq, sender: this.me, kind: 'text', body, at, clientMsgId }]);
    } catch (error) {
      outgoing.state = 'failed';
      outgoing.reason = explain(error);
    }
    this.changed();
  }
}
