import { expect, test } from 'vitest'
import { crashMatrix, KILLS } from './matrix.ts'

test('twenty jobs, killed at every point: each end is that of the undisturbed run', async () => {
  const { points, singles, wrong } = await crashMatrix('twenty', 0, 2)

  expect(wrong).toEqual([])
  expect(new Set(Object.keys(points))).toEqual(KILLS)
  expect(singles).toBe(Object.values(points).reduce((sum, count) => sum + count, 0))
  expect(singles).toBeGreaterThan(700)
})

test('killed again while it recovers: the same end', async () => {
  const { singles, pairs, wrong } = await crashMatrix('small', 29, 2)

  expect(wrong).toEqual([])
  expect(pairs).toBeGreaterThan(singles)
})
