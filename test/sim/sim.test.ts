import { expect, test } from 'vitest'
import { FAULTS, LOSSES } from './choices.ts'
import { corpus } from './corpus.ts'
import { liveCase } from './seed.ts'

const FROM = 1
const SEEDS = 100

const livesOf = async (cases: Iterable<Readonly<{ seed: number; sweep: boolean }>>) => {
  const totals = { crashes: 0, failedCommits: 0, repairs: 0, refused: 0, faults: new Set<string>() }
  for (const each of cases) {
    const life = await liveCase(each)
    totals.crashes += life.crashes
    totals.failedCommits += life.failedCommits
    totals.repairs += life.repairs
    totals.refused += life.refused
    for (const struck of life.struck) totals.faults.add(struck.slice(0, struck.indexOf(' #')))
    expect({ ...each, wrong: life.wrong }).toEqual({ ...each, wrong: [] })
  }
  return totals
}
const seeds = (sweep: boolean) => Array.from({ length: SEEDS }, (_, at) => ({ seed: FROM + at, sweep }))

test('what went wrong once does not go wrong again', async () => {
  await livesOf(corpus)
})

test(`seeds ${FROM} to ${FROM + SEEDS - 1}, messages alone: whatever crashes or fails, nothing is lost and nothing starts twice`, async () => {
  const { crashes, failedCommits, repairs, refused, faults } = await livesOf(seeds(false))

  // A world in which nothing goes wrong proves nothing.
  expect(crashes).toBeGreaterThan(SEEDS / 4)
  expect(failedCommits).toBeGreaterThan(SEEDS / 4)
  expect(refused).toBeGreaterThan(SEEDS / 4)
  expect(faults.size).toBe(Object.keys(FAULTS).length - LOSSES.length)
  expect(repairs).toBe(0)
})

test(`seeds ${FROM} to ${FROM + SEEDS - 1}, with the sweep: it repairs what is lost, and nothing where nothing is`, async () => {
  const { repairs, faults } = await livesOf(seeds(true))

  expect(repairs).toBeGreaterThan(0)
  expect(faults.size).toBe(Object.keys(FAULTS).length)
})

test('a seed lived through twice is the same life', async () => {
  for (const seed of [7, 42, 1444])
    expect(await liveCase({ seed, sweep: true })).toEqual(await liveCase({ seed, sweep: true }))
})
