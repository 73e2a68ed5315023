/**
 * The members of XState that `src/actors/system.ts` leans on, in the build that runs (production) and in the one that warns.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { BUILDS, runPins } from './builds.ts'
import { sentences } from './pins.ts'

describe.each(BUILDS)('with the %s build', (build) => {
  const found = runPins(build, 'pins.ts')

  test.each(sentences)('%s', async (sentence) => {
    expect(
      (await found)[sentence],
      `${sentence}: this is no longer so, and src/actors/system.ts leans on it`,
    ).toBeNull()
  })
})

test('XState is pinned to one version, so that none of this changes unseen', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    dependencies: Readonly<Record<string, string>>
  }

  expect(manifest.dependencies['xstate']).toMatch(/^\d+\.\d+\.\d+$/)
})
