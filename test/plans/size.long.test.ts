/** The largest plans there may be. */
import { expect, test } from 'vitest'
import { parsePlan } from '../../src/plans/plan-file.ts'
import { define, errorsOf } from './mistakes.ts'

test('100 000 jobs in a chain compile without recursion', () => {
  const jobs = Object.fromEntries(
    Array.from({ length: 100_000 }, (_, i) => [
      `c${i}`,
      { run: 'x', ...(i === 0 ? {} : { needs: [`c${i - 1}`] }) },
    ]),
  )

  expect(Object.keys(define({ jobs }).jobs)).toHaveLength(100_000)
  expect(errorsOf(() => define({ jobs: { ...jobs, more: { run: 'x' } } }))).toEqual([
    'jobs: there are 100001 jobs; a plan may have 100000 (split the plan)',
  ])
  expect(errorsOf(() => define({ jobs: { ...jobs, c0: { run: 'x', needs: ['c99999'] } } }))[0]).toMatch(
    /^jobs\.c1\.needs\[0\]: the jobs need each other: c0 → c99999 → c99998 .* … 99980 more … → c1 → c0 /,
  )
})

test('100 000 jobs between one and a join compile', () => {
  const names = Array.from({ length: 99_998 }, (_, i) => `job-${i}`)
  const jobs = names.map((name) => `${name}:\n    needs: [start]\n    run: echo ${name}`)
  const { definition } = parsePlan(
    [
      'plan: v1',
      'jobs:',
      '  start: { run: x }',
      ...jobs.map((job) => `  ${job}`),
      `  join: { run: x, needs: [${names.join(', ')}] }`,
    ].join('\n'),
  )

  expect(Object.keys(definition.jobs)).toHaveLength(100_000)
  expect(Object.keys(definition.jobs['join']?.needs ?? {})).toHaveLength(99_998)
})
