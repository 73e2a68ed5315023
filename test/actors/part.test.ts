/**
 * A part that is replaced: what stands behind its port, and who is told.
 *
 * Mutations that were planted once, and each found: `up` told before what is so was; a part called whole while it is told.
 */
import { expect, test } from 'vitest'
import { part } from '../../src/actors/part.ts'
import { faultInjection } from '../../src/testing/faults.ts'

test('one that has failed is whole again, and says so, when the next has been told what is so', async () => {
  const told = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<unknown>()
  const faults = faultInjection()
  const story: string[] = []
  const lamp = part({
    name: 'timers',
    make: () => ({ ask: () => 'lit' }),
    idle: { ask: () => 'dark' },
    tell: async () => {
      await told.promise
      story.push('told')
    },
    up: () => story.push(`up, ${lamp.port.ask()}`),
    faults: faults.port,
  })
  await lamp.start(failed.resolve)
  story.length = 0
  void faults.throwAt({ part: 'timers' })

  expect(lamp.port.ask()).toBe('dark')
  expect(await failed.promise).toMatchObject({ message: 'injected: timers ask' })
  expect(lamp.isUp()).toBe(false)
  const next = lamp.start(() => {})
  expect([lamp.isUp(), ...story]).toEqual([false])
  told.resolve()
  await next
  expect(story).toEqual(['told', 'up, lit'])
  expect(lamp.isUp()).toBe(true)
})
