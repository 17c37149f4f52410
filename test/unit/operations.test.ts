/** Alerts and the operator's page speak of metrics that exist, and every alert has its runbook. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SET_NODE_SETTINGS } from '../../set-node/config.ts';

const ROOT = join(import.meta.dirname, '../..');
const TIERS = ['set-node', 'access', 'reconciler', 'lib/runtime', 'lib/adapter'];
/** What a histogram is to Prometheus. */
const SUFFIXES = ['_bucket', '_sum', '_count'];

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const rules = read('ops/prometheus/hongbao-rules.yml').replaceAll(/^ *#.*$/gm, '');
const tests = read('ops/prometheus/hongbao-rules.test.yml');
const page = read('docs/OPERATIONS.md');

function exposed(): Set<string> {
  const names = new Set<string>();
  for (const tier of TIERS) {
    for (const file of readdirSync(join(ROOT, tier), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      const text = read(join(tier, file));
      for (const [, name = ''] of text.matchAll(/'(hongbao_[a-z_]+)'/g)) names.add(name);
      for (const [, name = ''] of text.matchAll(/histogram\(\{\s*name: '(\w+)'/g)) {
        for (const suffix of SUFFIXES) names.add(name + suffix);
      }
    }
  }
  return names;
}

/** Names in a text; a database is `hongbao_set_` and a number, which is none. */
const namesIn = (text: string): string[] => [
  ...new Set([...text.matchAll(/\bhongbao_[a-z_]*[a-z]\b/g)].map(([name]) => name)),
];
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

describe('names', () => {
  const known = exposed();

  test('the collection sees gauges, counters and histograms of every tier', () => {
    for (const name of [
      'hongbao_set_leading',
      'hongbao_set_takeover_seconds_bucket',
      'hongbao_money_mismatch_cents',
      'hongbao_settle_lag_seconds_bucket',
      'hongbao_access_connections',
    ]) {
      expect(known).toContain(name);
    }
    expect(known).not.toContain('hongbao_set_leadings');
  });

  test.each([
    ['the rules', rules],
    ['the tests of the rules', tests],
    ['docs/OPERATIONS.md', page],
  ])('%s name only metrics that are exposed', (_, text) => {
    const names = namesIn(text);
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });
});

test('docs/OPERATIONS.md tells of every metric and of every setting of a set-node', () => {
  const metrics = [...exposed()].filter((name) => !SUFFIXES.some((end) => name.endsWith(end)));
  expect(metrics.filter((name) => !namesIn(page).includes(name))).toEqual([]);
  const settings = Object.keys(SET_NODE_SETTINGS);
  expect(settings.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

describe('runbooks', () => {
  test('there are alerts, and no two of one name', () => {
    expect(alerts.length).toBeGreaterThan(10);
    expect(new Set(alerts).size).toBe(alerts.length);
  });

  test.each(alerts)('%s says how bad it is and has its section', (name) => {
    const rule = rules.split(`- alert: ${name}\n`)[1]?.split('- alert: ')[0] ?? '';
    expect(rule).toMatch(/severity: (page|warn)/);
    expect(rule).toContain(`runbook: docs/OPERATIONS.md#${name.toLowerCase()}\n`);
    expect(page).toContain(`\n### ${name}\n`);
  });
});
