/**
 * How long a job waits before it is tried again. Pure: the random number comes in.
 */
import type { RetryPolicy } from '../definition.ts'

/** The delay before retry `n` (from 0), in whole milliseconds: `delay × factor^n`, at most `maxDelay`, then × (1 + draw × jitter). */
export const backoffMs = (
  policy: Pick<RetryPolicy, 'delayMs' | 'factor' | 'maxDelayMs' | 'jitter'>,
  n: number,
  draw: number,
): number => {
  const grown = policy.delayMs * policy.factor ** n
  const delay = Number.isFinite(grown) ? Math.min(policy.maxDelayMs, grown) : policy.maxDelayMs
  return Math.round(delay * (1 + draw * policy.jitter))
}

/** The delays after an attempt that could not even be started; they spend no retry budget. */
export const UNSTARTED_BACKOFF = { delayMs: 200, factor: 2, maxDelayMs: 10_000, jitter: 0.2 } as const
