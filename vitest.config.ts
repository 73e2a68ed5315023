import { defineConfig } from 'vitest/config'

/** Tests that run the built program; they need a `dist` made from the source as it is. */
const built = ['test/e2e/**/*.test.ts', 'test/package.test.ts']

/** Tests that take their time: `npm run test:long`, and with every change. */
const long = ['test/**/*.long.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3,
    // What is waited for is an event, which takes as long as it takes; a second, as Vitest has it, is what a busy machine takes for nothing.
    expect: { poll: { timeout: 25_000 } },
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: process.env['TENUTO_TEST_REPORT'] ?? 'reports/vitest.json' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...built, ...long],
          testTimeout: 30_000,
          hookTimeout: 30_000,
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
          testTimeout: 30_000,
          hookTimeout: 30_000,
          retry: 0,
        },
      },
      {
        extends: true,
        test: {
          name: 'long',
          include: long,
          globalSetup: 'test/support/fresh-build.ts',
          testTimeout: 60_000,
          hookTimeout: 30_000,
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
