/**
 * How late this process comes to what is due: the loop is blocked for as long, and so is everybody who asks.
 */
import type { Clock } from '../clock.ts'

/** The lag of the loop, in milliseconds. */
export type LoopLag = Readonly<{
  /** The worst of the last ten seconds. */
  worst: () => number
  /** The sum of all that was measured, and how often. */
  total: () => Readonly<{ ms: number; count: number }>
  stop: () => void
}>

const EVERY_MS = 500
const KEPT = 20

/** Measures twice a second. */
export const loopLag = (clock: Pick<Clock, 'monotonic' | 'setTimeout'>): LoopLag => {
  let measured: number[] = []
  let total = { ms: 0, count: 0 }
  let due = 0
  let cancel = (): void => {}
  const overdue = (): number => Math.max(0, clock.monotonic() - due)
  const again = (): void => {
    due = clock.monotonic() + EVERY_MS
    cancel = clock.setTimeout(() => {
      const lag = overdue()
      measured = [...measured.slice(1 - KEPT), lag]
      total = { ms: total.ms + lag, count: total.count + 1 }
      again()
    }, EVERY_MS)
  }
  again()
  return {
    worst: () => Math.max(overdue(), ...measured),
    total: () => total,
    stop: () => cancel(),
  }
}
