/**
 * Following a plan to its end, or to where it cannot go on without a person; and what exit code that is.
 */

import { pause, systemClock } from '../clock.ts'
import { isTenutoError } from '../errors.ts'
import { isInForeground, operator } from '../process.ts'
import {
  isStill,
  type JobProgress,
  type Progress,
  progressOf,
  progressStore,
  sight,
  standstill,
  takeRows,
} from '../views/progress.ts'
import type { JobShape } from '../views/shapes.ts'
import { decide } from './ask.ts'
import { plain } from './cells.ts'

import type { Source } from './home.ts'
import type { Screen } from './screen.ts'
import { running } from './unheld.ts'
import { failureLine, lastLines, viewOf } from './views.ts'
import { counted, MEND } from './words.ts'

/** How following ended: the exit code, and the plan's state then. */
export type Followed = Readonly<{ exit: number; state: string }>

/** What bounds following. */
export type FollowOptions = Readonly<{
  /** Ends following with exit 8 after so long; the plan stays as it is. */
  timeoutMs?: number
  /** Aborted when this process lets go of the plan: exit 8, too, unless it has ended or stands still. */
  signal?: AbortSignal
  /** Aborted once the plan is being cancelled: a person that is asked need not answer any more. */
  asking?: AbortSignal
  /** Shows what has happened since the plan was submitted, too. */
  fromStart?: boolean
  /** Whether this process drives the plan: without it nothing new starts. */
  here: boolean
  /** How many attempts of the plan live, where the journal cannot take in their ends; undefined where it can. */
  living?: () => Promise<number | undefined>
  /** How the home is named in the commands that are suggested. */
  homeFlag: string
}>

const EXIT_OF: Readonly<Record<string, number>> = { succeeded: 0, failed: 1, cancelled: 9 }
const LOG_LINES = 5
const TAIL_BYTES = 4096
const FAILURES_SHOWN = 5
const WAITING_SHOWN = 20
/** Attempts are read for the reason of a change when few jobs change at once; a thousand lines are read by nobody. */
const DETAIL_JOBS_MAX = 200

/** Follows a plan, showing it on the screen; asks a person, where there is one, when nothing else can go on. */
export const follow = async (
  source: Source,
  plan: string,
  on: Screen,
  options: FollowOptions,
): Promise<Followed> => {
  for (let again = options; ; again = { ...options, fromStart: false }) {
    const followed = await followOnce(source, plan, on, again)
    if (followed.exit !== 10 || !asks(on)) return followed
    const jobs = await source.catalog.jobs(plan)
    const waiting = jobs.filter(({ state }) => state === 'waiting')
    if (waiting.length === 0 || !(await decide(source, plan, waiting, operator(), options.asking)))
      return followed
    // Who lets go of the plan does so of the question, too.
    if (options.signal?.aborted) return followed
  }
}

/** Whether somebody can be asked now: whoever reads a terminal from the background is stopped there. */
const asks = (on: Screen): boolean => on.asks && isInForeground()

const followOnce = async (
  source: Source,
  plan: string,
  on: Screen,
  options: FollowOptions,
): Promise<Followed> => {
  const shape = await source.catalog.plan(plan)
  const jobs = await source.catalog.jobs(plan)
  const progress = progressOf(shape, options.fromStart ? jobs.map(asSubmitted) : jobs)
  if (options.fromStart) progress.state = 'running'
  const history = options.fromStart ? 0 : await positionOf(source, plan, progress)
  const view = await viewOf(on, progress)
  const store = progressStore(progress)
  const over = new AbortController()
  const timeout =
    options.timeoutMs === undefined
      ? () => {}
      : systemClock.setTimeout(() => over.abort('timeout'), options.timeoutMs)
  const leave = (): void => over.abort('left')
  if (options.signal?.aborted) leave()
  options.signal?.addEventListener('abort', leave)
  // A person who can be asked is asked at once, also where no answer would be one.
  let stuck = await stuckAt(source, progress, !asks(on))
  try {
    if (stuck === undefined && EXIT_OF[progress.state] === undefined) {
      const events = source.events({ plan, after: history, signal: over.signal })
      for await (const event of orSilence(events, () => isStill(progress))) {
        if (event === null) stuck = await stuckAt(source, progress, !asks(on))
        else {
          store.trigger.took({ event })
          const { changes } = store.getSnapshot().context
          for (const { job } of changes) if (job) await addDetail(source, progress, job)
          view.event(event, changes)
        }
        if (stuck !== undefined || EXIT_OF[progress.state] !== undefined) break
      }
    }
  } finally {
    timeout()
    // Who reads the events may wait for the next.
    over.abort('seen')
    view.close()
  }
  const exit =
    EXIT_OF[progress.state] ??
    (stuck === 'person' ? 10 : stuck === 'paused' ? 11 : over.signal.aborted ? 8 : 5)
  // Who lets go has been told how the plan goes on.
  if (exit !== 8 || over.signal.reason === 'timeout') await lastWords(source, progress, exit, on, options)
  return { exit, state: progress.state }
}

