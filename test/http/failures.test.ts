/**
 * Failed authentications: who fails often waits, and nobody else does.
 *
 * Mutations that were planted once, and each found: the delay before the credentials are looked at; failures counted for all sources
 * together; answers put off without a bound.
 */
import { expect, test } from 'vitest'
import { failures } from '../../src/http/failures.ts'
import { DELAYED_MAX, FAILURE_DELAY_MS, FAILURES_FREE, SOURCES_MAX } from '../../src/http/limits.ts'
import { virtualClock } from '../../src/testing.ts'
import { holdOutside } from './outside.ts'

const stays = new AbortController().signal

test('the twenty-first failure within a minute is told later, to that source alone; time forgives', async () => {
  const clock = virtualClock()
  const failed = failures(clock)
  for (let times = 0; times < FAILURES_FREE; times += 1) expect(await failed.wait('a', stays)).toBe(true)

  let told = false
  const late = failed.wait('a', stays).then((isTold) => {
    told = isTold
  })
  expect(await failed.wait('b', stays)).toBe(true)
  await clock.advance(FAILURE_DELAY_MS - 1)
  expect(told).toBe(false)
  await clock.advance(1)
  await late
  expect(told).toBe(true)

  await clock.advance(120_000)
  expect(await failed.wait('a', stays)).toBe(true)
  expect(clock.pending()).toBe(0)
})

test('so many wait and no more, and who goes away waits no longer', async () => {
  const clock = virtualClock()
  const failed = failures(clock)
  for (let times = 0; times < FAILURES_FREE; times += 1) await failed.wait('a', stays)
  const gone = new AbortController()
  const waiting = Array.from({ length: DELAYED_MAX }, () => failed.wait('a', gone.signal))

  expect(await failed.wait('a', stays)).toBe(false)
  gone.abort()
  await Promise.all(waiting)

  expect(clock.pending()).toBe(0)
  expect(await failed.wait('b', stays)).toBe(true)
})

test('as many sources as there may be cost a bounded memory: the oldest is forgotten', async () => {
  const clock = virtualClock()
  const failed = failures(clock)
  for (let times = 0; times < FAILURES_FREE; times += 1) await failed.wait('first', stays)
  for (let source = 0; source < SOURCES_MAX; source += 1) await failed.wait(`s${source}`, stays)

  expect(await failed.wait('first', stays)).toBe(true)
  expect(clock.pending()).toBe(0)
})

test('a thousand failed authentications delay each other and nobody who has the token', async () => {
  const clock = virtualClock()
  const { askBare, ask, client } = await holdOutside({}, { clock })
  const wrong = { headers: { authorization: 'Bearer wrong' } }
  const answers = { 401: 0, 429: 0 }
  const allButThoseThatWait = Promise.withResolvers<void>()
  let asked = 0
  // Some at a time, as a machine would; the first ones that wait hold their place until the clock moves.
  const attempts = Array.from({ length: 2 * DELAYED_MAX }, async () => {
    for (let at = asked++; at < 1_000; at = asked++) {
      const { status, headers } = await askBare(at % 2 === 0 ? 'GET /version' : `GET /open/${at}`, wrong)
      if (status !== 401 && status !== 429) throw new Error(`answered ${status}`)
      expect([status, headers['retry-after']]).toEqual([status, status === 429 ? '1' : undefined])
      answers[status] += 1
      if (answers[401] + answers[429] === 1_000 - DELAYED_MAX) allButThoseThatWait.resolve()
    }
  })
  await Promise.race([allButThoseThatWait.promise, Promise.all(attempts)])

  expect(answers).toEqual({ 401: FAILURES_FREE, 429: 1_000 - FAILURES_FREE - DELAYED_MAX })
  expect((await ask('GET /version')).status).toBe(200)
  expect((await client.version()).pid).toBe(process.pid)
  await clock.advance(FAILURE_DELAY_MS)
  await Promise.all(attempts)
  expect(answers[401]).toBe(FAILURES_FREE + DELAYED_MAX)
})
