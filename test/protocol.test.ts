import { expect, test } from 'vitest'
import { readFromRunner, readToRunner } from '../src/protocol.ts'

test('a runner says that it stops for a limit of its own, and for nothing else', () => {
  for (const why of ['cancelled', 'lost', undefined]) {
    expect(readFromRunner(JSON.stringify({ type: 'stopping', key: 'h/p/j/1', why }))).toBeUndefined()
  }
})

test('a sweep names one plan of one home, never more', () => {
  for (const prefix of ['', '/', 'h', 'h/', '/p/', 'h/p', 'h/p/j/']) {
    expect(readToRunner(JSON.stringify({ type: 'sweep', prefix }))).toBeUndefined()
  }
})
