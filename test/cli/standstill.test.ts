/**
 * Who is waited for: what ends by itself is, and what only a person ends is not.
 */
import { expect, test } from 'vitest'
import { progressOf, standstill } from '../../src/views/progress.ts'
import { job, plan } from './shapes.ts'

const SOON = '2026-01-01T00:00:00.000Z'
const gate = (wake_at: string | null) => job('gate', { state: 'waiting', reason: 'approval', wake_at })
const of = (...jobs: ReturnType<typeof job>[]) => progressOf(plan({ state: 'running' }), jobs)

test('a question without an end keeps nobody waiting, and one with a timeout is waited for', () => {
  expect(standstill(of(gate(null)))).toBe('person')
  expect(standstill(of(gate(SOON)))).toBeUndefined()
  expect(standstill(of(gate(null), gate(SOON)))).toBeUndefined()
})

test('whoever can be asked is asked at once, also where no answer would be one', () => {
  expect(standstill(of(gate(SOON)), false)).toBe('person')
})
