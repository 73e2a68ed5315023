/**
 * The projector: committed steps to whoever follows them. A listener that throws, or whose promise is rejected, is dropped and
 * hurts nobody.
 */

import type { StepRow } from '../journal/journal.ts'
import { callObserver } from '../observer.ts'

/** Hears of committed steps, in order. What it answers is not waited for. */
export type Listener = (steps: readonly StepRow[]) => unknown

/** Who follows the steps of a host. */
export type Projector = Readonly<{
  /** Shows steps to every listener. Never throws. */
  show: (steps: readonly StepRow[]) => void
  /** Follows from the next commit on; the answer ends it. */
  listen: (listener: Listener) => () => void
  /** How many follow. */
  listeners: () => number
}>

/** A projector nobody follows. `dropped` hears of listeners that threw. */
export const projector = (dropped: (error: unknown) => void): Projector => {
  const listeners = new Set<Listener>()
  return {
    show: (steps) => {
      for (const listener of [...listeners])
        callObserver(
          () => listener(steps),
          (error) => {
            if (listeners.delete(listener)) dropped(error)
          },
        )
    },
    listen: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    listeners: () => listeners.size,
  }
}

/** Shows nothing to anybody. */
export const NO_PROJECTOR: Projector = { show: () => {}, listen: () => () => {}, listeners: () => 0 }
