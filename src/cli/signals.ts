/**
 * The signals that cancel what a command runs itself. They are listened to from before a plan is touched until the process has left:
 * in between there is no moment in which one would only kill it.
 */
import { type Clock, systemClock } from '../clock.ts'
import type { Screen } from './screen.ts'

/** What signals do to the plans of this process. */
export type Signals = Readonly<{
  /** Aborted by the first one. */
  asked: AbortSignal
  /** Has a plan cancelled at each signal that comes, or has come; urgently from the second on. */
  cancels: (cancel: (urgent: boolean) => void) => void
  /** Lets every further signal pass without a word: nothing is left to cancel. */
  over: () => void
  /** Leaves them to whoever listens next. */
  leave: () => void
}>

/** Two signals closer than this are one: a terminal and a parent often both send theirs. */
const SAME_SIGNAL_MS = 300
const CANCEL_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Begins to listen. */
export const listenToSignals = (on: Pick<Screen, 'talk'>, clock: Clock = systemClock): Signals => {
  const asked = new AbortController()
  const plans: ((urgent: boolean) => void)[] = []
  let [first, urgent, over] = [0, false, false]
  const heard = (): void => {
    if (over) return
    const again = asked.signal.aborted
    if (again && clock.monotonic() - first < SAME_SIGNAL_MS) return
    if (!again) first = clock.monotonic()
    urgent = again
    on.talk(urgent ? 'killing what still runs' : 'cancelling; what runs is asked to end (once more: kill it)')
    asked.abort()
    for (const cancel of plans) cancel(urgent)
  }
  for (const signal of CANCEL_SIGNALS) process.on(signal, heard)
  return {
    asked: asked.signal,
    cancels: (cancel) => {
      plans.push(cancel)
      if (asked.signal.aborted) cancel(urgent)
    },
    over: () => {
      over = true
    },
    leave: () => {
      for (const signal of CANCEL_SIGNALS) process.off(signal, heard)
    },
  }
}
