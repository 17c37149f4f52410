import { defineConfig } from 'vitest/config';

/** A project is a folder under test/; `./hongbao test` runs them as parts of the gate. */
const PROJECTS = [
  { name: 'unit', testTimeout: 10_000 },
  { name: 'property', testTimeout: 60_000 },
  { name: 'golden', testTimeout: 10_000 },
  { name: 'contract', testTimeout: 30_000 },
  { name: 'sim', testTimeout: 120_000 },
  { name: 'integration', testTimeout: 60_000 },
  { name: 'browser', testTimeout: 120_000 },
  { name: 'tidy', testTimeout: 30_000 },
];

export default defineConfig({
  test: {
    // A test that fails only sometimes is a finding; trying it again would hide it.
    retry: 0,
    projects: PROJECTS.map(({ name, testTimeout }) => ({
      extends: true,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout,
        hookTimeout: testTimeout,
        execArgv: ['--disable-warning=ExperimentalWarning'],
      },
    })),
  },
});
