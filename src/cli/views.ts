/**
 * How a followed plan is shown: a live table on a terminal, one line an event elsewhere, JSON lines for programs. Each view hears
 * of the same changes.
 */
import { type Clock, systemClock } from '../clock.ts'
import { type Change, hasEnded, type JobProgress, type Progress } from '../views/progress.ts'
import type { EventShape } from '../views/shapes.ts'
import { columns, cut, fill, lastWritten, plain, shorten, widthOf } from './cells.ts'
import { colored } from './rows.ts'
import type { Page, Screen } from './screen.ts'
import { type Around, duration, mark, outcomeInWords, planReasonInWords, reasonInWords } from './words.ts'

/** Shows a plan while it is followed. */
export type View = Readonly<{
  event: (event: EventShape, changes: readonly Change[]) => void
  /** Leaves the last picture standing and stops drawing. */
  close: () => void
}>

const FRAME_MS = 100
/** Narrower than this, a row has no column for each thing. */
const WIDE = 60
const NAME_MAX = 48
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
export const viewOf = async (on: Screen, progress: Progress, clock: Clock = systemClock): Promise<View> => {
  if (on.json) return { event: (event) => on.answer(JSON.stringify(event)), close: () => {} }
  if (on.quiet) return { event: () => {}, close: () => {} }
  return on.live ? table(on, progress, clock) : lines(on, progress)
}

/**
 * One line for one change, in stable columns, names filled to `nameWidth`; undefined for one nobody wants to read. It is never cut:
 * a file has no edge.
 */
export const lineOf = (progress: Progress, change: Change, nameWidth = 0): string | undefined => {
  const at = `${change.at.slice(0, 19)}Z`
  const { job, state } = change
  if (!job) {
    const why = planReasonInWords(change)
    return `${at} ${plain(progress.id)} ${state}${why ? `  ${why}` : ''}`
  }
  if (!SHOWN_STATES.has(state)) return undefined
  const name = fill(`${plain(progress.id)}/${plain(job.name)}`, nameWidth)
  const attempt = fill(change.attempt > 0 ? `#${change.attempt}` : '', 2)
  const took = change.tookMs === null ? '' : duration(change.tookMs)
  const why = reasonInWords(
    { state, reason: change.reason, wake_at: job.wakeAt, needs: job.needs },
    around(progress, job, Date.parse(change.at)),
  )
  return `${at} ${name} ${attempt} ${fill(state, 9)} ${[took, why].filter(Boolean).join('  ')}`.trimEnd()
}

const around = (progress: Progress, job: JobProgress, now: number): Around => ({
  stateOf: (name) => progress.jobs.get(name)?.state,
  last: job.last,
  unanswered: job.unanswered,
  plan: progress.state,
  now,
})

const lines = (on: Screen, progress: Progress): View => {
  let longest = 0
  for (const name of progress.jobs.keys()) longest = Math.max(longest, widthOf(plain(name)))
  const nameWidth = widthOf(plain(progress.id)) + 1 + Math.min(NAME_MAX, longest)
  return {
    event: (_, changes) => {
      for (const change of changes) {
        const line = lineOf(progress, change, nameWidth)
        if (line !== undefined) on.talk(line)
      }
    },
    close: () => {},
  }
}

/** What a person wants to see first, where not all has room. */
const ORDER = [
  'stopping',
  'running',
  'waiting',
  'backoff',
  'failed',
  'cancelled',
  'queued',
  'held',
  'skipped',
  'succeeded',
]

/** The first `room` jobs in that order. */
const foremost = (jobs: readonly JobProgress[], room: number): readonly JobProgress[] => {
  const byState = Map.groupBy(jobs, ({ state }) => state)
  const shown: JobProgress[] = []
  for (const state of ORDER) shown.push(...(byState.get(state) ?? []).slice(0, room - shown.length))
  return shown
}

/** The picture of a plan, lower than the page and no wider: all its jobs in the order of the plan, else what moves first. */
export const picture = (progress: Progress, page: Omit<Page, 'write'>, now: number): string => {
  const { width, height, marks, paint } = page
  const jobs = [...progress.jobs.values()]
  // One row is the head's, one the cursor's, and one stays free so that nothing scrolls away.
  const room = Math.max(0, height - 3)
  const shown = jobs.length <= room ? jobs : foremost(jobs, Math.max(0, room - 1))
  const rest = jobs.length - shown.length
  const indent = width < WIDE ? '' : '  '
  const rows = columns(
    shown.map((job) => cells(progress, job, page, now)),
    {
      width: width - indent.length,
      sign: marks.cut,
      least: width < WIDE ? [0, 9] : [0, 9, 2, 6],
      paint: (cell, column, at) => colored(cell, column, shown[at]?.state ?? '', page),
    },
  ).map((row) => indent + row)
  if (rest > 0 && height > 2)
    rows.push(paint.dim(cut(`${indent}${marks.cut} and ${rest} more`, width, marks.cut)))
  return [paint.bold(head(progress, page, now)), ...rows].join('\n')
}

