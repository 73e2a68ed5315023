import { expect, test } from 'vitest'
import {
  attemptDir,
  attemptKey,
  attemptVariables,
  folderName,
  parseAttemptKey,
  planKeyPrefix,
  readClaim,
  readExitRecord,
  readHole,
  readProcessRecord,
} from '../src/attempt.ts'
import { readFromRunner, readToRunner } from '../src/protocol.ts'

test('a job name is its folder, but for what a folder must not hold', () => {
  expect(folderName('unit-1.a_B')).toBe('unit-1.a_B')
  expect(folderName('unit[node/20, ü]')).toBe('unit%5Bnode%2F20%2C%20%C3%BC%5D')
  expect(folderName('..')).toBe('%2E%2E')
  expect(attemptDir('/home', 'p-abc', 'a[1]', 3)).toBe('/home/attempts/p-abc/a%5B1%5D/3')
})

test('different names have different folders', () => {
  const names = ['a', 'a%', 'a%25', '.a', '%2Ea', 'a/b', 'a%2Fb', 'a b']

  expect(new Set(names.map(folderName)).size).toBe(names.length)
})

test('an attempt key is read as it was made, whatever its job is called', () => {
  const key = attemptKey('h0me', 'p-abc', 'unit[a/1]', 12)

  expect(key).toBe('h0me/p-abc/unit[a/1]/12')
  expect(parseAttemptKey(key)).toEqual({ homeId: 'h0me', plan: 'p-abc', job: 'unit[a/1]', attempt: 12 })
  expect(key.startsWith(planKeyPrefix('h0me', 'p-abc'))).toBe(true)
  expect(['', 'a/b/c', 'a/b/c/0', 'a/b/c/x', '/b/c/1'].map(parseAttemptKey)).toEqual(Array(5).fill(undefined))
})

test('a job learns its attempt from its environment', () => {
  const ref = { key: 'h/p/j/2', plan: 'p', job: 'j', attempt: 2, generation: 1, dir: '/d' }

  expect(attemptVariables(ref)).toEqual({
    TENUTO_PLAN: 'p',
    TENUTO_JOB: 'j',
    TENUTO_ATTEMPT: '2',
    TENUTO_ATTEMPT_KEY: 'h/p/j/2',
    TENUTO_OUTPUT: '/d/outputs',
    TENUTO_ARTIFACTS: '/d/artifacts',
    TENUTO_NEEDS: '/d/needs.json',
  })
})

test('a record that is cut off anywhere is no record; whole it is read', () => {
  const identity = { pid: 7, start: '99', boot: 'b' }
  const limits = { graceMs: 1, logLimitBytes: 2, headBytes: 3 }
  const claim = { v: 1, key: 'h/p/j/1', by: 'runner', holder: identity, epoch: 1, at: 1, limits }
  const process = { v: 1, key: 'h/p/j/1', ...identity, startedAt: 1, startedMono: 1.5 }
  const exit = {
    ...{ v: 1, key: 'h/p/j/1', outcome: 'exit', code: 1, signal: null, startedAt: 1, endedAt: 2 },
    ...{ durationMs: 1, pid: 7, leftovers: 0, log: { bytes: 0 } },
  }
  const readers = [
    [claim, readClaim],
    [process, readProcessRecord],
    [exit, readExitRecord],
    [{ from: 1, to: 2 }, readHole],
    [{ type: 'ended', record: exit }, readFromRunner],
    [{ type: 'stopping', key: 'h/p/j/1', why: 'stall' }, readFromRunner],
    [{ type: 'sweep', prefix: 'h/p/' }, readToRunner],
  ] as const

  for (const [record, reader] of readers) {
    const text = JSON.stringify(record)
    expect(reader(text)).toEqual(record)
    for (let end = 0; end < text.length; end += 1) expect(reader(text.slice(0, end))).toBeUndefined()
  }
})

test('records of another version or shape are none', () => {
  expect(
    readClaim('{"v":2,"key":"k","by":"runner","holder":{"pid":1,"start":"1","boot":"b"},"epoch":1,"at":1}'),
  ).toBe(undefined)
  expect(readExitRecord('{"v":1,"key":"k","outcome":"great"}')).toBeUndefined()
  expect(readHole('{"from":2,"to":2}')).toBeUndefined()
  expect(readProcessRecord('[]')).toBeUndefined()
})
