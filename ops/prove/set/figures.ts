import type { Figure } from '../../cli.ts';
import { figure } from '../../cli.ts';
import type { Findings } from '../findings.ts';

/** What every proof of a Set ends with: nothing lost, nothing changed, no cent wrong. */
export function verdictFigures(findings: Findings): Figure[] {
  const none = (name: string, of: { value: number; unit: string }): Figure =>
    figure({ name, ...of, goal: { atMost: 0 } });
  return [
    none('acknowledged and lost', { value: findings.lost, unit: 'commands' }),
    none('changed answers', { value: findings.changed, unit: 'answers' }),
    none('cents wrong', { value: findings.centsWrong, unit: 'cents' }),
    none('other findings', { value: findings.broken, unit: 'findings' }),
  ];
}
