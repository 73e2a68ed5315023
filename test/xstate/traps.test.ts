/**
 * What stock XState does and this house builds around, in both of its builds. One that fails here is news, perhaps good: read what
 * it was avoided for before trusting the change.
 */
import { describe, expect, test } from 'vitest'
import { BUILDS, runFile, runPins } from './builds.ts'
import { crashing, shown } from './pitfalls.ts'

describe.each(BUILDS)('with the %s build', (build) => {
  const found = runPins(build, 'pitfalls.ts')

  test.each(shown)('%s', async (sentence) => {
    expect((await found)[sentence], `${sentence}: XState no longer does this`).toBeNull()
  })

  test.concurrent.each(crashing)('%s', async (sentence) => {
    const { code, stdout } = await runFile(build, 'pitfalls.ts', sentence)

    expect([code, stdout], `${sentence}: XState no longer does this`).toEqual([1, ''])
  })
})
