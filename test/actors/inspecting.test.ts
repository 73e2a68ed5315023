import { expect, test } from 'vitest'
import type { InspectionEvent } from 'xstate'
import { inspecting } from '../../src/actors/inspecting.ts'

/** Turns that a test takes by hand. */
const turns = () => {
  const waiting: (() => void)[] = []
  return {
    clock: { soon: (run: () => void) => void waiting.push(run) },
    next: (): boolean => {
      const run = waiting.shift()
      run?.()
      return run !== undefined
    },
    all: (): void => {
      for (let run = waiting.shift(); run; run = waiting.shift()) run()
    },
  }
}
const events = (count: number, from = 0): InspectionEvent[] =>
  Array.from(
    { length: count },
    (_, at) => ({ type: '@xstate.event', at: from + at }) as unknown as InspectionEvent,
  )
const numbers = (seen: readonly InspectionEvent[]) =>
  seen.map((event) => (event as unknown as { at: number }).at)
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at)
const silent = { warn: () => {} }

test('an inspector hears every event once, in order, a few at a turn, and never within the call that shows them', () => {
  const { clock, next, all } = turns()
  const seen: InspectionEvent[] = []
  const { join, show } = inspecting({ clock, log: silent, looking: () => {} })
  join(
    (event) => seen.push(event),
    events(2),
    () => {},
  )

  for (let from = 2; from < 1_002; from += 100) show(events(100, from))
  expect(seen).toEqual([])
  next()
  expect(seen.length).toBeLessThan(500)
  show(events(10, 1_002))
  all()

  expect(numbers(seen)).toEqual(upTo(1_012))
})

test('an inspector that falls too far behind is dropped with what waits, and the others see all of it', () => {
  const { clock, next, all } = turns()
  const dropped: string[] = []
  const [slow, other]: [InspectionEvent[], InspectionEvent[]] = [[], []]
  const { join, show } = inspecting({ clock, log: silent, looking: () => {} }, 1_000)
  join(
    (event) => slow.push(event),
    [],
    (why) => dropped.push(why),
  )

  show(events(1_000))
  next()
  const had = slow.length
  join(
    (event) => other.push(event),
    [],
    () => {},
  )
  show(events(had, 1_000))
  expect(dropped).toEqual([])
  show(events(1, 1_000 + had))
  expect(dropped).toEqual(['it was too slow: 1001 events wait'])
  all()

  expect(numbers(slow)).toEqual(upTo(had))
  expect(numbers(other)).toEqual(upTo(had + 1).map((at) => at + 1_000))
})

test('whether anybody looks is told, so that nothing is collected for nobody', () => {
  const { clock, all } = turns()
  const looking: boolean[] = []
  const { join, show } = inspecting({ clock, log: silent, looking: (some) => looking.push(some) })

  const leave = join(
    () => {},
    [],
    () => {},
  )
  leave()
  leave()
  join(
    () => {
      throw new Error('a guest broke')
    },
    events(1),
    () => {},
  )
  all()
  show(events(1))

  expect(looking).toEqual([true, false, true, false])
})
