import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  describe as describeValue,
  editDistance,
  formatPlanError,
  guesser,
  pathText,
  planInvalid,
} from '../../src/plans/problem.ts'

describe('a guess', () => {
  test('is the nearest word, and none when nothing is near', () => {
    const guess = guesser()

    expect(guess('timeuot', ['retry', 'timeout', 'time'])).toBe('timeout')
    expect(guess('Needs', ['needs', 'name'])).toBe('needs')
    expect(guess('rnu', ['run', 'exec'])).toBe('run')
    expect(guess('elephant', ['run', 'exec'])).toBeUndefined()
    expect(guess('x', [])).toBeUndefined()
    expect(guess('x', ['a'])).toBeUndefined()
  })

  test('is given up when very many words have been compared', () => {
    const guess = guesser()
    const words = Array.from({ length: 100_000 }, (_, i) => `job-${i}`)

    const answers = Array.from({ length: 5 }, () => guess('job-77777x', words))

    expect(answers).toEqual(['job-77777', 'job-77777', 'job-77777', undefined, undefined])
  })

  test('the distance of words is that of the textbook, up to its limit', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 })
    const naive = (a: string, b: string): number => {
      if (a === '' || b === '') return a.length + b.length
      const same = a.at(-1) === b.at(-1) ? 0 : 1
      let least = Math.min(
        naive(a.slice(0, -1), b) + 1,
        naive(a, b.slice(0, -1)) + 1,
        naive(a.slice(0, -1), b.slice(0, -1)) + same,
      )
      if (a.length > 1 && b.length > 1 && a.at(-1) === b.at(-2) && a.at(-2) === b.at(-1)) {
        least = Math.min(least, naive(a.slice(0, -2), b.slice(0, -2)) + 1)
      }
      return least
    }
    fc.assert(
      fc.property(letters, letters, fc.nat(3), (a, b, limit) => {
        expect(editDistance(a, b, limit)).toBe(Math.min(naive(a, b), limit + 1))
      }),
      { numRuns: 150 },
    )
  })
})

describe('an error', () => {
  test.each([
    [[], ''],
    [['jobs', 'a', 'needs', 0], 'jobs.a.needs[0]'],
    [['jobs', 'v1.2', 'run'], 'jobs["v1.2"].run'],
    [['jobs', '', 'x y'], 'jobs[""]["x y"]'],
  ])('its path %j is written %s', (path, text) => {
    expect(pathText(path)).toBe(text)
  })

  test('is one line, with what is known of its place', () => {
    const error = {
      file: 'p.yaml',
      line: 3,
      column: 7,
      path: 'jobs.a',
      message: 'it is wrong',
      hint: 'mend it',
    }

    expect(formatPlanError(error)).toBe('p.yaml:3:7 jobs.a: it is wrong (mend it)')
    expect(formatPlanError({ ...error, file: null, hint: null })).toBe('3:7 jobs.a: it is wrong')
    expect(formatPlanError({ ...error, file: null, line: null, column: null })).toBe(
      'jobs.a: it is wrong (mend it)',
    )
    expect(formatPlanError({ ...error, path: '' })).toBe('p.yaml:3:7: it is wrong (mend it)')
    expect(planInvalid([error], 12).message).toContain(
      'the plan has 12 errors; the first: p.yaml:3:7 jobs.a: it is wrong',
    )
    const nowhere = { ...error, file: null, line: null, column: null, path: '', hint: null }
    expect(planInvalid([nowhere]).message).toBe('the plan has 1 error: it is wrong')
  })

  test('names a value that is long by its beginning, and closes the quote', () => {
    expect(describeValue('a'.repeat(60))).toBe(`"${'a'.repeat(57)}…"`)
    expect(describeValue('a'.repeat(58))).toBe(`"${'a'.repeat(58)}"`)
    expect(describeValue(`${'a'.repeat(56)}\u0001b`)).toBe(`"${'a'.repeat(56)}…"`)
    expect(describeValue(12)).toBe('12')
  })
})
