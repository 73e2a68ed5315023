/**
 * Sections: what is stuck or throws is told, with what was last known of it, and delays nobody.
 *
 * Mutations that were planted once, and each found: a look that was given up and still answers; data of an hour ago told as if it were
 * of now.
 */
import { expect, test } from 'vitest'
import { section } from '../../src/runtime/sections.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

const never = (): Promise<never> => new Promise(() => {})

test('a look that is stuck is waited for a moment, told as behind for a second, and then as unavailable, with its age', async () => {
  const clock = virtualClock()
  let look = async () => ({ data: 1 }) as { data: number }
  const { read } = section('plans', () => look(), clock)
  expect(await read()).toMatchObject({ status: 'ok', data: 1, age_ms: 0, error: null })

  look = never
  const first = read()
  await clock.advance(50)
  expect(await first).toMatchObject({ status: 'stale', data: 1, age_ms: 50 })
  await clock.advance(9_000)

  // Nobody waits for it any more: the clock stands still.
  expect(await read()).toMatchObject({
    status: 'unavailable',
    data: 1,
    age_ms: 9_050,
    as_of: '2023-11-14T22:13:20.000Z',
    error: { code: 'SECTION_UNAVAILABLE', message: expect.stringContaining('not answered for 9050 ms') },
  })
})

test('one that never answered is unavailable at once, and has no data', async () => {
  const clock = virtualClock()
  const { read } = section('plans', never, clock)
  const first = read()
  await clock.advance(50)

  const { status, data, as_of, age_ms } = await first
  expect({ status, data, as_of, age_ms }).toEqual({
    status: 'unavailable',
    data: null,
    as_of: null,
    age_ms: null,
  })
})

test('what was given up is asked anew after ten seconds, and a late answer of it changes nothing', async () => {
  const clock = virtualClock()
  const late = Promise.withResolvers<{ data: string }>()
  const answers = [late.promise, Promise.resolve({ data: 'new' })]
  const { read } = section('plans', () => answers.shift() ?? never(), clock)
  const first = read()
  await clock.advance(10_000)
  expect(await first).toMatchObject({ status: 'unavailable' })
  expect(await read()).toMatchObject({ status: 'ok', data: 'new' })

  late.resolve({ data: 'old' })
  const last = read()
  await clock.advance(50)

  expect(await last).toMatchObject({ data: 'new' })
})

test('one that throws says why, keeps what was known, and is well again with its next answer', async () => {
  const clock = virtualClock()
  let broken = false
  const look = () => {
    if (broken) throw new Error('the needle is stuck')
    return { data: 1 }
  }
  const { read } = section('timers', look, clock)
  await read()
  broken = true
  await clock.advance(3_000)
  const seen = await read()
  broken = false

  expect(seen).toMatchObject({
    status: 'unavailable',
    data: 1,
    age_ms: 3_000,
    error: { message: 'timers cannot be told: the needle is stuck' },
  })
  expect(await read()).toMatchObject({ status: 'ok', age_ms: 0, error: null })
})

test('one that has thrown and then is stuck is unavailable at once, and not only behind', async () => {
  const clock = virtualClock()
  let look: () => Promise<{ data: number }> = async () => ({ data: 1 })
  const { read } = section('timers', () => look(), clock)
  await read()
  look = () => Promise.reject(new Error('the needle is stuck'))
  await read()
  look = never

  const stuck = read()
  await clock.advance(50)

  expect(await stuck).toMatchObject({
    status: 'unavailable',
    data: 1,
    error: { message: expect.stringContaining('not answered for 50 ms') as string },
  })
})

test('who has their answer waits for nothing any more', async () => {
  const clock = virtualClock()
  const { read } = section('plans', () => ({ data: 1 }), clock)

  await read()

  expect(clock.pending()).toBe(0)
})

test('a look that takes long again and again rests, and a cheap one is taken anew for every answer', async () => {
  const clock = virtualClock()
  let looks = 0
  let tookMs = 0
  const look = async () => {
    looks += 1
    if (tookMs > 0) await new Promise<void>((resolve) => clock.setTimeout(resolve, tookMs))
    return { data: looks }
  }
  const { read } = section('plans', look, clock)
  await read()
  await read()
  expect(looks).toBe(2)

  tookMs = 30
  for (const data of [3, 4, 5]) {
    const dear = read()
    await clock.advance(30)
    expect(await dear).toMatchObject({ status: 'ok', data, age_ms: 0 })
  }
  await clock.advance(599)
  expect(await read()).toMatchObject({ data: 5, age_ms: 599 })
  await clock.advance(1)
  const again = read()
  await clock.advance(30)

  expect(await again).toMatchObject({ data: 6 })
})

test('a look that blocks everybody for long has answered when it is over', async () => {
  let now = 0
  const clock = { now: () => now, monotonic: () => now, setTimeout: virtualClock().setTimeout }
  const look = async () => {
    now += 500
    return { data: 1 }
  }

  expect(await section('attempts', look, clock).read()).toMatchObject({ status: 'ok', data: 1 })
})
