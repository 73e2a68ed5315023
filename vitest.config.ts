import { defineConfig } from 'vitest/config'

/** Tests that run the built program; they need a `dist` made from the source as it is. */
const built = ['test/e2e/**/*.test.ts', 'test/package.test.ts']

/** Tests that take their time: `npm run test:long`, and with every change. */
const long = ['test/**/*.long.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3,
    // What is waited for is an event, which takes as long as it takes. These times, here alone, end what waits for ever; no test
    // says one of its own, for a busy machine takes three times as long as an idle one.
    expect: { poll: { timeout: 50_000 } },
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: process.env['TENUTO_TEST_REPORT'] ?? 'reports/vitest.json' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...built, ...long],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          retry: 0,
        },
      },
      {
        extends: true,
        test: {
          name: 'built',
          include: built,
          exclude: long,
          globalSetup: 'test/support/fresh-build.ts',
          testTimeout: 120_000,
          hookTimeout: 60_000,
          retry: 0,
        },
      },
      {
        extends: true,
        test: {
          name: 'long',
          include: long,
          globalSetup: 'test/support/fresh-build.ts',
          testTimeout: 300_000,
          hookTimeout: 60_000,
          retry: 0,
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: 'tsconfig.json',
          },
        },
      },
    ],
  },
})
