/**
 * When the parent of a daemon starts it again. Mutations that were planted once, and each found: a refusal that is tried again; ends
 * that are never forgotten; a program that is not there counted as an end.
 */
import { expect, test } from 'vitest'
import { ENDS_MAX, PERIOD_MS, restarts, type WorkerEnd } from '../../src/cli/restarts.ts'
import { seededRandom } from '../../src/ids.ts'

const SERVED: WorkerEnd = {
  code: null,
  signal: 'SIGKILL',
  hello: true,
  served: true,
  why: null,
  stopping: false,
  replaced: false,
}
const open = (random = () => 0.5) => {
  let now = 0
  const decide = restarts({ monotonic: () => now }, random)
  return {
    decide,
    after: (ms: number) => {
      now += ms
    },
  }
}

test('a daemon that is killed is started again, a little later each time', () => {
  const { decide } = open()

  const verdicts = Array.from({ length: 4 }, () => decide(SERVED))
  expect(verdicts).toEqual([100, 200, 400, 800].map((afterMs) => ({ do: 'start', afterMs, waitsFor: null })))
})

test('it is given up when it has ended too often within the period', () => {
  const { decide } = open()
  for (let end = 0; end < ENDS_MAX; end += 1) expect(decide(SERVED).do).toBe('start')

  expect(decide(SERVED)).toEqual({ do: 'give-up', exit: 5, times: ENDS_MAX + 1 })
})

test('with a store that cannot be used it is given up as that', () => {
  const { decide } = open()
  const end = { ...SERVED, code: 12, signal: null }
  for (let times = 0; times < ENDS_MAX; times += 1) decide(end)

  expect(decide(end)).toMatchObject({ do: 'give-up', exit: 12 })
})

test('an end is forgotten after the period, and the first delay comes again', () => {
  const { decide, after } = open()
  for (let end = 0; end < 40; end += 1) {
    expect(decide(SERVED)).toEqual({ do: 'start', afterMs: 100, waitsFor: null })
    after(PERIOD_MS)
  }
})

test('a daemon that was told to stop is not started again, however it then ended', () => {
  const { decide } = open()

  expect(decide({ ...SERVED, code: 0, signal: null })).toEqual({ do: 'end', exit: 0 })
  expect(decide({ ...SERVED, stopping: true })).toEqual({ do: 'end', exit: 0 })
  expect(decide({ ...SERVED, code: 12, signal: null, stopping: true })).toEqual({ do: 'end', exit: 12 })
})

test.each([2, 5, 6, 7])('what is refused with %i would be refused again, and is not tried', (code) => {
  const { decide } = open()
  decide(SERVED)

  expect(decide({ ...SERVED, code, signal: null, served: false, why: 'USAGE' })).toEqual({
    do: 'end',
    exit: code,
  })
})

test('a home that another daemon serves by now is left to it; one that somebody has for a plan is waited for without end', () => {
  const { decide } = open()
  const held: WorkerEnd = { ...SERVED, code: 5, signal: null, served: false, why: 'HOME_HELD' }
  expect(decide(held)).toEqual({ do: 'end', exit: 5 })
  decide(SERVED)

  const verdicts = Array.from({ length: 1_000 }, () => decide(held))
  expect(new Set(verdicts.map((verdict) => verdict.do))).toEqual(new Set(['start']))
  expect(verdicts.at(-1)).toEqual({ do: 'start', afterMs: 10_000, waitsFor: 'home' })
  expect(decide({ ...held, replaced: true })).toEqual({ do: 'end', exit: 5 })
})

test('a home that is gone is not made anew', () => {
  const { decide } = open()

  expect(decide({ ...SERVED, code: 12, signal: null, why: 'HOME_GONE' })).toEqual({ do: 'end', exit: 12 })
})

test('what could not start the first time ends with its own code; a kill then is no refusal', () => {
  const { decide } = open()
  const first = { ...SERVED, served: false }

  expect(decide(first)).toMatchObject({ do: 'start' })
  expect(decide({ ...first, code: 12, signal: null })).toEqual({ do: 'end', exit: 12 })
  expect(decide({ ...first, hello: false, code: 5, signal: null })).toEqual({ do: 'end', exit: 5 })
})

test('a program that is not there is waited for without end, and is no fault of the daemon', () => {
  const { decide } = open()
  const missing: WorkerEnd = { ...SERVED, code: 5, signal: null, hello: false, served: false }
  decide(SERVED)

  const delays = Array.from({ length: 1_000 }, () => decide(missing))
  expect(new Set(delays.map((verdict) => verdict.do))).toEqual(new Set(['start']))
  expect(delays.at(-1)).toEqual({ do: 'start', afterMs: 10_000, waitsFor: 'program' })
  expect(decide(SERVED)).toEqual({ do: 'start', afterMs: 200, waitsFor: null })
})

test('no delay is longer than ten seconds and a fifth, or shorter than the first less a fifth', () => {
  const seed = 20_260_101
  const { decide, after } = open(seededRandom(seed))
  for (let end = 0; end < 500; end += 1) {
    const verdict = decide({
      ...SERVED,
      hello: end % 3 > 0,
      ...(end % 3 > 0 ? {} : { code: 5, signal: null }),
    })
    if (verdict.do === 'start') {
      expect(verdict.afterMs, `seed ${seed}`).toBeGreaterThanOrEqual(80)
      expect(verdict.afterMs, `seed ${seed}`).toBeLessThanOrEqual(12_000)
    }
    after(15_000)
  }
})
