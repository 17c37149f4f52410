/** What people, nodes and couriers do in the Sets of a test, step by step of a script. */
import type { Grant } from '../../lib/core/grant.ts';
import { grantMac, inviteMac } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId, packId } from '../../lib/core/ids.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Status } from '../../lib/core/status.ts';
import { RULES_MAX } from '../../lib/core/rules.ts';
import type { Cents } from '../../lib/core/units.ts';
import { cents, epoch, lsn, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { agree } from './machine-agree.ts';
import type { ModelPayment } from './machine-model-payments.ts';
import type { Script, Step } from './machine-script.ts';
import type { Carried, Cell, Execute } from './machine-sets.ts';
import { GENUINE, PEOPLE, TestSets } from './machine-sets.ts';

export class TestWorld extends TestSets {
  readonly groups: Id[] = [];
  readonly packets: PacketDefinition[] = [];
  #unleased = 0;

  constructor(args: ConstructorParameters<typeof TestSets>[0]) {
    super(args);
    // One stays poor and one a stranger: most steps should find somebody who may.
    for (const person of PEOPLE.slice(0, 4)) {
      this.#welcome(person, person === 'refund' ? 20 : 2_000);
    }
    this.#createGroup(at(PEOPLE, 0), 0);
    this.flush();
    for (const who of [1, 2, 3]) this.#join([who, 0, 'good']);
  }

  #welcome(person: UserId, amount: number): void {
    const command = { type: 'wallet.open', user: person, welcomeCents: cents(amount) } as const;
    this.submit(this.home(person), command);
  }

  run(step: Step): unknown {
    switch (step.do) {
      case 'time':
        for (const cell of this.cells) this.cut(cell);
        this.now += step.with;
        return;
      case 'welcome':
        return this.#welcome(at(PEOPLE, step.with[0]), step.with[1]);
      case 'createGroup':
        return this.#createGroup(at(PEOPLE, step.with[0]), step.with[1]);
      case 'join':
        return this.#join(step.with);
      case 'leave':
        return this.#inGroup(step.with[1], (cell, groupId) =>
          this.submit(cell, {
            type: 'group.leave',
            user: at(PEOPLE, step.with[0]),
            groupId,
            commandId: step.with[2] === 'with_id' ? this.#commandId() : null,
          }),
        );
      case 'send':
        return this.#send(step.with);
      case 'again':
        return this.#again(...step.with);
      case 'open':
        return this.#open(step.with);
      case 'expire': {
        const packet = at(this.packets.slice(-8), step.with);
        if (packet === undefined) return;
        const { packetId } = packet;
        return this.submit(this.#setOf(packetId), { type: 'packet.expire', packetId });
      }
      case 'message':
        return this.#inGroup(step.with[1], (cell, groupId) =>
          this.submit(cell, {
            type: 'message.send',
            commandId: this.#commandId(),
            user: at(PEOPLE, step.with[0]),
            groupId,
            kind: 'text',
            body: `hello ${step.with[2]}`,
            seenSeq: step.with[2] % 16,
          }),
        );
      case 'read':
        return this.#inGroup(step.with[1], (cell, groupId) =>
          this.submit(cell, {
            type: 'message.read',
            user: at(PEOPLE, step.with[0]),
            groupId,
            seq: step.with[2] % 16,
          }),
        );
      case 'carry':
        return this.#carry(step.with);
      case 'ack':
        return this.#ack(step.with);
      case 'flush':
        return this.flush();
      case 'cut':
        for (const cell of this.cells) this.cut(cell);
        return;
      case 'restart':
        return this.restart(at(this.cells, step.with));
      case 'upgrade':
        return this.raiseRules(at(this.cells, step.with), RULES_MAX);
      case 'payment':
        return this.#payment(...step.with);
      case 'settle':
        return this.#settle(step.with);
      case 'expirePayment': {
        const payment = at(this.#payments(), step.with);
        if (payment === undefined) return;
        const paymentId = payment.id as Id;
        return this.submit(this.#setOf(paymentId), { type: 'payment.expire', paymentId });
      }
      case 'freeze':
        return this.#operate(step.with[0], { type: 'wallet.freeze', frozen: step.with[1] });
      case 'adjust': {
        const amountCents = cents(step.with[1]);
        return this.#operate(step.with[0], { type: 'wallet.adjust', amountCents });
      }
    }
  }

  #commandId(): ReturnType<typeof makeCommandId> {
    return makeCommandId(this.now, this.random.bytes(10));
  }

  #setOf(id: Id): Cell {
    return this.cell(Number((id / 4096n) % 1024n));
  }

  /** An id of this Set, leased from it like an access node does; or one that it never gave. */
  #newId(cell: Cell, leased: boolean): Id {
    if (!leased) {
      this.#unleased += 1;
      return packId({ ms: 2 ** 40, set: cell.setId, sequence: this.#unleased % 4096 });
    }
    const before = cell.model.idsEnd;
    this.submit(cell, { type: 'ids.reserve', count: 2 });
    agree('a lease moves on', cell.model.idsEnd > before, true);
    return (cell.model.idsEnd - 1n) as Id;
  }

  #createGroup(owner: UserId, where: number): void {
    const groupId = this.#newId(at(this.cells, where), where !== 63);
    this.groups.push(groupId);
    this.submit(this.home(owner), {
      type: 'group.create',
      commandId: this.#commandId(),
      user: owner,
      groupId,
      name: '家',
      history: where % 2 === 0 ? 'all' : 'from_join',
    });
  }

  #inGroup(pick: number, run: (cell: Cell, groupId: Id) => unknown): void {
    // The first group again and again: there is life where people are.
    const groupId = pick < 40 ? this.groups[0] : at(this.groups, pick);
    if (groupId !== undefined) run(this.#setOf(groupId), groupId);
  }

  #join([who, group, how]: Extract<Step, { do: 'join' }>['with']): void {
    this.#inGroup(group, (cell, groupId) => {
      const expiresAt = timeMs(how === 'late' ? this.now : this.now + 1_000);
      const unsigned = { groupId, inviter: at(PEOPLE, who + 1), expiresAt };
      const mac = inviteMac(this.seals.keyOf(cell.setId), unsigned);
      if (how === 'forged') mac[0]! ^= 1;
      const invite = { ...unsigned, mac };
      const genuine = { ...GENUINE, genuineInvite: how !== 'forged' };
      this.submit(cell, { type: 'group.join', user: at(PEOPLE, who), invite }, genuine);
    });
  }

  /** As the group's Set gives it: to members only. `other` is a member's grant for another group. */
  #grant(person: UserId, groupId: Id, how: string): Grant | null {
    const wanted = how === 'other' ? at(this.groups, this.groups.indexOf(groupId) + 1) : groupId;
    if (wanted === undefined || how === 'none') return null;
    const group = this.#setOf(wanted).model.groups[String(wanted)];
    if (group?.members[person] === undefined) return null;
    const unsigned = {
      groupId: wanted,
      role: 'member',
      rights: how === 'no_right' ? 0 : 1,
      groupLsn: lsn(1),
      issuedAt: timeMs(this.now - (how === 'stale' ? 60_001 : 0)),
    } as const;
    const mac = grantMac(this.seals.keyOf(this.#setOf(wanted).setId), person, unsigned);
    if (how === 'forged') mac[15]! ^= 0x80;
    return { ...unsigned, mac };
  }

  #send(s: Extract<Step, { do: 'send' }>['with']): void {
    this.#inGroup(s.group, (_, groupId) => {
      const sender = at(PEOPLE, s.who);
      const packetId = this.#newId(at(this.cells, s.set), s.id === 'leased');
      const definition: PacketDefinition = {
        packetId,
        sender,
        groupId,
        kind: s.kind,
        strategy: s.kind === 'equal' ? 'equal' : s.strategy,
        timing: s.timing,
        totalCents: cents(Math.max(s.cents, s.count)),
        count: s.count,
        lifetimeMs: s.lifetimeMs,
        greeting: '恭喜发财',
        receivers: s.kind === 'exclusive' ? PEOPLE.slice(0, Math.min(s.count, 2)) : [],
      };
      const grant = this.#grant(sender, groupId, s.grant);
      const command = {
        type: s.paid === 'wallet' ? 'packet.send' : 'packet.pay',
        commandId: this.#commandId(),
        definition,
        grant,
      } as const;
      const genuine = { ...GENUINE, genuineGrant: s.grant !== 'forged' };
      if (this.submit(this.home(sender), command, genuine) !== 'ok') return;
      if (command.type === 'packet.pay') return;
      this.packets.push(definition);
      if (s.soon) this.flush();
    });
  }

  #payment(who: number, way: 'topup' | 'withdraw', amount: number): void {
    const user = at(PEOPLE, who);
    const said = { commandId: this.#commandId(), user, amountCents: cents(amount) };
    const destination = 'card';
    const topup = { ...said, type: 'wallet.topup' } as const;
    const withdraw = { ...said, type: 'wallet.withdraw', destination } as const;
    // A node with an old topology asks the wrong Set.
    const cell = who >= 56 ? at(this.cells, who) : this.home(user);
    this.submit(cell, way === 'topup' ? topup : withdraw);
  }

  /** The last ones of every Set. */
  #payments(): ModelPayment[] {
    return this.cells.flatMap(({ model }) => model.payments.all.slice(-6));
  }

  #settle(s: Extract<Step, { do: 'settle' }>['with']): void {
    const payment = at(this.#payments(), s.payment);
    if (payment === undefined) return;
    const { id, amount, definition } = payment;
    const command = {
      type: 'payment.settle',
      paymentId: id as Id,
      result: s.result,
      amountCents: cents(s.amount === 'right' ? amount : amount + 1),
      reference: `gw-${s.payment}`,
    } as const;
    this.submit(this.#setOf(command.paymentId), command);
    const isNew = definition !== null && !this.packets.includes(definition);
    if (payment.became === 'sent' && isNew) this.packets.push(definition);
  }

  #operate(
    who: number,
    what:
      | { readonly type: 'wallet.freeze'; readonly frozen: boolean }
      | { readonly type: 'wallet.adjust'; readonly amountCents: Cents },
  ): void {
    const user = at(PEOPLE, who);
    const said = { commandId: this.#commandId(), operator: at(PEOPLE, 0), user, reason: '' };
    this.submit(this.home(user), { ...said, ...what });
  }

  #open(s: Extract<Step, { do: 'open' }>['with']): void {
    const packet = at(this.packets.slice(-5), s.packet);
    if (packet === undefined) return;
    const person = at(PEOPLE, s.who);
    const grant = this.#grant(person, packet.groupId, s.grant);
    const { packetId } = packet;
    const command = { type: 'packet.open', packetId, user: person, grant } as const;
    const genuine = { ...GENUINE, genuineGrant: s.grant !== 'forged' };
    this.submit(this.#setOf(packetId), command, genuine);
  }

  /** A client, or a node, says again what was said before: the same, or under the same id not the same. */
  #again(pick: number, how: 'same' | 'changed' | 'new_id'): unknown {
    const recent = this.history.slice(-64);
    const earlier = at(recent, pick);
    if (earlier === undefined) return;
    const { command, genuine } = earlier;
    // Only a leader configures, once each.
    if (command.type === 'set.configure') return;
    // A receipt that was never given was refused, and becomes a lie when the number exists.
    if (command.type === 'transfer.ack') {
      const lane = this.lane(`${earlier.cell.setId}/${command.to}/${command.lane}`);
      const isWhole = lane
        .slice(0, command.upTo)
        .every(
          (receipt, index) =>
            receipt?.kind !== 'tombstone' ||
            command.tombstones.some(({ number }) => number === index + 1),
        );
      if (command.upTo > firstHole(lane) || !isWhole) return;
    }
    // A node with an old topology asks the wrong Set now and then.
    const lost = pick % 8 === 7 && /^(packet|payment|group|message|wallet)/.test(command.type);
    const cell = lost ? at(this.cells, earlier.cell.setId) : earlier.cell;
    const isKeyed = 'commandId' in command && command.commandId !== null;
    if (how === 'same' || !isKeyed) return this.submit(cell, command, genuine);
    if (how === 'new_id') {
      return this.submit(cell, { ...command, commandId: this.#commandId() }, genuine);
    }
    switch (command.type) {
      case 'message.send':
        return this.submit(cell, { ...command, body: `${command.body}!` }, genuine);
      // A node that proposes an id twice costs that person his group or packet, and nobody else.
      case 'group.create':
        return this.submit(cell, { ...command, name: `${command.name}!` }, genuine);
      // The same id for another group.
      case 'group.leave': {
        const groupId = at(this.groups, this.groups.indexOf(command.groupId) + 1);
        return this.submit(this.#setOf(groupId), { ...command, groupId }, genuine);
      }
      case 'wallet.topup':
      case 'wallet.withdraw':
      case 'wallet.adjust': {
        const amountCents = cents(command.amountCents + 1);
        return this.submit(cell, { ...command, amountCents }, genuine);
      }
      case 'wallet.freeze':
        return this.submit(cell, { ...command, frozen: !command.frozen }, genuine);
      case 'packet.pay':
      case 'packet.send': {
        const definition = { ...command.definition, greeting: 'other' };
        return this.submit(cell, { ...command, definition }, genuine);
      }
    }
  }

  /** Lanes that ever carried something. */
  #lanes(): { from: Cell; to: Cell; lane: number; key: string }[] {
    return this.cells.flatMap((from) =>
      Object.keys(from.model.sent).map((key) => {
        const [to, lane] = key.split('/').map(Number) as [number, number];
        return { from, to: this.cell(to), lane, key };
      }),
    );
  }

  #carry(s: Extract<Step, { do: 'carry' }>['with']): void {
    const picked = at(this.#lanes(), s.lane);
    if (picked === undefined) return;
    const { from, to, lane, key } = picked;
    const sent = from.model.sent[key] ?? [];
    const carried = this.lane(`${from.setId}/${to.setId}/${lane}`);
    const next = firstHole(carried);
    // skip 0: two that were there before; 1: in order; more: out of order.
    const start = Math.max(0, next + (s.skip === 0 ? -2 : s.skip - 1));
    const transfers = sent.slice(start, start + s.count);
    if (transfers.length === 0) return;
    const first = start + 1;
    this.submit(to, { type: 'transfer.deliver', from: from.setId, lane, first, transfers });
  }

  #ack(s: Extract<Step, { do: 'ack' }>['with']): void {
    const picked = at(this.#lanes(), s.lane);
    if (picked === undefined) return;
    const { from, to, lane, key } = picked;
    const carried = this.lane(`${from.setId}/${to.setId}/${lane}`);
    const tombstones = carried.flatMap((receipt, index): { number: number; reason: Status }[] =>
      receipt?.kind === 'tombstone' ? [{ number: index + 1, reason: receipt.reason }] : [],
    );
    const sent = from.model.sent[key]?.length ?? 0;
    const upTo = s.tooFar === 15 ? sent + 1 : Math.max(0, firstHole(carried) - s.less);
    this.submit(from, {
      type: 'transfer.ack',
      to: to.setId,
      lane,
      upTo,
      // Said twice, or of numbers above: a refund is made once, and only of what is done.
      tombstones: s.less === 1 ? [...tombstones, ...tombstones] : tombstones,
      receiptEpoch: epoch(256),
      receiptLsn: to.state.lsn,
    });
  }

  /** Everything arrives and is acknowledged, lanes in any order, what that sends too. */
  flush(): void {
    for (let round = 0; round < 8; round++) {
      let moved = false;
      for (const { from, to, lane, key } of this.#shuffled(this.#lanes())) {
        const sent = from.model.sent[key] ?? [];
        const start = firstHole(this.lane(`${from.setId}/${to.setId}/${lane}`));
        if (start < sent.length) {
          moved = true;
          const transfers = sent.slice(start);
          const first = start + 1;
          this.submit(to, { type: 'transfer.deliver', from: from.setId, lane, first, transfers });
        }
      }
      for (const [index] of this.#lanes().entries()) this.#ack({ lane: index, less: 0, tooFar: 0 });
      if (!moved) return;
    }
    throw new Error('transfers do not come to rest');
  }

  #shuffled<T>(list: T[]): T[] {
    return list
      .map((value) => ({ value, at: this.random.below(1_000_000) }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ value }) => value);
  }
}

/** The list wraps around; undefined only when it is empty. */
function at<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T;
}

function firstHole(carried: Carried): number {
  const hole = carried.findIndex((receipt) => receipt === undefined);
  // findIndex sees holes of sparse arrays too.
  return hole === -1 ? carried.length : hole;
}

/** Runs a script to its end, everything carried and sealed. */
export function runScript(args: {
  script: Script;
  execute?: Execute;
  cutsEach?: boolean;
}): TestWorld {
  const world = new TestWorld(args);
  for (const step of args.script.steps) world.run(step);
  world.flush();
  for (const cell of world.cells) world.cut(cell);
  return world;
}
