/**
 * Time as a port. Wall time says when something happened; monotonic time says how long it took. They never mix.
 */

/** The clock of a runtime. Tests and simulations bring a virtual one. */
export type Clock = Readonly<{
  /** Wall time in epoch milliseconds. May jump. */
  now: () => number
  /** Milliseconds since some fixed moment; never goes back. */
  monotonic: () => number
  /** Calls `wake` once after `ms` milliseconds; the answer cancels it. Longer waits than 2^31-1 ms wake early. */
  setTimeout: (wake: () => void, ms: number) => () => void
  /** Calls `run` once, after everything that has already happened has been heard. */
  soon: (run: () => void) => void
}>

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/** The clock of this machine. A waiting timer alone does not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (wake, ms) => {
    const timer = setTimeout(wake, Math.min(Math.max(0, ms), LONGEST_TIMEOUT_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
  soon: (run) => {
    setImmediate(run)
  },
}

/** Resolves after everything that has already happened has been heard: what reads much lets others have their turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Resolves after `ms` milliseconds, or when the signal is aborted. Unlike a timer of the clock it keeps the process alive. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, signal?.aborted ? 0 : ms)
    signal?.addEventListener('abort', done)
  })
