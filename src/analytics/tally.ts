/**
 * A tally: what was counted under one name. It is stored as JSON and only ever grows.
 */
import type { Figures, Spread } from '../guest.ts'
import { countOf, emptySketch, percentiles, type Sketch } from './sketch.ts'

/** Everything that is counted of all, of plans of one name, or of a job of these. */
export type Tally = {
  ended: Record<string, number>
  attempts: Record<string, number>
  retries: number
  reopened: number
  flaky: number
  faults: number
  repairs: number
  recovered: Record<string, number>
  waits: Record<string, { count: number; ms: number }>
  queue: Sketch
  duration: Sketch
  plans: { ended: Record<string, number>; restarts: number; duration: Sketch }
}

/** Where job names go when their plan's name has too many of them, and plan names when there are too many. */
export const OTHERS = '(others)'

/** A tally of nothing. */
export const emptyTally = (): Tally => ({
  ended: {},
  attempts: {},
  retries: 0,
  reopened: 0,
  flaky: 0,
  faults: 0,
  repairs: 0,
  recovered: {},
  waits: {},
  queue: emptySketch(),
  duration: emptySketch(),
  plans: { ended: {}, restarts: 0, duration: emptySketch() },
})

/** Counts one more of a kind. */
export const one = (counts: Record<string, number>, kind: string): void => {
  counts[kind] = (counts[kind] ?? 0) + 1
}

/** Counts a wait that is over. */
export const waited = (tally: Tally, reason: string, ms: number): void => {
  const known = tally.waits[reason] ?? { count: 0, ms: 0 }
  tally.waits[reason] = { count: known.count + 1, ms: known.ms + ms }
}

/** What a tally says. `plan` and `job` are null for all. */
export const figuresOf = (tally: Tally, plan: string | null, job: string | null): Figures => ({
  plan,
  job,
  ended: tally.ended,
  success_rate: rateOf(tally.ended),
  attempts: tally.attempts,
  lost: tally.attempts['lost'] ?? 0,
  retries: tally.retries,
  reopened: tally.reopened,
  flaky: tally.flaky,
  faults: tally.faults,
  repairs: tally.repairs,
  recovered: tally.recovered,
  waits: tally.waits,
  queue_ms: spreadOf(tally.queue),
  duration_ms: spreadOf(tally.duration),
  plans:
    job === null
      ? {
          ended: tally.plans.ended,
          success_rate: rateOf(tally.plans.ended),
          restarts: tally.plans.restarts,
          duration_ms: spreadOf(tally.plans.duration),
        }
      : null,
})

/** Four digits are enough for a rate. */
const rateOf = ({ succeeded = 0, failed = 0 }: Readonly<Record<string, number>>): number | null =>
  succeeded + failed === 0 ? null : Math.round((succeeded / (succeeded + failed)) * 10_000) / 10_000

const spreadOf = (sketch: Sketch): Spread => {
  const [p50 = null, p95 = null, p99 = null] = percentiles(sketch, [0.5, 0.95, 0.99])
  const count = countOf(sketch)
  return { count, p50, p95, p99, max: count === 0 ? null : sketch.max }
}
