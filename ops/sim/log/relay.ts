import type { Site } from '../site.ts';
import type { SimNode } from './node.ts';
import { Returns } from './returns.ts';
import type { Stage } from './scene-kit.ts';
import { LONG_MS, SceneKit } from './scene-kit.ts';

const LEGS_MIN = 3;
const LEGS_MAX = 6;
const RISE_MS = 2_500;
/** By then a leader has healed a replica that it did not hear at first. */
const HEALED_MS = 1_200;

type Scene = { readonly name: string; readonly play: (stage: Stage) => Promise<void> };

const SUCCESSION: Scene = {
  name: 'leaders in quick succession',
  play: (stage) => new Relay(stage).succession(),
};
const HALFWAY: Scene = {
  name: 'a candidate stops when it has chosen',
  play: (stage) => new Relay(stage).halfway(),
};
const SCENES: readonly Scene[] = [
  SUCCESSION,
  {
    name: 'what two leaders left alone on two replicas',
    play: (stage) => new Relay(stage).twoRemains(),
  },
  SUCCESSION,
  HALFWAY,
  HALFWAY,
  {
    name: 'a lost disk, and who knows better is away',
    play: (stage) => new Returns(stage).lostDisk(),
  },
  SUCCESSION,
  {
    name: 'a restore arrives beside a newer one',
    play: (stage) => new Returns(stage).lateRestore(),
  },
  {
    name: 'set back after a re-admission, in the same epoch',
    play: (stage) => new Returns(stage).sameEpoch(),
  },
  { name: 'two candidates at once', play: (stage) => new Relay(stage).twoAtOnce() },
  {
    name: 'a leader goes on while its fences are on their way',
    play: (stage) => new Relay(stage).slowPromises(),
  },
];

/**
 * A walk about leaders in quick succession, each of which hears two replicas only: what one of them
 * leaves on a single replica is found by the next but one (replication.md, the mutants). Random
 * trouble meets this once in 100,000 walks. Which scene: by its number.
 */
export async function playRelay(stage: Stage, number: number): Promise<void> {
  const { name, play } = SCENES[number % SCENES.length] ?? SUCCESSION;
  stage.note(`scene: ${name}`);
  await play(stage);
  for (const node of stage.nodes()) {
    node.lines.heal();
    node.resume();
  }
}

class Relay extends SceneKit {
  /** Who alone has what the last leader wrote. */
  #lone: Site | null = null;

  async succession(): Promise<void> {
    const { pass } = this.stage;
    let node = await this.#first();
    const legs = LEGS_MIN + this.below(LEGS_MAX - LEGS_MIN + 1);
    for (let leg = 0; leg < legs; leg++) {
      if (leg > 0) node = await this.#rise(node);
      if (node.leads) await this.#lead(node);
      await this.#wake(node);
      this.#retire(node);
    }
    if (this.below(2) === 0) await this.#wake(null);
    await pass(this.below(800));
  }

  /**
   * A leaves an entry on one replica, B its first one on another. C goes on with what A left, on the
   * two others; then D hears what B left, and one of those.
   */
  async twoRemains(): Promise<void> {
    const { pass, start, kill } = this.stage;
    const { victim: one, witness: two, other: three } = this.cast();
    const a = await this.#first();
    await this.until(() => a.leads, RISE_MS);
    this.#onlyTo(a, one);
    this.wishes();
    await this.until(() => one.journal.length > two.journal.length, 500);
    kill(a);
    const b = start(1 - a.slot);
    b.cut(one.replica, LONG_MS);
    const { length } = two.journal;
    this.#onlyTo(b, two);
    await this.until(() => two.journal.length > length, RISE_MS);
    kill(b);
    const c = start(a.slot);
    c.cut(two.replica, LONG_MS);
    await this.until(() => c.leads, RISE_MS);
    this.wishes();
    // Before or after it has told replicas of its commit point.
    await pass(this.below(3) > 0 ? 10 + this.below(80) : this.below(400));
    kill(c);
    const d = start(b.slot);
    d.cut((this.below(2) === 0 ? one : three).replica, LONG_MS);
    await this.until(() => d.leads, RISE_MS);
    await pass(this.below(500));
  }

