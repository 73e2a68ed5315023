import { expect, test } from 'vitest'
import { type Attempt, judgeLedger } from './ledger.ts'

const attempt = (n: number, outcome: string | null, more: Partial<Attempt> = {}): Attempt => ({
  plan: 'p',
  job: 'a',
  n,
  generation: 1,
  outcome,
  code: null,
  ...more,
})

test('a ledger that says what the journal says is right', () => {
  const lines = ['h/p/a/1 start', 'h/p/a/1 end', 'h/p/a/2 start', 'h/p/a/4 start', 'h/p/a/4 end']
  const attempts = [
    attempt(1, 'exit', { code: 3 }),
    attempt(2, 'lost'),
    attempt(3, 'never-started'),
    attempt(4, 'succeeded'),
  ]

  expect(judgeLedger(lines, attempts)).toEqual([])
})

test.each<[string, string[], Attempt[]]>([
  ['an attempt that started twice', ['h/p/a/1 start', 'h/p/a/1 start'], [attempt(1, 'lost')]],
  ['a start after the end', ['h/p/a/1 start', 'h/p/a/1 end', 'h/p/a/1 start'], [attempt(1, 'lost')]],
  ['an end without a start', ['h/p/a/1 end'], [attempt(1, 'lost')]],
  ['a success that never ended', ['h/p/a/1 start'], [attempt(1, 'succeeded')]],
  ['a success that never started', [], [attempt(1, 'succeeded')]],
  ['an attempt the journal does not know', ['h/p/a/1 start'], []],
  ['an attempt without an end', ['h/p/a/1 start'], [attempt(1, null)]],
  ['a never-started one that started', ['h/p/a/1 start'], [attempt(1, 'never-started')]],
  ['a torn line', ['h/p/a/1 sta'], [attempt(1, 'lost')]],
  ['a run after a success', ['h/p/a/1 start', 'h/p/a/1 end'], [attempt(1, 'succeeded'), attempt(2, 'lost')]],
])('the ledger tells of %s', (_, lines, attempts) => {
  expect(judgeLedger(lines, attempts)).not.toEqual([])
})
