import { playAnything } from './anything.ts';
import type { Stage } from './scene-kit.ts';
import { LONG_MS, STEP_MS, SceneKit, fenceOf, knownOf } from './scene-kit.ts';

type Scene = {
  readonly name: string;
  readonly play: (scenes: Scenes, stage: Stage) => Promise<void>;
  /** Rulings 6: the Set waits for an operator's signature, and rightly. */
  readonly endsStuck?: true;
};

const SCENES: readonly Scene[] = [
  { name: 'a promise is forgotten, and who was replaced wakes up', play: (s) => s.zombie() },
  { name: 'an acknowledgement is forgotten, and who knows is away', play: (s) => s.forgotten() },
  { name: 'a re-admission is recorded and not finished', play: (s) => s.halfAdmitted() },
  { name: 'a leader dies as it has re-admitted', play: (s) => s.diesAtAdmission() },
  { name: 'an acknowledgement of a former life', play: (s) => s.formerLife() },
  { name: 'journals change before the last fence is set', play: (s) => s.slowFences() },
  { name: 'a promise is forgotten after it was counted', play: (s) => s.countedPromise() },
  { name: 'a re-admission that nobody heard of', play: (s) => s.unheardAdmission() },
  { name: 'a machine is set back to a former incarnation', play: (s) => s.formerIncarnation() },
  { name: 'a lost disk beside an old one', play: (s) => s.lostBesideOld(), endsStuck: true },
  { name: 'anything, in small steps', play: (_, stage) => playAnything(stage) },
];

export const AMNESIA_SCENES: readonly string[] = SCENES.map(({ name }) => name);

/**
 * A walk about one restart that forgot something (rulings 6), at the worst moment for it: which
 * scene, by its number. Resolves to false when liveness must not be demanded after it.
 */
export async function playAmnesia(stage: Stage, number: number): Promise<boolean> {
  const scene = SCENES[number % SCENES.length];
  if (scene === undefined) throw new Error('a scene is one of the list');
  stage.note(`scene: ${scene.name}`);
  await scene.play(new Scenes(stage), stage);
  for (const node of stage.nodes()) {
    node.lines.heal();
    node.resume();
  }
  return scene.endsStuck !== true;
}

class Scenes {
  readonly #kit: SceneKit;

  constructor(stage: Stage) {
    this.#kit = new SceneKit(stage);
  }

