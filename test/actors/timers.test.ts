import { expect, test } from 'vitest'
import { timers } from '../../src/actors/timers.ts'
import { seededRandom } from '../../src/ids.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

const A = 'job:p/a'
const made = () => {
  const clock = virtualClock()
  const began = clock.now()
  const fired: string[] = []
  const alarms = timers(clock, (address, name, due) => {
    fired.push(`${address} ${name} due ${due - began} at ${clock.now() - began}`)
  })
  return { clock, began, fired, alarms }
}

test('a timer fires once, at its moment', async () => {
  const { clock, began, fired, alarms } = made()
  alarms.arm(A, 'backoff', began + 1000)

  await clock.advance(999)
  expect(fired).toEqual([])
  await clock.advance(100_000)

  expect(fired).toEqual([`${A} backoff due 1000 at 1000`])
  expect([alarms.armed(), clock.pending()]).toEqual([0, 0])
})

test('the same moment again changes nothing; another moment replaces it, sooner or later', async () => {
  const { clock, began, fired, alarms } = made()
  alarms.arm(A, 'backoff', began + 1000)
  alarms.arm(A, 'backoff', began + 1000)
  alarms.arm(A, 'backoff', began + 3000)
  alarms.arm(A, 'deadline', began + 5000)
  alarms.arm(A, 'deadline', began + 2000)

  await clock.advance(10_000)

  expect(fired).toEqual([`${A} deadline due 2000 at 2000`, `${A} backoff due 3000 at 3000`])
})

test('a timer that is late when it is armed fires at once', async () => {
  const { clock, began, fired, alarms } = made()
  await clock.advance(500)

  alarms.arm(A, 'deadline', began + 100)
  expect(fired).toEqual([])
  await clock.advance(0)

  expect(fired).toEqual([`${A} deadline due 100 at 500`])
})

test('a forgotten address is woken no more, and a stopped clock wakes nobody', async () => {
  const { clock, began, fired, alarms } = made()
  alarms.arm(A, 'backoff', began + 1000)
  alarms.arm('job:p/b', 'backoff', began + 1000)
  alarms.arm('job:p/c', 'backoff', began + 2000)
  alarms.forget(A)
  alarms.forget('job:p/nobody')

  await clock.advance(1500)
  alarms.stop()
  await clock.advance(10_000)

  expect(fired).toEqual(['job:p/b backoff due 1000 at 1000'])
  expect(clock.pending()).toBe(0)
})

test('one that was forgotten and armed again for the same moment fires once', async () => {
  const { clock, began, fired, alarms } = made()
  alarms.arm(A, 'backoff', began + 1000)
  alarms.forget(A)
  alarms.arm(A, 'backoff', began + 1000)

  await clock.advance(5000)

  expect(fired).toHaveLength(1)
})

test('10 000 timers fire in the order of their moments, each at its own, with one alarm on the clock', async () => {
  const { clock, began, alarms } = made()
  const random = seededRandom(7)
  const fired: number[] = []
  const moments = Array.from({ length: 10_000 }, () => Math.floor(random() * 50))
  const counted = timers(clock, (_, __, due) => {
    fired.push(due - began)
    if (clock.now() !== due) throw new Error(`due ${due}, fired at ${clock.now()}`)
  })
  for (const [at, moment] of moments.entries()) counted.arm(`job:p/${at}`, 'backoff', began + moment * 10)
  expect(counted.armed()).toBe(10_000)
  expect(clock.pending()).toBe(1)

  await clock.advance(1000)

  expect(fired).toEqual(moments.map((moment) => moment * 10).sort((a, b) => a - b))
  alarms.stop()
})

test('a wall clock that is set forward is noticed within half a minute; one set back makes nobody early', async () => {
  const { clock, began, fired, alarms } = made()
  const hour = 3_600_000
  alarms.arm(A, 'deadline', began + hour)

  clock.jump(2 * hour)
  await clock.advance(30_000)
  expect(fired).toHaveLength(1)

  alarms.arm('job:p/b', 'backoff', clock.now() + 1000)
  clock.jump(-hour)
  await clock.advance(hour)
  expect(fired).toHaveLength(1)
  await clock.advance(1000)
  expect(fired).toHaveLength(2)
})
