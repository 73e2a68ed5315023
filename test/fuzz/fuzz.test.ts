/** The API asked at random, a little: `npm run fuzz` is the rest. */
import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { fuzz } from './life.ts'

test('whatever is asked is answered as promised, and nothing is made of what is refused', async () => {
  const seed = systemClock.now() % 1_000_000

  const { faults, requests } = await fuzz(150, seed)

  expect(faults, `npm run fuzz -- --requests ${requests} --seed ${seed}`).toEqual([])
})
