import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, UNSTARTED_BACKOFF } from '../../src/machines/backoff.ts'

const policy = { delayMs: 1000, factor: 2, maxDelayMs: 5000, jitter: 0 }

test('each delay is the one before times the factor, up to the most there may be', () => {
  expect([0, 1, 2, 3, 40].map((n) => backoffMs(policy, n, 0.9))).toEqual([1000, 2000, 4000, 5000, 5000])
})

test('a delay that outgrows all numbers is the most there may be', () => {
  expect(backoffMs({ ...policy, factor: 1e300 }, 9, 0)).toBe(5000)
  expect(backoffMs({ ...policy, delayMs: 0, factor: 1e300 }, 9, 0)).toBe(5000)
})

test('jitter only ever makes a delay longer, by its share at most, and in whole milliseconds', () => {
  const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.nat(20), draws, fc.double({ min: 0, max: 1, noNaN: true }), (n, draw, jitter) => {
      const plain = backoffMs(policy, n, 0)
      const delay = backoffMs({ ...policy, jitter }, n, draw)
      expect(Number.isInteger(delay)).toBe(true)
      expect(delay).toBeGreaterThanOrEqual(plain)
      expect(delay).toBeLessThanOrEqual(Math.ceil(plain * (1 + jitter)))
    }),
    { seed: 20_261_121 },
  )
})

test('what could not be started is tried again within 10 s and a fifth', () => {
  expect(backoffMs(UNSTARTED_BACKOFF, 0, 0)).toBe(200)
  expect(backoffMs(UNSTARTED_BACKOFF, 30, 1)).toBe(12_000)
})
