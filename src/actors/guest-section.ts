/**
 * Analytics as others see it: a section of the state, from memory alone.
 */
import { TenutoError } from '../errors.ts'
import type { Reckoning } from '../guest.ts'
import { type AnalyticsData, iso, type SectionShape } from '../views/shapes.ts'
import type { GuestContext } from './guest.ts'

/** Where there is no analytics. */
export const NO_SECTION: SectionShape<AnalyticsData | null> = {
  status: 'disabled',
  as_of: null,
  age_ms: null,
  error: null,
  data: null,
}

/** What the house knows of its guest; `now` is wall time, `monotonic` the time of its moments. */
export type Sight = Readonly<{
  now: number
  monotonic: number
  state: string
  context: GuestContext
  pid: number | null
  /** Whether it has greeted, and has not failed since. */
  isThere: boolean
  /** Since when it has been asked something and has said nothing; null when it is not waited for. */
  askedAt: number | null
  /** Why it gets no steps; null when it does. */
  readError: string | null
  /** The highest position that was seen; null before the first. */
  head: number | null
  /** What it said last. */
  reckoning: Reckoning | null
  heardAt: number | null
  beganAt: number
}>

/** So many steps behind is no news; more is. */
const BEHIND_MAX = 1_000
/** A guest that has said nothing for so long after it was asked is said to be silent, long before it is ended for it, in ms. */
const SILENT_MS = 1_000

/** The section of analytics. `age_ms` is since it was last heard of, or since it was to begin. */
export const sectionOf = (seen: Sight): SectionShape<AnalyticsData | null> => {
  const { now, context, isThere, askedAt, readError, head, reckoning, heardAt } = seen
  const { error, restarts, failedAt, nextAt } = context
  const cursor = reckoning?.cursor ?? null
  const behind = cursor === null || head === null ? null : Math.max(0, head - cursor)
  const isUp = isThere && readError === null
  const isStarting = error === null && readError === null && !isThere
  const isWhole = behind !== null && behind <= BEHIND_MAX
  const isSilent = askedAt !== null && seen.monotonic - askedAt >= SILENT_MS
  const isWell = isWhole && !isSilent
  const wall = (at: number): string => iso(now + at - seen.monotonic)
  return {
    status: isUp && isWell ? 'ok' : isUp || isStarting ? 'stale' : 'unavailable',
    as_of: heardAt === null ? null : iso(heardAt),
    age_ms: Math.max(0, now - (heardAt ?? seen.beganAt)),
    error: isUp ? null : errorOf(readError ?? error?.text),
    data: {
      state: isUp && !isWell ? (isSilent ? 'silent' : 'catching-up') : (WORDS[seen.state] ?? seen.state),
      pid: seen.pid,
      cursor,
      head,
      behind,
      missed_steps: reckoning?.missed ?? null,
      restarts,
      failures: failedAt.length,
      silent_since: isUp && isSilent ? wall(askedAt) : null,
      failed_at: error === null ? null : wall(error.at),
      next_try_at: nextAt === null ? null : wall(nextAt),
      total: reckoning?.total ?? null,
    },
  }
}

const errorOf = (why: string | undefined): SectionShape<null>['error'] => {
  if (why === undefined) return null
  const { code, message, hint } = new TenutoError('ANALYTICS_UNAVAILABLE', { why })
  return { code, message, hint }
}

/** States of the guest that others know by another name. */
const WORDS: Readonly<Record<string, string>> = { open: 'given-up', proving: 'up' }
