/**
 * Fixed plans, jobs and attempts for the tests of what is printed, all about one moment; and paper to print them on.
 */
import picocolors from 'picocolors'
import type { Paper } from '../../src/cli/rows.ts'
import { ASCII, type Page, UNICODE } from '../../src/cli/screen.ts'
import { type Progress, progressOf } from '../../src/views/progress.ts'
import type { AttemptShape, JobShape, PlanShape } from '../../src/views/shapes.ts'

/** The moment at which everything is looked at. */
export const NOW = Date.parse('2026-03-01T12:00:00.000Z')

/** A moment so many milliseconds before. */
export const ago = (ms: number): string => new Date(NOW - ms).toISOString()

/** A running plan of a minute. */
export const plan = (known: Partial<PlanShape> = {}): PlanShape => ({
  id: 'release-3k9d2a',
  name: 'release',
  state: 'running',
  reason: null,
  generation: 1,
  created_at: ago(60_000),
  started_at: ago(60_000),
  ended_at: null,
  counts: { running: 1 },
  key: null,
  error: null,
  ...known,
})

/** A held job without needs. */
export const job = (name: string, known: Partial<JobShape> = {}): JobShape => ({
  plan: 'release-3k9d2a',
  name,
  kind: 'run',
  state: 'held',
  reason: 'needs',
  generation: 1,
  attempt: 0,
  needs: {},
  since: ago(60_000),
  wake_at: null,
  optional: false,
  outputs: null,
  ...known,
})

/** A first attempt that succeeded in a second. */
export const attempt = (known: Partial<AttemptShape> = {}): AttemptShape => ({
  n: 1,
  generation: 1,
  outcome: 'succeeded',
  code: 0,
  signal: null,
  started_at: ago(2000),
  ended_at: ago(1000),
  pid: 4711,
  error: null,
  warnings: [],
  leftovers: 0,
  ...known,
})

/** One job in each state, with what goes with it. */
export const everyState: readonly JobShape[] = [
  job('fetch', { state: 'succeeded', reason: null, attempt: 3, since: ago(50_000) }),
  job('lint', {
    state: 'failed',
    reason: 'exit',
    attempt: 1,
    needs: { fetch: 'success' },
    since: ago(40_000),
  }),
  job('unit', { state: 'running', reason: null, attempt: 2, needs: { fetch: 'success' }, since: ago(9_900) }),
  job('flaky', { state: 'backoff', reason: 'backoff', attempt: 1, since: ago(500), wake_at: ago(-1_500) }),
  job('slow', { state: 'stopping', reason: 'stop-timeout', attempt: 1, since: ago(200) }),
  job('deploy', { state: 'waiting', reason: 'lost', attempt: 1, since: ago(3_700_000) }),
  job('docs', { state: 'queued', reason: 'slot', since: ago(30_000) }),
  job('pack', { needs: { unit: 'success', flaky: 'success' }, since: ago(60_000) }),
  job('ship', { state: 'skipped', reason: 'need-failed', needs: { lint: 'success' }, since: ago(40_000) }),
  job('old', { state: 'cancelled', reason: 'operator', attempt: 1, since: ago(20_000) }),
]

/** A follower's view of jobs, with what its events would have told of their attempts. */
export const progress = (jobs: readonly JobShape[], known: Partial<PlanShape> = {}): Progress => {
  const made = progressOf(plan(known), jobs)
  for (const each of made.jobs.values()) {
    if (['succeeded', 'failed', 'cancelled', 'backoff'].includes(each.state) && each.attempt > 0)
      each.tookMs = 4200
    if (each.state === 'failed' || each.state === 'backoff') each.last = attempt({ outcome: 'exit', code: 7 })
    if (each.state === 'stopping') each.startedAt = NOW - 61_000
  }
  return made
}

/** A page without colour. */
export const page = (width: number, height = 24, marks = UNICODE): Omit<Page, 'write'> => ({
  width,
  height,
  marks,
  paint: picocolors.createColors(false),
})

/** Paper without colour; as wide as one likes where it is no terminal. */
export const paper = (width = Number.POSITIVE_INFINITY, marks = UNICODE): Paper => page(width, 24, marks)

/** Paper and pages for terminals that show nothing but ASCII. */
export const plainMarks = ASCII