  /**
   * A leads on {witness, victim}; C takes over on {victim, other}; the victim forgets its promise to
   * C; A goes on as if nothing had been.
   */
  async zombie(): Promise<void> {
    const { pass } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await this.#kit.quiet(a);
    a.pause();
    await victim.keepCopy();
    const c = this.#kit.rise(a, [witness]);
    await this.#kit.until(() => c.leads, 1_500);
    this.#kit.wishes();
    await pass(100 + this.#kit.below(400));
    if (this.#kit.below(3) > 0) this.#kit.stage.kill(c);
    else c.cut(victim.replica, LONG_MS);
    this.#kit.setBack(victim);
    a.cut(other.replica, LONG_MS);
    a.resume();
    for (let more = this.#kit.below(4); more > 0; more--) {
      this.#kit.wishes();
      await pass(this.#kit.below(200));
    }
    await pass(500 + this.#kit.below(1_500));
  }

  /** A commits on {witness, victim}; the victim forgets it; C hears {victim, other} only. */
  async forgotten(): Promise<void> {
    const { pass } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await victim.keepCopy();
    await this.#kit.commitWithout(a, { victim, other });
    if (this.#kit.below(2) === 0) this.#kit.stage.kill(a);
    else a.pause();
    this.#kit.setBack(victim);
    const c = this.#kit.rise(a, [witness]);
    await pass(1_000 + this.#kit.below(1_500));
    if (this.#kit.below(2) === 0) c.lines.heal();
    await pass(500);
  }

  /** The same, and what keeps the witness from its vote is an admission that was only recorded. */
  async halfAdmitted(): Promise<void> {
    const { pass, kill } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await victim.keepCopy();
    await this.#kit.commitWithout(a, { victim, other });
    const before = Math.max(knownOf(witness, victim), knownOf(witness, other));
    a.lines.bias({ replica: witness.replica, call: 'admit', how: 'lost' });
    this.#kit.stage.note(`restart replica ${witness.replica}`);
    witness.restart();
    const isRecorded = (): boolean =>
      knownOf(witness, victim) > before && knownOf(witness, other) > before;
    await this.#kit.until(isRecorded, 1_900);
    kill(a);
    this.#kit.setBack(victim);
    this.#kit.rise(a, []);
    await pass(1_000 + this.#kit.below(1_500));
  }

  /** A brings the victim back beside one that lags, and dies; C hears these two only. */
  async diesAtAdmission(): Promise<void> {
    const { pass, kill } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await victim.keepCopy();
    await this.#kit.commitWithout(a, { victim, other });
    a.lines.bias({ replica: victim.replica, call: 'append', how: 'lost' });
    this.#kit.setBack(victim);
    await this.#kit.until(() => victim.damage === 'none', 2_500);
    if (this.#kit.below(3) === 0) await pass(this.#kit.below(200));
    kill(a);
    this.#kit.rise(a, [witness]);
    await pass(1_000 + this.#kit.below(1_500));
  }

  /** Only the victim has an entry, and forgets it; back without it, it must not count for it. */
  async formerLife(): Promise<void> {
    const { pass, kill } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await this.#kit.quiet(a);
    await victim.keepCopy();
    for (const { replica } of [witness, other]) {
      a.lines.bias({ replica, call: 'append', how: 'lost' });
    }
    this.#kit.wishes();
    await this.#kit.until(() => victim.journal.length > witness.journal.length, 500);
    this.#kit.setBack(victim);
    await this.#kit.until(() => victim.damage === 'none', 1_900);
    a.lines.lift(witness.replica, 'append');
    await pass(500 + this.#kit.below(1_000));
    if (this.#kit.below(2) === 0) return;
    kill(a);
    this.#kit.rise(a, [witness]);
    await pass(1_000);
  }

  /**
   * C has the victim's promise when the victim is set back, re-admitted by A, and acknowledges; the
   * witness has the same entry, and is set back after that. Then C gets the other two promises.
   */
  async slowFences(): Promise<void> {
    const { pass, kill, note, history } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await this.#kit.quiet(a);
    await victim.keepCopy();
    await witness.keepCopy();
    const epoch = fenceOf(victim);
    const c = this.#kit.rise(a, []);
    for (const { replica } of [witness, other]) {
      c.lines.bias({ replica, call: 'takeOver', how: 'held' });
    }
    await this.#kit.until(() => fenceOf(victim) > epoch, 500);
    this.#kit.setBack(victim);
    a.lines.bias({ replica: other.replica, call: 'append', how: 'lost' });
    const { length } = history.committed;
    this.#kit.wishes();
    const isBack = (): boolean => victim.damage === 'none' && history.committed.length > length;
    await this.#kit.until(isBack, 1_500);
    if (this.#kit.below(3) > 0) kill(a);
    else a.pause();
    note(`restart replica ${victim.replica}`);
    victim.restart();
    if (victim.damage === 'none') this.#kit.setBack(witness);
    c.lines.heal();
    await pass(1_000 + this.#kit.below(1_500));
  }

  /**
   * As before, and the victim acknowledges something to A only after C has read its journal, which C
   * is about to replace: its promise to C is gone, and C does not know.
   */
  async countedPromise(): Promise<void> {
    const { kill, note, history, pass } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await this.#kit.quiet(a);
    await victim.keepCopy();
    await witness.keepCopy();
    const epoch = fenceOf(victim);
    const c = this.#kit.rise(a, []);
    for (const { replica } of [witness, other]) {
      c.lines.bias({ replica, call: 'takeOver', how: 'held' });
    }
    c.lines.bias({ replica: victim.replica, call: 'restore', how: 'held' });
    await this.#kit.until(() => fenceOf(victim) > epoch, 500);
    this.#kit.setBack(victim);
    this.#kit.wishes();
    await this.#kit.until(() => a.engine.driver?.setLog.isActive(victim.replica) === false, 500);
    a.lines.bias({ replica: victim.replica, call: 'append', how: 'held' });
    await this.#kit.until(() => victim.damage === 'none', 800);
    // One entry more on {witness, other}, and one on the witness alone.
    this.#kit.wishes();
    await this.#kit.until(() => other.journal.length > victim.journal.length, 200);
    await this.#kit.storeOnly(a, { witness, other });
    if (victim.damage === 'none') this.#kit.setBack(witness);
    const recorded = knownOf(victim, other);
    for (const { replica } of [witness, other]) c.lines.lift(replica, 'takeOver');
    await this.#kit.until(() => knownOf(victim, other) > recorded, 500);
    await pass(this.#kit.below(3) * STEP_MS);
    const { length } = history.committed;
    a.lines.lift(victim.replica, 'append');
    await this.#kit.until(() => history.committed.length > length, 100);
    if (this.#kit.below(2) === 0) kill(a);
    note(`restart replica ${victim.replica}`);
    victim.restart();
    c.lines.heal();
    await pass(1_000 + this.#kit.below(1_500));
  }

  /**
   * A re-admits the victim, and does not hear that it has, or the call arrives later still. C takes
   * over on {victim, other}; the victim forgets its promise to C, and A is heard again.
   */
  async unheardAdmission(): Promise<void> {
    const { pass, kill, note } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await this.#kit.quiet(a);
    const isLate = this.#kit.below(2) === 0;
    const before = knownOf(victim, other);
    const { admissions } = victim;
    a.lines.bias({ replica: victim.replica, call: 'admit', how: isLate ? 'late' : 'breaks' });
    note(`restart replica ${victim.replica}`);
    victim.restart();
    if (isLate) {
      await this.#kit.until(() => knownOf(victim, other) > before, 2_000);
      await pass(50);
      a.lines.detach(victim.replica, 'admit');
    }
    await this.#kit.until(() => victim.admissions > admissions, 2_500);
    a.cut(victim.replica, LONG_MS);
    await victim.keepCopy();
    a.cut(other.replica, LONG_MS);
    const c = this.#kit.rise(a, [witness]);
    await this.#kit.until(() => c.leads, 1_500);
    this.#kit.wishes();
    await pass(100 + this.#kit.below(300));
    kill(c);
    this.#kit.setBack(victim);
    a.lines.lift(victim.replica, 'admit');
    a.lines.uncut(victim.replica);
    await pass(500 + this.#kit.below(2_000));
  }

  /** A commits on {witness, victim}; the victim's machine goes back to before its re-admission. */
  async formerIncarnation(): Promise<void> {
    const { pass, kill, note, sites } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await victim.keepCopy();
    const { admissions } = victim;
    note(`restart replica ${victim.replica}`);
    victim.restart();
    await this.#kit.until(() => victim.admissions > admissions, 2_500);
    await this.#kit.commitWithout(a, { victim, other });
    kill(a);
    if (!victim.revert(sites.filter((site) => site !== victim))) return;
    note(`replica ${victim.replica} is set back with its memory`);
    this.#kit.stage.damaged();
    this.#kit.rise(a, [witness]);
    await pass(1_000 + this.#kit.below(1_500));
  }

  /** The two that followed C: one disk is lost, the other set back. A must re-admit neither. */
  async lostBesideOld(): Promise<void> {
    const { pass, kill, note } = this.#kit.stage;
    const { victim, witness, other } = this.#kit.cast();
    const a = await this.#kit.leader();
    await this.#kit.quiet(a);
    a.pause();
    await victim.keepCopy();
    const c = this.#kit.rise(a, [witness]);
    await this.#kit.until(() => c.leads, 1_500);
    this.#kit.wishes();
    await pass(100 + this.#kit.below(300));
    kill(c);
    note(`replica ${other.replica} comes back with an empty disk`);
    other.wipe();
    this.#kit.setBack(victim);
    a.resume();
    await pass(1_500 + this.#kit.below(1_500));
  }
}
