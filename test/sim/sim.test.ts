import { expect, test } from 'vitest'
import { live } from './world.ts'

const FROM = 1
const SEEDS = 200

test(`seeds ${FROM} to ${FROM + SEEDS - 1}: whatever crashes or fails, nothing is lost and nothing starts twice`, async () => {
  let [crashes, failedCommits] = [0, 0]
  for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
    const life = await live(seed)
    crashes += life.crashes
    failedCommits += life.failedCommits
    expect({ seed, wrong: life.wrong }).toEqual({ seed, wrong: [] })
  }

  // A world in which nothing goes wrong proves nothing.
  expect(crashes).toBeGreaterThan(SEEDS / 4)
  expect(failedCommits).toBeGreaterThan(SEEDS / 4)
})

test('a seed lived through twice is the same life', async () => {
  for (const seed of [7, 42, 1444]) expect(await live(seed)).toEqual(await live(seed))
})
