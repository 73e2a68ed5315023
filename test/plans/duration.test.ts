import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { durationHint, formatDuration, parseDuration } from '../../src/plans/duration.ts'

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['2s', 2000],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['0s', 0],
    ['30', undefined],
    ['1d', undefined],
    ['-1s', undefined],
    ['1h30m', undefined],
    [' 1s', undefined],
    ['s', undefined],
    ['', undefined],
  ])('%j is %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test('what is written is read back', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
    expect([0, 1500, 90_000, 3_600_000].map(formatDuration)).toEqual(['0s', '1500ms', '90s', '1h'])
  })

  test.each([
    [30, 'give it a unit: 30s'],
    ['30', 'give it a unit: 30s'],
    ['5 minutes', 'write 5m'],
    ['2 hrs', 'write 2h'],
    ['3d', 'write it in hours: 72h'],
    ['1h30m', 'use one unit: 90m'],
    ['soon', 'write a number and a unit: 500ms, 2s, 10m or 1h'],
  ])('instead of %j: %s', (value, hint) => {
    expect(durationHint(value)).toBe(hint)
  })
})
