/**
 * What the parent of a daemon does when its worker has ended: whether it is started again, and after how long. Decisions alone; nothing
 * is started here.
 */
import type { Clock } from '../clock.ts'
import type { Random } from '../ids.ts'

/** How a worker ended. */
export type WorkerEnd = Readonly<{
  code: number | null
  signal: NodeJS.Signals | null
  /** Whether it came so far as to say who it is; without, not even the program was there. */
  hello: boolean
  /** Whether it served its home. */
  served: boolean
  /** Why it ended, as a code of the table of errors, where it said so. */
  why: string | null
  /** Whether it was told to stop. */
  stopping: boolean
  /** Whether another daemon serves its home by now. */
  replaced: boolean
}>

/** What is done then. `exit`: the code of the parent. */
export type Verdict =
  | Readonly<{ do: 'end'; exit: number }>
  | Readonly<{ do: 'give-up'; exit: number; times: number }>
  | Readonly<{ do: 'start'; afterMs: number; waitsFor: 'program' | 'home' | null }>

/** So many ends within the period are borne; with the next one it is given up. */
export const ENDS_MAX = 5
/** How long an end is held against a worker. */
export const PERIOD_MS = 60_000
const BACKOFF = { leastMs: 100, mostMs: 10_000, jitter: 0.2 } as const
/** What happens again however often it is started: wrong use, a home of another daemon, a conflict. The store may be mended. */
const REFUSALS: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7])
/** A home that is gone would be made anew, empty. */
const GONE = 'HOME_GONE'
/** Somebody has the home for as long as a plan takes. */
const HELD = 'HOME_HELD'
const NO_DAEMON = 5
const NO_STORE = 12

/** Decides for one parent, which tells of every end in order. */
export const restarts = (clock: Pick<Clock, 'monotonic'>, random: Random): ((end: WorkerEnd) => Verdict) => {
  let ends: number[] = []
  let waits = 0
  let everServed = false
  const delay = (before: number): number => {
    const ms = Math.min(BACKOFF.mostMs, BACKOFF.leastMs * 2 ** Math.min(before, 20))
    return Math.round(ms * (1 - BACKOFF.jitter + 2 * BACKOFF.jitter * random()))
  }
  return ({ code, hello, served, why, stopping, replaced }) => {
    everServed ||= served
    // Killed on its way to a stop it is stopped all the same.
    if (stopping || code === 0) return { do: 'end', exit: code ?? 0 }
    const isHeld = everServed && why === HELD && !replaced
    if (code !== null && !isHeld && (!everServed || why === GONE || (hello && REFUSALS.has(code))))
      return { do: 'end', exit: code }
    if (isHeld || (code !== null && !hello)) {
      // Somebody is building, or runs a plan in the meantime. That costs nothing but time, and is no fault of the daemon.
      waits += 1
      return { do: 'start', afterMs: delay(waits - 1), waitsFor: isHeld ? 'home' : 'program' }
    }
    waits = 0
    const now = clock.monotonic()
    ends = [...ends.filter((at) => now - at < PERIOD_MS), now]
    if (ends.length > ENDS_MAX)
      return { do: 'give-up', exit: code === NO_STORE ? NO_STORE : NO_DAEMON, times: ends.length }
    return { do: 'start', afterMs: delay(ends.length - 1), waitsFor: null }
  }
}
