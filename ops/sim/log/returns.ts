import type { Site } from '../site.ts';
import { SceneKit } from './scene-kit.ts';

/** Scenes about replicas that come back, while leaders change. */
export class Returns extends SceneKit {
  /**
   * A commits on {witness, victim}; the victim's disk is lost; C hears {victim, other} only. The Set
   * is young: later on, what others know of a replica gives it away (L15, P0).
   */
  async lostDisk(): Promise<void> {
    const { pass, kill, nodes, sites } = this.stage;
    const cast = this.cast();
    const isUnknown = ({ replica }: Site): boolean =>
      sites.every(({ journal }) => journal.every(({ acked }) => acked[replica] === 0));
    const victim = sites.find(isUnknown) ?? cast.victim;
    const witness = victim === cast.witness ? cast.victim : cast.witness;
    const other = victim === cast.other ? cast.victim : cast.other;
    const a = nodes()[0] ?? (await this.leader());
    await this.commitWithout(a, { victim, other });
    await pass(this.below(200));
    if (this.below(2) === 0) kill(a);
    else a.pause();
    await this.lose(victim);
    const c = this.rise(a, [witness]);
    await pass(500 + this.below(2_000));
    if (this.below(2) === 0) c.lines.heal();
    await pass(500);
  }

  /** The victim is brought back twice: what was sent first arrives last. */
  async lateRestore(): Promise<void> {
    const { pass } = this.stage;
    const { victim } = this.cast();
    const { replica } = victim;
    const { lines } = await this.leader();
    lines.bias({ replica, call: 'restore', how: 'late' });
    await this.lose(victim);
    this.wishes();
    await pass(600 + this.below(300));
    for (let count = this.below(3); count > 0; count--) {
      this.wishes();
      await pass(50 + this.below(150));
    }
    lines.detach(replica, 'restore');
    // Its journal is there, and nobody counts it yet.
    lines.bias({ replica, call: 'admit', how: 'lost' });
    await this.until(() => victim.journal.length > 0, 4_000);
    await pass(this.below(200));
    lines.lift(replica, 'restore');
    await pass(50);
    lines.lift(replica, 'admit');
    await pass(500 + this.below(1_500));
  }

  /**
   * A re-admits the victim and commits on all three, then on {witness, victim}; the victim's machine
   * is set back, with its memory, to after its re-admission; C hears {victim, other} only.
   */
  async sameEpoch(): Promise<void> {
    const { pass, kill, note, sites, history, damaged } = this.stage;
    const { victim, witness, other } = this.cast();
    const a = await this.leader();
    const { admissions } = victim;
    note(`restart replica ${victim.replica}`);
    victim.restart();
    await this.until(() => victim.admissions > admissions, 2_500);
    await victim.keepCopy();
    const { length } = history.committed;
    for (let count = 0; history.committed.length < length + 3 && count < 12; count++) {
      this.wishes();
      await pass(100);
    }
    await this.commitWithout(a, { victim, other });
    await pass(this.below(200));
    kill(a);
    if (!victim.revert(sites.filter((site) => site !== victim))) return;
    note(`replica ${victim.replica} is set back with its memory`);
    damaged();
    this.rise(a, [witness]);
    await pass(1_000 + this.below(1_500));
  }
}
