import { expect, test } from 'vitest'
import { explainLines } from '../../src/cli/explain.ts'
import { fact } from '../../src/views/evidence.ts'
import type { ExplainShape } from '../../src/views/explain.ts'

const SCREEN = { marks: { cut: '..' } } as Parameters<typeof explainLines>[3]
const told = (facts: number, more: number): ExplainShape => ({
  ref: 'p-aaaaaa',
  kind: 'plan',
  state: 'running',
  reason: null,
  since: null,
  chain: Array.from({ length: facts }, (_, at) => fact(`fact ${at}`)),
  more,
})
const linesOf = (shape: ExplainShape, whole: boolean) => explainLines(shape, 0, ' --home h', SCREEN, whole)

test('a person is told the nearest facts, and by which command the rest is shown', () => {
  const lines = linesOf(told(200, 800), false)

  expect(lines.slice(0, 2)).toEqual(['p-aaaaaa is running', '  1. fact 0'])
  expect(lines.slice(12)).toEqual([
    '  12. fact 11',
    '  .. and 188 more: tenuto explain p-aaaaaa -v --home h',
    '  .. and 800 more jobs: tenuto show p-aaaaaa --home h',
  ])
})

test('-v tells all of it, and what is whole names no rest', () => {
  expect(linesOf(told(200, 1), true).slice(-2)).toEqual([
    '  200. fact 199',
    '  .. and 1 more job: tenuto show p-aaaaaa --home h',
  ])
  expect(linesOf(told(12, 0), false)).toHaveLength(13)
})