  /** C stands still between its choice and its repair; A leads again, and C goes on. */
  async halfway(): Promise<void> {
    const { pass, start, kill } = this.stage;
    const { victim: one } = this.cast();
    const a = await this.#first();
    await this.until(() => a.leads, RISE_MS);
    if (this.below(2) === 0) {
      this.#onlyTo(a, one);
      this.wishes();
      await pass(100);
    }
    kill(a);
    const fence = this.#fence();
    const c = start(1 - a.slot);
    c.cut(this.#any().replica, LONG_MS);
    await this.#soon(() => this.#fence() > fence, 2_500);
    // A standby that has chosen beats; without one, nothing is to be seen from outside.
    await this.#soon(() => this.#beat() > fence, 30 + this.below(60));
    await pass(this.below(8));
    this.stage.note(`pause ${c.name}`);
    c.pause();
    const b = start(a.slot);
    if (this.below(3) === 0) b.cut(this.#any().replica, 500);
    await this.until(() => b.leads, RISE_MS);
    this.wishes();
    await pass(HEALED_MS);
    this.stage.note(`wake ${c.name}`);
    c.lines.heal();
    c.resume();
    this.wishes();
    await pass(100 + this.below(500));
  }

  /** Two want to lead in the same moment, and hear different replicas. */
  async twoAtOnce(): Promise<void> {
    const { pass, start, kill, nodes } = this.stage;
    const { victim: one, witness: two } = this.cast();
    await this.until(() => nodes().some(({ leads }) => leads), RISE_MS);
    for (const node of nodes()) kill(node);
    const pair = [start(0), start(1)];
    if (this.below(2) === 0) pair[0]?.cut(one.replica, LONG_MS);
    if (this.below(2) === 0) pair[1]?.cut(two.replica, LONG_MS);
    for (let count = 1 + this.below(6); count > 0; count--) {
      this.wishes();
      await pass(50 + this.below(300));
    }
  }

  /** A commits while C, which has looked at everything, waits for its promises. */
  async slowPromises(): Promise<void> {
    const { pass, start, kill, sites, history } = this.stage;
    const { witness: away } = this.cast();
    const a = await this.#first();
    await this.until(() => a.leads, RISE_MS);
    const c = start(1 - a.slot);
    if (this.below(2) === 0) c.cut(away.replica, LONG_MS);
    if (this.below(3) > 0) a.lines.bias({ replica: away.replica, call: 'append', how: 'lost' });
    for (const { replica } of sites) c.lines.bias({ replica, call: 'takeOver', how: 'held' });
    await pass(50 + this.below(150));
    const { length } = history.committed;
    this.wishes();
    await this.until(() => history.committed.length > length, 500);
    // Mostly before replicas are told that it is committed.
    if (this.below(2) === 0) kill(a);
    await pass(this.below(60));
    for (const { replica } of sites) {
      c.lines.lift(replica, 'takeOver');
      await pass(this.below(20));
    }
    await pass(300 + this.below(1_500));
  }

  // ---- what a relay is made of

  /** The first node, after some work. */
  async #first(): Promise<SimNode> {
    const { pass, wish, nodes } = this.stage;
    for (let at = this.below(4); at >= 0; at--) {
      wish();
      await pass(50 + this.below(300));
    }
    const [node] = nodes();
    if (node === undefined) throw new Error('the first node lives');
    return node;
  }

  /** Another node wants to lead; mostly without the one replica that knows of the last leader. */
  async #rise(than: SimNode): Promise<SimNode> {
    const { pass, start, nodes, kill } = this.stage;
    const slot = 1 - than.slot;
    // There is one process a slot, paused or not.
    for (const old of nodes()) if (old.slot === slot) kill(old);
    const fence = this.#fence();
    const node = start(slot);
    const away = this.#lone !== null && this.below(4) > 0 ? this.#lone : this.#any();
    if (this.below(6) > 0) node.cut(away.replica, LONG_MS);
    switch (this.below(6)) {
      case 0:
        // It stops somewhere between its fence and its first entry.
        await this.#soon(() => this.#fence() > fence, 500);
        await pass(1 + this.below(10));
        node.pause();
        break;
      case 1:
        // Its first entry reaches one replica, and that is all.
        this.#lone = this.#onlyTo(node);
        await this.#soon(() => this.#fence() > fence, 500);
        await pass(50 + this.below(300));
        break;
      default:
        await this.until(() => node.leads, RISE_MS);
        this.#lone = null;
    }
    return node;
  }

  /** What it writes reaches one replica from now on, or all that it hears. */
  async #lead(node: SimNode): Promise<void> {
    const { pass } = this.stage;
    if (this.below(3) > 0) this.#lone = this.#onlyTo(node);
    else if (this.below(2) === 0) await pass(HEALED_MS);
    this.wishes();
    await pass(20 + this.below(300));
  }

  #onlyTo(node: SimNode, lone = this.#any()): Site {
    for (const site of this.stage.sites) {
      if (site === lone) continue;
      node.lines.bias({ replica: site.replica, call: 'append', how: 'lost' });
    }
    return lone;
  }

  #retire(node: SimNode): void {
    if (this.below(6) === 0 || node.paused) return;
    if (this.below(2) === 0) return this.stage.kill(node);
    this.stage.note(`pause ${node.name}`);
    node.pause();
  }

  /** Now and then one that was replaced wakes up, and does not know it. */
  async #wake(but: SimNode | null): Promise<void> {
    for (const node of this.stage.nodes()) {
      if (node === but || !node.paused || this.below(2) === 0) continue;
      this.stage.note(`wake ${node.name}`);
      node.lines.heal();
      node.resume();
      await this.stage.pass(this.below(300));
    }
  }

  #any(): Site {
    return this.cast().victim;
  }

  #fence(): number {
    return Math.max(...this.stage.sites.map(({ fence }) => fence));
  }

  /** The newest epoch of which somebody gives a sign of life. */
  #beat(): number {
    return Math.max(...this.stage.sites.map(({ disk }) => disk.diskCopy().take().beat.epoch));
  }

  /** As {@link SceneKit.until}, and looks every millisecond. */
  async #soon(done: () => boolean, ms: number): Promise<void> {
    for (let left = ms; left > 0 && !done(); left -= 1) await this.stage.pass(1);
  }
}
