import { expect, test } from 'vitest'
import type { Case, Lived } from './seed.ts'
import { liveCase } from './seed.ts'
import { shrink, storyOf } from './shrink.ts'

const struckIn = ({ struck }: Lived, fault: string) => struck.some((each) => each.startsWith(fault))

/** A mistake that shows when a commit has failed, the clock has jumped, and a job of the first plan has run. */
const mistaken = async (of: Case): Promise<Lived> => {
  const lived = await liveCase(of)
  const shows =
    struckIn(lived, 'fail a commit') &&
    struckIn(lived, 'jump the clock') &&
    lived.story.some((line) => line.includes('job:p0-aaaaaa/') && line.includes('slot.granted'))
  return { ...lived, wrong: shows ? ['the planted mistake'] : [] }
}

test('a failing seed is made a short story: two faults, one plan, one job', async () => {
  let seed = 1
  while ((await mistaken({ seed, sweep: false })).wrong.length === 0) seed += 1
  const whole = await mistaken({ seed, sweep: false })
  const jobsOf = ({ plans }: Lived) => plans.flatMap(({ definition }) => Object.keys(definition.jobs)).length

  const shrunk = await shrink({ seed, sweep: false }, mistaken)

  expect(whole.struck.length).toBeGreaterThan(2)
  expect(jobsOf(whole)).toBeGreaterThan(1)
  expect({ seed, faults: shrunk.lived.struck.length, jobs: jobsOf(shrunk.lived) }).toEqual({
    seed,
    faults: 2,
    jobs: 1,
  })
  expect(shrunk.tries).toBeLessThanOrEqual(300)
  expect(storyOf(shrunk)).toContain('WRONG: the planted mistake')
  expect(await mistaken(shrunk.of)).toEqual(shrunk.lived)
})

test('no more lives are tried than allowed', async () => {
  let lives = 0
  const counted = async (of: Case): Promise<Lived> => {
    lives += 1
    return { ...(await liveCase(of)), wrong: ['always'] }
  }

  const { tries } = await shrink({ seed: 7, sweep: true }, counted, 5)

  expect(lives).toBe(5)
  expect(tries).toBe(5)
})