/** So long nothing is told before the rows are looked at, and again. */
const SILENCE_MS = { first: 50, most: 2_000 }
/** And so many times as long as that took the last time: a plan of a hundred thousand jobs is not read for want of anything to do. */
const REST_FACTOR = 10

/**
 * What is told, and null whenever nothing has been for a while although it may stand still: the first time soon, then ever more seldom, and
 * at once when this process is continued, as a shell does when it brings it to the foreground, where a person can be asked. To look at the
 * rows after each event instead would cost the size of the plan each time.
 */
async function* orSilence<T>(told: AsyncIterable<T>, mayStandStill: () => boolean): AsyncGenerator<T | null> {
  const events = told[Symbol.asyncIterator]()
  let next = events.next()
  let silenceMs = SILENCE_MS.first
  let restMs = 0
  let heard = new AbortController()
  const continued = (): void => heard.abort()
  process.on('SIGCONT', continued)
  try {
    for (;;) {
      heard = new AbortController()
      const got = mayStandStill()
        ? await Promise.race([next, pause(Math.max(silenceMs, restMs), heard.signal).then(() => null)])
        : await next
      heard.abort()
      if (got === null) {
        silenceMs = Math.min(2 * silenceMs, SILENCE_MS.most)
        const began = systemClock.monotonic()
        yield null
        restMs = REST_FACTOR * (systemClock.monotonic() - began)
        continue
      }
      if (got.done) return
      silenceMs = SILENCE_MS.first
      next = events.next()
      yield got.value
    }
  } finally {
    process.off('SIGCONT', continued)
    // It ends with the signal it was given; what it fails with then is told to nobody.
    next.catch(() => {})
  }
}

/**
 * Whether only somebody who is asked can lead on. One commit is several events: what stands still between two of them, but did not
 * when they were committed, goes on.
 */
const stuckAt = async (
  source: Source,
  progress: Progress,
  patient: boolean,
): Promise<ReturnType<typeof standstill>> => {
  if (!isStill(progress)) return undefined
  const now = progressOf(await source.catalog.plan(progress.id), await source.catalog.jobs(progress.id))
  const stuck = standstill(now, patient)
  // That a job has asked is an event that comes yet: before it, what is shown would not say who waits.
  return stuck === 'person' && standstill(progress, false) === undefined && !now.isAside ? undefined : stuck
}

/** A job before anything happened to it. */
const asSubmitted = (job: JobShape): JobShape => ({
  ...job,
  ...(Object.keys(job.needs).length === 0
    ? { state: 'queued', reason: 'slot' }
    : { state: 'held', reason: 'needs' }),
  attempt: 0,
  wake_at: null,
})

/** Folds what has already happened, so that only what is new is shown; answers the position it ends at. */
const positionOf = async (source: Source, plan: string, progress: Progress): Promise<number> => {
  let position = 0
  for await (const event of source.events({ plan, after: 0, follow: false })) {
    position = event.position
    sight(progress, event)
    if (event.type === 'slot.granted') {
      const job = progress.jobs.get(event.job ?? '')
      if (job) job.startedAt = Date.parse(event.at)
    }
    if (event.to === 'failed' && event.from !== 'failed') {
      const job = progress.jobs.get(event.job ?? '')
      if (job) job.unanswered = event.type === 'timer.fired'
    }
    if (event.type === 'attempt.ended') {
      const job = progress.jobs.get(event.job ?? '')
      if (job?.startedAt) job.tookMs = Date.parse(event.at) - job.startedAt
    }
  }
  // The rows were read before the events: whatever came between is told again, and changes nothing twice.
  takeRows(progress, await source.catalog.plan(plan), await source.catalog.jobs(plan))
  return position
}

/** How the last attempt ended and when the next begins, for a job that waits or has failed. */
const addDetail = async (source: Source, progress: Progress, job: JobProgress): Promise<void> => {
  if ((job.state !== 'backoff' && job.state !== 'failed') || progress.jobs.size > DETAIL_JOBS_MAX) return
  const attempts = await source.catalog.attempts(progress.id, job.name)
  job.last = attempts.findLast(({ outcome }) => outcome !== null)
  job.wakeAt = job.state === 'backoff' ? (await source.catalog.job(progress.id, job.name)).wake_at : null
}

