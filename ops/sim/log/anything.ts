import type { Stage } from './scene-kit.ts';
import { SceneKit } from './scene-kit.ts';

/** Calls that a scene may lose, hold or delay one by one. */
const CALLS = [
  'append',
  'takeOver',
  'recordIncarnation',
  'restore',
  'admit',
  'truncate',
  'fenceRow',
  'read',
  'setCommit',
] as const;

/**
 * No plan: two nodes, calls held and let go one by one, servers that restart, and old or lost disks,
 * one at a time (rulings 6). Steps are short, so that what is under way is met by the next.
 */
export async function playAnything(stage: Stage): Promise<void> {
  const kit = new SceneKit(stage);
  await kit.leader();
  for (let steps = 20 + kit.below(30); steps > 0; steps--) {
    if (kit.below(2) === 0) kit.wishes();
    await act(kit);
    await stage.pass(1 + kit.below(kit.below(3) === 0 ? 500 : 40));
  }
}

async function act(kit: SceneKit): Promise<void> {
  const { sites, nodes, note, start, kill, clock } = kit.stage;
  const { victim, other } = kit.cast();
  const node = nodes()[kit.below(Math.max(1, nodes().length))];
  const sound = sites.every(({ damage }) => damage === 'none');
  if (node === undefined || nodes().length < 2) {
    const slot = node === undefined ? kit.below(2) : 1 - node.slot;
    if (node === undefined || kit.below(3) === 0) start(slot);
    if (node === undefined) return;
  }
  switch (kit.below(13)) {
    case 0:
    case 1:
      return victim.keepCopy();
    case 2:
      if (sound && kit.below(3) === 0) return kit.lose(victim);
      if (sound) kit.setBack(victim);
      return;
    case 3:
      if (sites.some(({ damage }) => damage === 'wiped')) return;
      note(`restart replica ${victim.replica}`);
      return victim.restart();
    case 4:
    case 5:
    case 6: {
      const call = CALLS[kit.below(CALLS.length)] ?? 'append';
      const how = (['held', 'late', 'lost'] as const)[kit.below(3)] ?? 'lost';
      note(`${how}: ${call} of ${node.name} to replica ${other.replica}`);
      return node.lines.bias({ replica: other.replica, call, how });
    }
    case 7:
    case 8:
      note(`the lines of ${node.name} are whole`);
      return node.lines.heal();
    case 9:
      note(`cut ${node.name} from replica ${other.replica}`);
      return node.cut(other.replica, 100 + kit.below(2_000));
    case 10:
      note(`${node.paused ? 'wake' : 'pause'} ${node.name}`);
      return node.paused ? node.resume() : node.pause();
    case 11:
      return other.freeze(clock, 100 + kit.below(1_500));
    default:
      return kill(node);
  }
}
