import { expect, test } from 'vitest'
import { rounds } from '../src/rounds.ts'
import { virtualClock } from '../src/testing/virtual-clock.ts'

test('a round that says so is followed at once, any other after the interval', async () => {
  const clock = virtualClock()
  const began = clock.monotonic()
  const at: number[] = []
  const { start, stop } = rounds({
    clock,
    firstMs: 10,
    everyMs: 100,
    round: async (count) => {
      at.push(clock.monotonic() - began)
      return count < 3 ? 'again' : undefined
    },
  })
  start(() => {})

  await clock.advance(250)
  stop()
  await clock.advance(1_000)

  expect(at).toEqual([10, 10, 10, 110, 210])
})
