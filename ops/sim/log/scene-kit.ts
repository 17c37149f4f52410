import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { Site } from '../site.ts';
import { votes } from '../site.ts';
import type { History } from './history.ts';
import type { SimNode } from './node.ts';

/** What a scene may do with the world of a walk. */
export type Stage = {
  readonly sites: readonly Site[];
  readonly chance: SeededRandom;
  readonly clock: Clock;
  readonly history: History;
  readonly note: (line: string) => void;
  readonly nodes: () => readonly SimNode[];
  readonly start: (slot: number) => SimNode;
  readonly kill: (node: SimNode) => void;
  /** People wish for something more. */
  readonly wish: () => void;
  /** Time goes by: clients ask and read. */
  readonly pass: (ms: number) => Promise<void>;
  /** A takeover may trip over what happens to a disk now. */
  readonly damaged: () => void;
};

/** Who plays what: `victim` forgets, `witness` knows better and is away, `other` lags. */
export type Cast = { readonly victim: Site; readonly witness: Site; readonly other: Site };

/** Longer than any scene: until the walk makes all lines whole. */
export const LONG_MS = 60_000;
export const STEP_MS = 10;

/** What scenes are made of. */
export class SceneKit {
  readonly stage: Stage;

  constructor(stage: Stage) {
    this.stage = stage;
  }

  below(count: number): number {
    return this.stage.chance.below(count);
  }

  cast(): Cast {
    const { sites } = this.stage;
    const from = this.below(sites.length);
    const step = 1 + this.below(2);
    const [victim, witness, other] = [0, step, 2 * step].map(
      (at) => sites[(from + at) % sites.length],
    );
    if (victim === undefined || witness === undefined || other === undefined) {
      throw new Error('there are three replicas');
    }
    return { victim, witness, other };
  }

  wishes(): void {
    for (let count = 1 + this.below(3); count > 0; count--) this.stage.wish();
  }

  /** One node leads, on all three replicas. */
  async leader(): Promise<SimNode> {
    const { nodes, kill, start, pass, sites } = this.stage;
    const leads = (node: SimNode): boolean => {
      const { driver } = node.engine;
      return driver !== null && sites.every(({ replica }) => driver.setLog.isActive(replica));
    };
    if (nodes().length === 0) start(this.below(2));
    for (const extra of nodes().slice(1)) kill(extra);
    await this.until(() => nodes().some(leads), 5_000);
    for (let at = this.below(6); at >= 0; at--) {
      this.wishes();
      await pass(50 + this.below(200));
    }
    await this.until(() => nodes().some(leads), 3_000);
    const [node] = nodes();
    if (node === undefined) throw new Error('the first node lives');
    return node;
  }

  /** Nothing of it is on its way. */
  async quiet(node: SimNode): Promise<void> {
    await this.until(() => node.engine.driver?.setLog.uncommitted === 0, 1_000);
  }

  /** Something is committed that `other` has not. */
  async commitWithout(
    node: SimNode,
    { victim, other }: Pick<Cast, 'victim' | 'other'>,
  ): Promise<void> {
    node.lines.bias({ replica: other.replica, call: 'append', how: 'lost' });
    this.wishes();
    const { history } = this.stage;
    const more = (): boolean =>
      history.committed.length > other.journal.length &&
      victim.journal.length > other.journal.length;
    await this.until(more, 600);
  }

  /** Something is stored by the witness alone, and not committed yet. */
  async storeOnly(
    node: SimNode,
    { witness, other }: Pick<Cast, 'witness' | 'other'>,
  ): Promise<void> {
    node.lines.bias({ replica: other.replica, call: 'append', how: 'lost' });
    this.wishes();
    await this.until(() => witness.journal.length > other.journal.length, 300);
  }

  /** Another node wants to lead, and does not reach these. */
  rise(than: SimNode, cutFrom: readonly Site[]): SimNode {
    const node = this.stage.start(1 - than.slot);
    for (const { replica } of cutFrom) node.cut(replica, LONG_MS);
    return node;
  }

  /** A lost disk, only beside two with a vote. */
  async lose(site: Site): Promise<void> {
    const { sites, note, damaged } = this.stage;
    for (const other of sites) if (!(await votes(other, sites))) return;
    note(`replica ${site.replica} comes back with an empty disk`);
    site.wipe();
    damaged();
  }

  setBack(site: Site): void {
    if (!site.restoreCopy((count) => count - 1)) return;
    this.stage.note(`replica ${site.replica} comes back with an old disk`);
    this.stage.damaged();
  }

  async until(done: () => boolean, ms: number): Promise<void> {
    for (let left = ms; left > 0 && !done(); left -= STEP_MS) await this.stage.pass(STEP_MS);
  }
}

export function fenceOf({ disk }: Site): number {
  return disk.diskCopy().take().state?.fenceEpoch ?? 0;
}

/** The newest incarnation of `site` that `by` has recorded. */
export function knownOf(site: Site, by: Site): number {
  return by.disk.diskCopy().take().state?.incarnations[site.replica] ?? 0;
}
