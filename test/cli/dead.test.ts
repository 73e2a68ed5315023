import { expect, test } from 'vitest'
import { linesOf } from '../../src/cli/dead.ts'
import type { DeadLetterShape } from '../../src/views/shapes.ts'
import { ago, NOW, paper } from './shapes.ts'

const letter = (known: Partial<DeadLetterShape>): DeadLetterShape => ({
  id: 7,
  at: ago(60_000),
  plan: 'release-3k9d2a',
  job: null,
  address: 'plan:release-3k9d2a',
  type: 'job.settled',
  why: 'TypeError: rows is not iterable',
  ...known,
})

test('dead letters are listed with id, age, whom they were for, what they say and why, in 80 columns', () => {
  const letters = [
    letter({ id: 12, job: 'unit', type: 'attempt.ended', why: 'no state of a job takes attempt.ended' }),
    letter({}),
  ]

  expect(`\n${linesOf(letters, paper(80), NOW).join('\n')}\n`).toBe(`
12  1m 00s ago  release-3k9d2a/unit  attempt.ended  no state of a job takes att…
7   1m 00s ago  release-3k9d2a       job.settled    TypeError: rows is not iter…
`)
})

test('what a message says cannot steer the terminal', () => {
  const [line = ''] = linesOf([letter({ type: 'a\u001b[2Jb', why: 'c\nd' })], paper(), NOW)

  expect(line).toContain('ab')
  expect(line).toContain('c d')
})
