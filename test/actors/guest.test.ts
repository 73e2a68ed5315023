import { expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import { type GuestEffect, type GuestEvent, type GuestPolicy, guestMachine } from '../../src/actors/guest.ts'

const POLICY: GuestPolicy = {
  failures: 4,
  withinMs: 100_000,
  delayMs: 500,
  delayMaxMs: 1_500,
  coolMs: 30_000,
  coolMaxMs: 100_000,
  wellAfterMs: 10_000,
}

/** A guest whose timers the test fires, each at its moment. */
const openGuest = () => {
  let [snapshot] = initialTransition(guestMachine, POLICY)
  let now = 0
  let timer: Readonly<{ as: 'due' | 'well'; at: number }> | null = null
  const story: string[] = []
  const tell = (event: GuestEvent): void => {
    const [next, actions] = transition(guestMachine, snapshot, event)
    snapshot = next
    for (const { type, params } of actions) {
      const effect = { ...(params as object), type } as GuestEffect
      if (effect.type === 'wake') {
        timer = { as: effect.as, at: now + effect.afterMs }
        story.push(`${effect.as} in ${effect.afterMs}`)
      } else {
        story.push(effect.type)
        if (effect.type === 'end') timer = null
      }
    }
    story.push(`= ${String(snapshot.value)}`)
  }
  return {
    began: () => tell({ type: 'began', at: now }),
    stopped: () => tell({ type: 'stopped', at: now }),
    greeted: () => tell({ type: 'greeted', at: now }),
    failed: (error: string, draw = 0) => tell({ type: 'failed', at: now, error, draw }),
    later: (ms: number) => {
      now += ms
    },
    timer: () => {
      if (!timer) throw new Error('nothing is waited for')
      const { as, at } = timer
      timer = null
      now = at
      tell({ type: as, at })
    },
    told: () => story.splice(0),
    context: () => snapshot.context,
  }
}

test('one that fails is started again, ever later, and given up for a while after as many failures as it may have', () => {
  const guest = openGuest()
  guest.began()
  expect(guest.told()).toEqual(['start', '= starting'])

  for (const wait of [500, 1_000, 1_500]) {
    guest.failed('no such module')
    expect(guest.told()).toEqual(['end', `due in ${wait}`, '= waiting'])
    guest.timer()
    expect(guest.told()).toEqual(['start', '= starting'])
  }
  guest.failed('no such module')

  expect(guest.told()).toEqual(['end', 'due in 30000', '= open'])
  expect(guest.context()).toMatchObject({ restarts: 3, starts: 4, error: { text: 'no such module' } })
  expect(guest.context().nextAt).toBe(3_000 + 30_000)
})

test('given up, it gets one trial, and another one twice as late when that fails', () => {
  const guest = openGuest()
  guest.began()
  for (let n = 1; n < POLICY.failures; n += 1) {
    guest.failed('it hangs')
    guest.timer()
  }
  guest.failed('it hangs')
  guest.told()

  for (const cool of [60_000, 100_000, 100_000]) {
    guest.timer()
    expect(guest.told()).toEqual(['start', '= trying'])
    guest.greeted()
    expect(guest.told()).toEqual(['well in 10000', '= proving'])
    guest.failed('it hangs again')
    expect(guest.told()).toEqual(['end', `due in ${cool}`, '= open'])
  }
  guest.timer()
  guest.greeted()
  guest.timer()

  expect(guest.told().at(-1)).toBe('= up')
  expect(guest.context()).toMatchObject({ opened: 0, failedAt: [], error: null })
  guest.failed('once more')
  expect(guest.told().slice(-2)).toEqual(['due in 500', '= waiting'])
})

test('failures are forgotten when it has been well for long enough, and count no longer than their period', () => {
  const guest = openGuest()
  guest.began()
  for (let n = 0; n < 10; n += 1) {
    guest.greeted()
    guest.failed('every time')
    expect(guest.told().at(-1)).toBe('= waiting')
    guest.timer()
    guest.greeted()
    guest.timer()
    expect(guest.context().failedAt).toEqual([])
    guest.told()
    guest.failed('and again')
    guest.timer()
    guest.later(POLICY.withinMs)
  }
  expect(guest.context().failedAt.length).toBeLessThan(POLICY.failures)
})

test('delays have a part by chance, and a guest that is stopped is ended and not started again', () => {
  const guest = openGuest()
  guest.began()
  guest.failed('it floods', 0.5)
  expect(guest.told().slice(-2)).toEqual(['due in 550', '= waiting'])

  guest.stopped()
  expect(guest.told()).toEqual(['end', '= off'])
  expect(guest.context().nextAt).toBeNull()
  guest.failed('too late')
  expect(guest.told()).toEqual(['= off'])
})
