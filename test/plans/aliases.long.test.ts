/**
 * Mutation that was planted once, and found: an alias that looks for its anchor among all that stands before it.
 */
import { expect, test } from 'vitest'
import { parsePlan } from '../../src/plans/plan-file.ts'

test('a plan of as many aliases as it may have jobs is read in the time of its text, not of its square', () => {
  const jobs = Array.from({ length: 100_000 }, (_, index) => `  j${index}: *a`)
  const { definition } = parsePlan(`plan: v1\nname: al\nx-a: &a { run: 'true' }\njobs:\n${jobs.join('\n')}\n`)

  expect(Object.keys(definition.jobs)).toHaveLength(100_000)
  expect(definition.jobs['j99999']).toEqual(definition.jobs['j0'])
})
