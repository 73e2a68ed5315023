/**
 * A clock that stands still until it is moved. Timers fire in the order of their moments, each at its own moment, so that one
 * armed while another fires is computed from there.
 */
import { type Clock, turn } from '../clock.ts'

/** A clock that a test moves. */
export type VirtualClock = Clock &
  Readonly<{
    /** Moves on by `ms`, firing what comes due on the way; lets everything that follows from each happen before the next. */
    advance: (ms: number) => Promise<void>
    /** Moves to the next timer and fires it. False when there is none. */
    next: () => Promise<boolean>
    /** Sets the wall clock back or forward, without moving time. */
    jump: (ms: number) => void
    /** How many timers wait. */
    pending: () => number
  }>

type Timer = { readonly at: number; readonly order: number; readonly wake: () => void }

/** A clock at `start` epoch milliseconds. */
export const virtualClock = (start = 1_700_000_000_000): VirtualClock => {
  const timers = new Set<Timer>()
  let elapsed = 0
  let jumped = 0
  let order = 0
  const first = (): Timer | undefined => [...timers].sort((a, b) => a.at - b.at || a.order - b.order)[0]
  const fire = async (timer: Timer): Promise<void> => {
    timers.delete(timer)
    elapsed = Math.max(elapsed, timer.at)
    timer.wake()
    await quiet()
  }
  /** What one timer sets off takes some turns of the loop. */
  const quiet = async (): Promise<void> => {
    for (let times = 0; times < 8; times += 1) await turn()
  }
  return {
    now: () => start + jumped + elapsed,
    monotonic: () => elapsed,
    setTimeout: (wake, ms) => {
      order += 1
      const timer = { at: elapsed + Math.max(0, ms), order, wake }
      timers.add(timer)
      return () => {
        timers.delete(timer)
      }
    },
    soon: (run) => {
      setImmediate(run)
    },
    advance: async (ms) => {
      const until = elapsed + ms
      await quiet()
      for (let timer = first(); timer && timer.at <= until; timer = first()) await fire(timer)
      elapsed = until
      await quiet()
    },
    next: async () => {
      await quiet()
      const timer = first()
      if (timer) await fire(timer)
      return timer !== undefined
    },
    jump: (ms) => {
      jumped += ms
    },
    pending: () => timers.size,
  }
}
