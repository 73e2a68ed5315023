/**
 * Something that is done again and again, some time after it was last done. A round that fails is the last, until it is begun again.
 */
import type { Clock } from './clock.ts'

/** What is done, and when. */
export type RoundOptions = Readonly<{
  clock: Clock
  /** The first round comes so many milliseconds after the start, each other one so many after the end of the one before; 0: never. */
  firstMs: number
  everyMs: number
  /** `count` from 1. It answers `again` when the next round is to come at once. */
  round: (count: number) => Promise<'again' | undefined>
}>

/** Rounds, for whoever supervises them. */
export type Rounds = Readonly<{
  /** Begins; `exit` hears why a round failed. */
  start: (exit: (error: unknown) => void) => void
  /** Begins no more. A round that goes on is not heard of again. Idempotent. */
  stop: () => void
}>

/** Rounds that have not begun. */
export const rounds = ({ clock, firstMs, everyMs, round }: RoundOptions): Rounds => {
  let cancel = (): void => {}
  let stopped = false
  return {
    start: (exit) => {
      const later = (count: number, ms: number): void => {
        if (stopped || everyMs <= 0) return
        cancel = clock.setTimeout(() => {
          round(count).then(
            (next) => later(count + 1, next === 'again' ? 0 : everyMs),
            (error: unknown) => {
              if (!stopped) exit(error)
            },
          )
        }, ms)
      }
      cancel()
      later(1, firstMs)
    },
    stop: () => {
      stopped = true
      cancel()
    },
  }
}
