/**
 * Inspecting: what every live actor does, for those who want to see it. An inspector is a guest. It hears of what is durable, a few
 * events at a turn and in its own time, so that one that is slow delays nobody; one that throws, or falls too far behind, is dropped
 * and costs itself only.
 */
import type { InspectionEvent } from 'xstate'
import type { Clock } from '../clock.ts'
import { callObserver } from '../observer.ts'
import { wordsOf } from '../thrown.ts'

/** Hears of inspection events. What it answers is not waited for. */
export type Inspector = (event: InspectionEvent) => unknown

/** What inspecting needs from outside. */
export type InspectingPorts = Readonly<{
  clock: Pick<Clock, 'soon'>
  log: Readonly<Record<'warn', (fields: object, message: string) => void>>
  /** Told whether anybody looks. */
  looking: (some: boolean) => void
}>

/** The inspectors of a host. */
export type Inspecting = Readonly<{
  /** Lets an inspector look from now on; it is told of these first. `dropped` hears why when it is dropped. The answer ends it. */
  join: (
    inspector: Inspector,
    first: readonly InspectionEvent[],
    dropped: (why: string) => void,
  ) => () => void
  /** Shows events to every inspector. Never throws. */
  show: (events: readonly InspectionEvent[]) => void
}>

/** What an inspector that is slow leaves waiting before it is dropped; some drains of thousands of steps. */
const WAITING_MAX = 100_000
/** Events at a turn, before everything else goes on. */
const TURN = 256

/** Nobody looks yet. `waitingMax` is for tests. */
export const inspecting = (
  { clock, log, looking }: InspectingPorts,
  waitingMax = WAITING_MAX,
): Inspecting => {
  const guests = new Set<(events: readonly InspectionEvent[]) => void>()

  const join: Inspecting['join'] = (inspector, first, dropped) => {
    let waiting: InspectionEvent[] = []
    let head = 0
    let scheduled = false
    let gone = false
    const leave = (): void => {
      gone = true
      waiting = []
      guests.delete(take)
      looking(guests.size > 0)
    }
    const drop = (why: string): void => {
      if (gone) return
      leave()
      log.warn({ error: why }, 'an inspector was dropped')
      callObserver(
        () => dropped(why),
        () => {},
      )
    }
    const turn = (): void => {
      scheduled = false
      for (let told = 0; told < TURN && !gone && head < waiting.length; told += 1) {
        const event = waiting[head] as InspectionEvent
        head += 1
        callObserver(
          () => inspector(event),
          (error) => drop(wordsOf(error)),
        )
      }
      if (head >= waiting.length) {
        waiting = []
        head = 0
      } else schedule()
    }
    const schedule = (): void => {
      if (scheduled || gone) return
      scheduled = true
      clock.soon(turn)
    }
    const take = (events: readonly InspectionEvent[]): void => {
      if (waiting.length - head + events.length > waitingMax) {
        drop(`it was too slow: ${waiting.length - head + events.length} events wait`)
        return
      }
      if (head > TURN && head * 2 > waiting.length) {
        waiting = waiting.slice(head)
        head = 0
      }
      for (const event of events) waiting.push(event)
      if (waiting.length > head) schedule()
    }
    guests.add(take)
    looking(true)
    take(first)
    return () => {
      if (!gone) leave()
    }
  }

  return {
    join,
    show: (events) => {
      if (events.length > 0) for (const take of [...guests]) take(events)
    },
  }
}