/** What failed, the end of what it said, and what can be done. */
const lastWords = async (
  source: Source,
  progress: Progress,
  exit: number,
  on: Screen,
  { homeFlag, here, living }: FollowOptions,
): Promise<void> => {
  const { id } = progress
  if (on.quiet || on.json) return
  const { marks, paint } = on.table
  if (exit === 1) {
    // What failed the plan comes first; an optional job only explains itself.
    const failed = [...progress.jobs.values()]
      .filter(({ state }) => state === 'failed' || state === 'cancelled')
      .toSorted((a, b) => Number(a.optional) - Number(b.optional))
    for (const job of failed.slice(0, FAILURES_SHOWN)) {
      const attempts = await source.catalog.attempts(id, job.name)
      job.last = attempts.findLast(({ outcome }) => outcome !== null) ?? job.last
      on.talk(`\n${paint.red(marks.failed)} ${failureLine(job)}`)
      const error = attempts.at(-1)?.error
      if (error) on.talk(`    ${plain(error)}`)
      const { lines, isShown } = await tail(source, id, job)
      for (const line of lines) on.talk(`    ${line}`)
      if (isShown && lines.length > 0)
        on.talk(paint.dim(`  see all of it: tenuto logs ${id}/${plain(job.name)}${homeFlag}`))
    }
    const more = failed.length - FAILURES_SHOWN
    if (more > 0) on.talk(`\n${marks.cut} and ${counted(more, 'more failure')}: tenuto show ${id}${homeFlag}`)
    on.talk(`\ntry again what did not succeed: tenuto retry ${id} --failed${homeFlag}`)
  }
  if (exit === 8) {
    const { counts } = progress
    const alive = (await living?.()) ?? (counts.get('running') ?? 0) + (counts.get('stopping') ?? 0)
    const then = here
      ? `${running(alive)}, and nothing new of ${id} starts before: tenuto resume ${id}${homeFlag}`
      : `${id} goes on.  follow: tenuto resume ${id}${homeFlag}`
    on.talk(`time is up; ${then}  cancel: tenuto cancel ${id}${homeFlag}`)
  }
  const then = here ? `, then tenuto resume ${id}${homeFlag}` : ''
  if (exit === 10) {
    const waiting = [...progress.jobs.values()].filter(({ state }) => state === 'waiting')
    for (const job of waiting.slice(0, WAITING_SHOWN)) {
      const isGate = job.reason === 'approval'
      const why = isGate
        ? plain((await source.catalog.job(id, job.name)).prompt ?? '')
        : 'an attempt may have had effects and its end was not seen'
      on.talk(`${plain(job.name)} waits for a person: ${why}`)
      const [orders, or] = isGate
        ? ['answer: tenuto approve', 'reject']
        : ['decide: tenuto retry', 'skip or cancel']
      on.talk(`  ${orders} ${id}/${plain(job.name)}${homeFlag}, or the same with ${or}${then}`)
    }
    const more = waiting.length - WAITING_SHOWN
    if (more > 0) on.talk(`${marks.cut} and ${more} more wait for a person: tenuto show ${id}${homeFlag}`)
    if (progress.state === 'quarantined')
      on.talk(
        progress.isAside
          ? `${id} is quarantined: ${MEND}.  why: tenuto show ${id}${homeFlag}  go on after that: tenuto continue ${id}${homeFlag}${then}`
          : `${id} is quarantined.  go on: tenuto continue ${id}${homeFlag}${then}`,
      )
  }
  if (exit === 11 && progress.state !== 'paused')
    on.talk(`${id} waits: nothing new starts in this home.  go on: tenuto daemon resume${homeFlag}`)
  else if (exit === 11) on.talk(`${id} is paused.  go on: tenuto continue ${id}${homeFlag}${then}`)
}

/** The end of what a job wrote, as lines that cannot steer the terminal; its log itself keeps every byte. */
const tail = async (
  source: Source,
  plan: string,
  job: JobProgress,
): Promise<Readonly<{ lines: readonly string[]; isShown: boolean }>> => {
  if (job.attempt === 0) return { lines: [], isShown: false }
  try {
    const { size } = await source.catalog.log(plan, job.name, job.attempt, 0, 1)
    const from = Math.max(0, size - TAIL_BYTES)
    const { bytes } = await source.catalog.log(plan, job.name, job.attempt, from, TAIL_BYTES)
    const lines = lastLines(Buffer.from(bytes).toString('utf8'), LOG_LINES, from > 0)
    return { lines, isShown: true }
  } catch (error) {
    // How the plan ended is told all the same.
    if (isTenutoError(error, 'SECRETS_GONE') || isTenutoError(error, 'LOG_WITHHELD'))
      return { lines: [error.message], isShown: false }
    throw error
  }
}
