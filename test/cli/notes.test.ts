import { expect, test } from 'vitest'
import { noteLines, notesShape } from '../../src/cli/notes.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { ago, NOW, plan } from './shapes.ts'

const note = (position: number, more: Partial<EventShape>): EventShape => ({
  position,
  at: ago(5_000),
  plan: 'release-3k9d2a',
  address: 'note:release-3k9d2a',
  seq: position,
  type: 'recovered',
  from: null,
  to: 'running',
  ...more,
})
/** Newest first, as the journal gives them. */
const NOTES = [
  note(9, { type: 'sweep.repaired', job: 'lint', detail: { kind: 'end-untold', ageMs: 61_000 } }),
  note(8, { job: 'test', attempt: 2, detail: { found: 'lost' } }),
  note(7, { job: 'build', attempt: 1, detail: { found: 'adopted', pid: 42 } }),
  note(6, { detail: { found: 'unchanged', jobs: 9, inFlight: 2, unchanged: 7 } }),
  note(3, { job: 'build', attempt: 1, detail: { found: 'requeued' } }),
  note(2, { detail: { found: 'unchanged', jobs: 9, inFlight: 1, unchanged: 8 } }),
]

test('show tells what the last start found, and no start before, and what the sweep repaired', () => {
  expect(noteLines(plan(), NOTES, NOW)).toEqual([
    'taken up 5.0s ago: 2 attempts in flight, 7 jobs as before',
    '  build adopted (pid 42)',
    '  test lost',
    'the sweep repaired end-untold of lint at 2026-03-01T11:59:55Z, 1m 01s old',
  ])
  expect(notesShape(NOTES)).toEqual({
    recovery: {
      at: ago(5_000),
      jobs: 9,
      in_flight: 2,
      unchanged: 7,
      found: [
        { job: 'build', attempt: 1, what: 'adopted', pid: 42 },
        { job: 'test', attempt: 2, what: 'lost' },
      ],
    },
    repairs: [{ at: ago(5_000), kind: 'end-untold', job: 'lint', age_ms: 61_000 }],
  })
})

test('a plan of which nothing was noted has no such lines, and of many finds some are shown', () => {
  expect(noteLines(plan(), [], NOW)).toEqual([])
  const many = Array.from({ length: 20 }, (_, at) =>
    note(30 - at, { job: `j${at}`, detail: { found: 'adopted' } }),
  )
  const lines = noteLines(plan(), [...many, ...NOTES.slice(3)], NOW)
  expect(lines).toHaveLength(10)
  expect(lines.at(-1)).toBe('  and 12 more')
})

test('why a plan cannot be loaded stands first, without what could steer the terminal', () => {
  const error = 'row of job:p/a\u001b[2J seq 1'
  expect(noteLines(plan({ error }), [], NOW)).toEqual(['it cannot be loaded: row of job:p/a seq 1'])
})

test('show tells of a job whose actor cannot even be ended', () => {
  const stuck = note(10, { type: 'quarantined', job: 'lint', detail: { why: 'Error: no good\n    at x' } })

  expect(noteLines(plan(), [stuck], NOW)).toEqual([
    'lint is left alone since 2026-03-01T11:59:55Z, its actor fails at every message: Error: no good',
  ])
})
