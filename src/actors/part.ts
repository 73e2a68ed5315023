/**
 * A part of the runtime that is replaced while everything else goes on: slots, timers, the executor, the projector. Its port stays where
 * it is; what stands behind the port is dropped when it throws, and made anew by whoever supervises it.
 *
 * Such a part holds no truth. What it was asked when it failed is lost with it, and so is what it is asked until the next one is there:
 * the next one is told everything that is so by then, from rows and live actors.
 */

/** What `tenuto tree` calls it. */
export type PartName = 'slots' | 'timers' | 'executor' | 'projector'

type Call = (...given: never[]) => unknown
type Port<P> = Readonly<Record<keyof P, Call>>

/** Where something can be made to fail, for tests. */
export type FaultPoint =
  | Readonly<{ part: PartName | 'journal' | 'sweeper'; call: string }>
  | Readonly<{ actor: string; message: string }>

/** Asked at each point; what it throws is thrown there. */
export type Faults = (at: FaultPoint) => void

/** A part, for those who use it (`port`) and for whoever supervises it (`start`, `stop`). */
export type Part<P> = Readonly<{
  port: P
  /**
   * Begins to work, and after a failure again, with a new one behind the port that is told what is so. `exit` hears once why it failed.
   * Rejects with what the new one throws while it is told.
   */
  start: (exit: (error: unknown) => void) => Promise<void>
  /** Whether it works: it has not failed, and was told what is so. */
  isUp: () => boolean
  /** Works no more. Idempotent. */
  stop: () => void
}>

/** What a part is made of. */
export type PartOptions<P> = Readonly<{
  name: PartName
  make: () => P
  /** Stands behind the port while there is no other: takes what it is asked, and does nothing. */
  idle: P
  /** Tells a new one what is so. */
  tell: () => Promise<void>
  /** Told when a new one has heard what is so, and works. */
  up?: () => void
  /** Lets go of what one that failed has left. */
  drop?: (failed: P) => void
  faults?: Faults | undefined
}>

/** A part that works from its making on; a failure before anybody supervises it leaves it idle until `start`. */
export const part = <P extends Port<P>>(options: PartOptions<P>): Part<P> => {
  const { name, make, idle, tell, up, drop, faults } = options
  let current: P = make()
  let begun = false
  let failures: unknown[] = []
  let exit: ((error: unknown) => void) | undefined

  const leave = (): void => {
    const left = current
    current = idle
    if (left === idle) return
    try {
      drop?.(left)
    } catch {
      // It has failed once; what it cannot let go of either is nobody's any more.
    }
  }
  const fail = (error: unknown): void => {
    leave()
    failures.push(error)
    exit?.(error)
  }
  const calls = (Object.keys(idle) as (keyof P & string)[]).map((key) => {
    const call = (...given: never[]): unknown => {
      if (current !== idle) {
        try {
          faults?.({ part: name, call: key })
          return current[key](...given)
        } catch (error) {
          fail(error)
        }
      }
      return idle[key](...given)
    }
    return [key, call] as const
  })

  return {
    port: Object.fromEntries(calls) as unknown as P,
    start: async (heard) => {
      exit = undefined
      if (begun || failures.length > 0) {
        failures = []
        leave()
        current = make()
        await tell()
      }
      begun = true
      // It may have failed while it was told, or before anybody heard.
      if (failures.length > 0) throw failures[0]
      exit = heard
      up?.()
    },
    isUp: () => current !== idle && (exit !== undefined || !begun),
    stop: () => {
      exit = undefined
      leave()
    },
  }
}
