/**
 * What has happened is counted from the steps alone: read twice, in whatever pages, it gives the same numbers, and they are those of a
 * recount by another way.
 *
 * Mutations that were planted once, and each found: jobs that their plan ended left out; a duration in the wrong bucket; a retry counted
 * for an attempt that never started.
 */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/ids.ts'
import { addSeconds, countSteps, emptyHistory, emptySpread } from '../../src/views/history.ts'
import { history } from '../analytics/history.ts'
import { recount } from '../analytics/recount.ts'

test('however the steps are cut into pages, the numbers are those of a recount', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  for (let at = 0; at < 6; at += 1) {
    const random = seededRandom(seed + at)
    const steps = await history(random)
    const whole = emptyHistory()
    countSteps(whole, steps)
    const paged = emptyHistory()
    for (let from = 0; from < steps.length; ) {
      const to = from + 1 + Math.floor(random() * 40)
      countSteps(paged, steps.slice(from, to))
      from = to
    }
    const all = recount(steps).names.get('')

    const where = `seed ${seed + at}`
    expect(paged, where).toEqual(whole)
    const { jobs, attempts, plans, retries, recovered, takenUp, position } = whole
    expect({ jobs, attempts, retries, recovered, plans, takenUp, position }, where).toEqual({
      jobs: all?.ended ?? {},
      attempts: all?.attempts ?? {},
      retries: all?.retries ?? 0,
      recovered: all?.recovered ?? {},
      plans: all?.plans.ended ?? {},
      takenUp: all?.plans.restarts ?? 0,
      position: steps.at(-1)?.position ?? 0,
    })
    for (const [spread, ms] of [
      [whole.attemptSeconds, all?.duration ?? []],
      [whole.planSeconds, all?.plans.duration ?? []],
    ] as const) {
      expect(spread.count, where).toBe(ms.length)
      expect(spread.sum, where).toBeCloseTo(ms.reduce((sum, each) => sum + each, 0) / 1_000)
      expect(spread.upTo, where).toEqual(
        spread.bounds.map((bound) => ms.filter((each) => each / 1_000 <= bound).length),
      )
    }
  }
})

test('what takes exactly as long as a bound is within it, and what takes longer than all is only counted', () => {
  const spread = emptySpread([1, 10])

  for (const seconds of [0, 1, 1.5, 10, 11]) addSeconds(spread, seconds)

  expect(spread).toEqual({ bounds: [1, 10], upTo: [2, 4], count: 5, sum: 23.5 })
})