const head = (progress: Progress, { width, marks }: Pick<Page, 'width' | 'marks'>, now: number): string => {
  const jobs = [...progress.jobs.values()]
  const ended = jobs.filter(hasEnded)
  const { counts: states } = progress
  const isOver =
    progress.state === 'succeeded' || progress.state === 'failed' || progress.state === 'cancelled'
  const until = isOver
    ? ended.reduce((latest, { since }) => Math.max(latest, since), progress.createdAt)
    : now
  const unseen = Map.groupBy(progress.unseen, (name) => progress.jobs.get(name)?.state)
  const numbers = new Map(
    [...states].map(([state, count]) => [state, count - (unseen.get(state)?.length ?? 0)]),
  ).set('unseen', progress.unseen.size)
  const counts = [
    'failed',
    'running',
    'stopping',
    'unseen',
    'waiting',
    'backoff',
    'queued',
    'skipped',
    'cancelled',
  ].flatMap((state) => (numbers.get(state) ? [`${numbers.get(state)} ${state}`] : []))
  const facts = `  ${progress.state}  ${duration(until - progress.createdAt)}  ${ended.length}/${jobs.length} done`
  const id = shorten(plain(progress.id), Math.max(12, width - widthOf(facts)), marks.cut)
  let text = id + facts
  const dot = ` ${marks.dot} `
  // Whole facts only: half a number is a wrong one.
  const shown = counts.filter((count) => {
    if (widthOf(text + dot + count) > width) return false
    text += dot + count
    return true
  })
  const more = ` ${marks.cut}`
  if (shown.length < counts.length && widthOf(text + more) <= width) text += more
  return cut(text, width, marks.cut)
}

/** A job in cells: the mark and its name, its state, its attempt, how long, why. */
const cells = (
  progress: Progress,
  job: JobProgress,
  { width, marks }: Pick<Page, 'width' | 'marks'>,
  now: number,
): readonly string[] => {
  const name = shorten(plain(job.name), NAME_MAX, marks.cut)
  // Whether it runs is about to be found out.
  const isUnseen = progress.unseen.has(job.name)
  const attempt = job.attempt > 0 ? `#${job.attempt}` : ''
  // A queued job of a paused plan waits for the plan, whatever it said when it began to wait.
  const reason = progress.state === 'paused' && job.state === 'queued' ? 'paused' : job.reason
  const why = isUnseen
    ? 'ran when it was last seen'
    : reasonInWords(
        { state: job.state, reason, wake_at: job.wakeAt, needs: job.needs },
        around(progress, job, now),
      )
  const state = isUnseen ? 'unseen' : job.state
  const time = isUnseen ? '' : elapsed(job, now)
  const first = `${mark(state, marks)} ${name}`
  return width < WIDE
    ? [first, state, [attempt, why, time].filter(Boolean).join(' ')]
    : [first, state, attempt, time, why]
}

/** How long the attempt runs or ran; of a wait, how long it has lasted. */
const elapsed = (job: JobProgress, now: number): string => {
  if (hasEnded(job)) return job.tookMs === null || job.state === 'skipped' ? '' : duration(job.tookMs)
  const since = job.state === 'running' || job.state === 'stopping' ? (job.startedAt ?? job.since) : job.since
  return duration(now - since)
}

let logUpdate: typeof import('log-update') | undefined
/** Loads what the live table needs, once. What is drawn on no terminal does without: it would make stdout lose what a pipe is slow to take. */
export const loadTable = async (): Promise<typeof import('log-update')> => {
  logUpdate ??= await import('log-update')
  return logUpdate
}

const table = async (on: Screen, progress: Progress, clock: Clock): Promise<View> => {
  const close = await drawn(on, () => picture(progress, on.table, clock.now()), clock)
  // The clock draws; an event only changes what is drawn.
  return { event: () => {}, close }
}

/** Draws a picture on stderr again and again, until the answer is called, which leaves the last one standing. */
export const drawn = async (
  on: Pick<Screen, 'table' | 'talkThrough'>,
  pictured: () => string,
  clock: Clock = systemClock,
): Promise<() => void> => {
  const { createLogUpdate } = await loadTable()
  const page = on.table
  // Written through the screen, which bears a terminal that has gone away. The cursor stays: a killed process could not give it back.
  const update = createLogUpdate(
    {
      isTTY: true,
      get columns() {
        return page.width
      },
      get rows() {
        return page.height
      },
      write: page.write,
    } as unknown as NodeJS.WriteStream,
    { showCursor: true },
  )
  let cancel = (): void => {}
  const draw = (): void => update(pictured())
  const tick = (): void => {
    draw()
    cancel = clock.setTimeout(tick, FRAME_MS)
  }
  on.talkThrough((text) => {
    update.clear()
    page.write(`${text}\n`)
    draw()
  })
  tick()
  return () => {
    cancel()
    draw()
    update.done()
    on.talkThrough(null)
  }
}

/** How a failed job ended, for the last words about a plan. */
export const failureLine = (job: JobProgress): string => {
  if (job.state === 'cancelled') return `${plain(job.name)} was cancelled by order${optional(job)}`
  const how = job.last ? outcomeInWords(job.last) : wordsOf(job)
  const tries = job.attempt > 1 ? ` (attempt ${job.attempt})` : ''
  return `${plain(job.name)} ${job.state}: ${how}${tries}${optional(job)}`
}
const wordsOf = ({ state, reason, needs, wakeAt, unanswered }: JobProgress): string =>
  reasonInWords({ state, reason, needs, wake_at: wakeAt }, { unanswered }) || state
const optional = (job: JobProgress): string => (job.optional ? '; it is optional' : '')

/**
 * The last lines of a piece of a log, as a terminal would have shown them in the end: of a line that was written over, what came
 * last. `broken`: the piece begins in the middle of something.
 */
export const lastLines = (text: string, count: number, broken: boolean): readonly string[] => {
  const all = text.split('\n')
  return (broken && all.length > 1 ? all.slice(1) : all)
    .map((line) => plain(lastWritten(line)).trimEnd())
    .filter((line) => line !== '')
    .slice(-count)
}
