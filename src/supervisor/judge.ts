/**
 * What becomes of a child that has ended, or could not be started. Pure: the moment and the chance are given.
 */
import { isAbnormal, type Reason } from './reason.ts'
import type { Policy, Terms } from './spec.ts'

/** What is remembered of a child's restarts, to judge its next end by. */
export type Tally = Readonly<{
  /** The moments of its restarts within the period, in monotonic ms. */
  restarts: readonly number[]
  /** Restarts since it last ran long enough to be called well. */
  tries: number
}>

/** A child that never failed. */
export const CLEAN: Tally = { restarts: [], tries: 0 }

/** What is done about it. */
export type Verdict = Readonly<
  { do: 'rest' } | { do: 'giveUp' } | { do: 'restart'; afterMs: number; tally: Tally }
>

/** When something happened, in monotonic ms, and a number in [0, 1) drawn for it. */
export type Moment = Readonly<{ at: number; chance: number }>

/** Whether a child that ended so by itself is to be started again, if its budget allows. */
export const isRestarted = ({ restart }: Terms, reason: Reason): boolean =>
  restart === 'permanent' || (restart === 'transient' && isAbnormal(reason))

/** The pause before restart `tries`, from 0: doubling from `minMs` to `maxMs`, and up to `jitter` of it more. */
export const pauseMs = ({ minMs, maxMs, jitter }: Policy['backoff'], tries: number, chance: number): number =>
  Math.min(maxMs, minMs * 2 ** Math.min(tries, 31)) * (1 + chance * jitter)

/**
 * Judges a child that ended with `reason` after it had run for `ranMs`; 0 if it could not be started.
 *
 * Each child has its own budget: the restart that would be one too many within the period is not made. A restart exactly one period
 * ago still counts, and so does one that is only being waited for.
 */
export const judge = (
  { intensity, periodMs, backoff }: Policy,
  terms: Terms,
  { restarts, tries }: Tally,
  reason: Reason,
  ranMs: number,
  { at, chance }: Moment,
): Verdict => {
  if (!isRestarted(terms, reason)) return { do: 'rest' }
  const recent = [...restarts.filter((moment) => at - moment <= periodMs), at]
  if (recent.length > intensity) return { do: 'giveUp' }
  const failures = ranMs >= backoff.resetAfterMs ? 0 : tries
  return {
    do: 'restart',
    afterMs: pauseMs(backoff, failures, chance),
    tally: { restarts: recent, tries: failures + 1 },
  }
}
