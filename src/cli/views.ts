/**
 * How a followed plan is shown: a live table on a terminal, one line an event elsewhere, JSON lines for programs. Each view hears
 * of the same changes.
 */
import { createLogUpdate } from 'log-update'
import { systemClock } from '../clock.ts'
import {
  type Change,
  countStates,
  hasEnded,
  type JobProgress,
  openNeeds,
  type Progress,
} from '../views/progress.ts'
import type { EventShape } from '../views/shapes.ts'
import type { Screen } from './screen.ts'
import { cut, duration, fit, mark, outcomeInWords, painted, reasonInWords } from './words.ts'

/** Shows a plan while it is followed. */
export type View = Readonly<{
  event: (event: EventShape, changes: readonly Change[]) => void
  /** Leaves the last picture standing and stops drawing. */
  close: () => void
}>

const FRAME_MS = 100
const SHOWN_STATES = new Set([
  'running',
  'backoff',
  'waiting',
  'stopping',
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
])

/** The view that fits the screen. */
export const viewOf = (on: Screen, progress: Progress): View => {
  if (on.json) return { event: (event) => on.answer(JSON.stringify(event)), close: () => {} }
  if (on.quiet) return { event: () => {}, close: () => {} }
  return on.live ? table(on, progress) : lines(on, progress)
}

/** One line for one change, in stable columns; undefined for one nobody wants to read. */
export const lineOf = (progress: Progress, change: Change): string | undefined => {
  const at = `${change.at.slice(0, 19)}Z`
  const { job, state } = change
  if (!job) {
    const why =
      change.reason === null || state === 'cancelled' || state === 'cancelling' ? '' : `  ${change.reason}`
    return `${at} ${progress.id} ${state}${why}`
  }
  if (!SHOWN_STATES.has(state)) return undefined
  const took = change.tookMs === null ? '' : ` ${duration(change.tookMs)}`
  const attempt = change.attempt > 0 ? ` #${change.attempt}` : ''
  const shape = { state, reason: change.reason, wake_at: job.wakeAt }
  const why = reasonInWords(shape, openNeeds(progress, job), job.last)
  return `${at} ${progress.id}/${job.name}${attempt} ${state}${took}${why ? `  ${why}` : ''}`
}

const lines = (on: Screen, progress: Progress): View => ({
  event: (_, changes) => {
    for (const change of changes) {
      const line = lineOf(progress, change)
      if (line !== undefined) on.talk(line)
    }
  },
  close: () => {},
})

const ORDER = [
  'stopping',
  'running',
  'waiting',
  'backoff',
  'queued',
  'failed',
  'cancelled',
  'held',
  'skipped',
  'succeeded',
]

/** The picture of a plan in at most `height` rows and `width` columns: what moves first, what has ended last. */
export const picture = (
  progress: Progress,
  on: Pick<Screen, 'width' | 'height' | 'marks' | 'paint'>,
  now: number,
): string => {
  const states = countStates(progress)
  const total = progress.jobs.size
  const done = [...progress.jobs.values()].filter(hasEnded).length
  const parts = ['running', 'backoff', 'waiting', 'queued', 'failed', 'skipped', 'cancelled'].flatMap(
    (state) => {
      const count = states.get(state) ?? 0
      return count === 0 ? [] : [`${count} ${state}`]
    },
  )
  const head = `${progress.id}  ${progress.state}  ${duration(now - progress.createdAt)}  ${[`${done}/${total} done`, ...parts].join(' · ')}`
  const room = Math.max(1, on.height - 3)
  const jobs = [...progress.jobs.values()]
  const shown =
    jobs.length <= room
      ? jobs
      : jobs.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).slice(0, room - 1)
  const nameWidth = Math.min(
    32,
    Math.max(8, ...shown.map(({ name }) => name.length)),
    Math.max(8, on.width - 30),
  )
  const rows = shown.map((job) => row(progress, job, nameWidth, on, now))
  const rest = jobs.length - shown.length
  if (rest > 0) rows.push(on.paint.dim(cut(`  … and ${rest} more`, on.width)))
  return [on.paint.bold(cut(head, on.width)), ...rows].join('\n')
}

const row = (
  progress: Progress,
  job: JobProgress,
  nameWidth: number,
  { width, marks, paint }: Pick<Screen, 'width' | 'marks' | 'paint'>,
  now: number,
): string => {
  const end = hasEnded(job) || job.state === 'backoff' ? job.since : now
  const elapsed = job.startedAt === null ? '' : duration(end - job.startedAt)
  const attempt = job.attempt > 1 ? `attempt ${job.attempt}  ` : ''
  const why = reasonInWords(
    { state: job.state, reason: job.reason, wake_at: job.wakeAt },
    openNeeds(progress, job),
    job.last,
    now,
  )
  const text = `${fit(job.name, nameWidth)}  ${fit(job.state, 9)}  ${fit(elapsed, 7)}  ${attempt}${why}`
  return `  ${painted(`${mark(job.state, marks)} ${cut(text.trimEnd(), width - 4)}`, job.state, { paint })}`
}

const table = (on: Screen, progress: Progress): View => {
  const update = createLogUpdate(process.stderr)
  let cancel: (() => void) | null = null
  const draw = (): void => update(picture(progress, on, systemClock.now()))
  const tick = (): void => {
    draw()
    cancel = systemClock.setTimeout(tick, FRAME_MS)
  }
  tick()
  return {
    // The clock draws; an event only changes what is drawn.
    event: () => {},
    close: () => {
      cancel?.()
      draw()
      update.done()
    },
  }
}

/** How a failed job ended, for the last words about a plan. */
export const failureLine = (job: JobProgress): string => {
  const how = job.last ? outcomeInWords(job.last) : (job.reason ?? job.state)
  return `${job.name} ${job.state}: ${how}${job.attempt > 1 ? ` after ${job.attempt} attempts` : ''}`
}
