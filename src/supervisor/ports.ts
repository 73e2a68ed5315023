/**
 * What a supervisor needs from outside.
 */
import { type Clock, pause, systemClock } from '../clock.ts'
import { type Random, systemRandom } from '../ids.ts'
import type { Inspector } from './drawing.ts'
import type { LifeRecord } from './state.ts'

/** What a supervisor needs. */
export type SupervisorPorts = Readonly<{
  clock: Pick<Clock, 'monotonic' | 'setTimeout' | 'soon'>
  /** For the jitter of pauses. */
  random: Random
  /** Told everything that happens, in order, with the supervisor's name. What it throws is not heard. */
  report?: (record: LifeRecord, supervisor: string) => void
  /** Shown the lives of the supervisor and its children as live XState actors. */
  inspect?: Inspector
  /** What it is called in its tree and its records; default `root`. */
  name?: string
}>

/** The ports of this machine. A child that waits for its restart keeps the process alive, as it did while it ran. */
export const systemPorts: Pick<SupervisorPorts, 'clock' | 'random'> = {
  clock: {
    ...systemClock,
    setTimeout: (wake, ms) => {
      const cancelling = new AbortController()
      const { signal } = cancelling
      void pause(ms, signal).then(() => {
        if (!signal.aborted) wake()
      })
      return () => cancelling.abort()
    },
  },
  random: systemRandom,
}
