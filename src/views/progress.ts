/**
 * What a follower knows of a plan: its jobs by name, kept up by events. Pure; the views draw it.
 */
import { createStore } from '@xstate/store'
import { isJobEnd } from '../states.ts'
import type { AttemptShape, EventShape, JobShape, PlanShape } from './shapes.ts'

/** A job as a follower knows it. */
export type JobProgress = {
  readonly name: string
  readonly optional: boolean
  /** Of each need what is asked of it. */
  readonly needs: Readonly<Record<string, string>>
  state: string
  reason: string | null
  attempt: number
  /** Epoch milliseconds of its last change of state. */
  since: number
  /** When its latest attempt began; null before the first. */
  startedAt: number | null
  /** How long its latest attempt took that has ended. */
  tookMs: number | null
  wakeAt: string | null
  /** Whether the time of its question was up without an answer. */
  unanswered: boolean
  last: Pick<AttemptShape, 'outcome' | 'code' | 'signal'> | undefined
}

/** A plan as a follower knows it. */
export type Progress = {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  state: string
  reason: string | null
  /** Whether it was set aside because it cannot be loaded: then nobody hears how its attempts end. */
  isAside: boolean
  readonly jobs: ReadonlyMap<string, JobProgress>
  /** Jobs that ran when they were last seen, and of which nothing has been heard since their plan was taken up. */
  readonly unseen: Set<string>
  /** How many jobs are in each state that any is in; kept up, for to count them would cost the size of the plan. */
  readonly counts: Map<string, number>
}

/** What is known before the first event. */
export const progressOf = (plan: PlanShape, jobs: readonly JobShape[]): Progress => ({
  id: plan.id,
  name: plan.name,
  createdAt: Date.parse(plan.created_at),
  state: plan.state,
  reason: plan.reason,
  isAside: plan.error !== null,
  counts: countedBy(jobs),
  unseen: new Set(),
  jobs: new Map(
    jobs.map((job) => [
      job.name,
      {
        name: job.name,
        optional: job.optional,
        needs: job.needs,
        state: job.state,
        reason: job.reason,
        attempt: job.attempt,
        since: Date.parse(job.since),
        startedAt: job.state === 'running' ? Date.parse(job.since) : null,
        tookMs: null,
        wakeAt: job.wake_at,
        unanswered: false,
        last: undefined,
      },
    ]),
  ),
})

/** Takes the rows for what is true, whatever was folded before; when attempts began and how long they took stays. */
export const takeRows = (progress: Progress, plan: PlanShape, jobs: readonly JobShape[]): void => {
  progress.state = plan.state
  progress.reason = plan.reason
  progress.isAside = plan.error !== null
  for (const { name, state, reason, attempt, since, wake_at: wakeAt } of jobs) {
    const job = progress.jobs.get(name)
    if (job) Object.assign(job, { state, reason, attempt, since: Date.parse(since), wakeAt })
  }
  progress.counts.clear()
  for (const [state, count] of countedBy([...progress.jobs.values()])) progress.counts.set(state, count)
}

const countedBy = (jobs: readonly Readonly<{ state: string }>[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { state } of jobs) counts.set(state, (counts.get(state) ?? 0) + 1)
  return counts
}

const move = ({ counts }: Progress, job: JobProgress, state: string): void => {
  const left = (counts.get(job.state) ?? 0) - 1
  if (left > 0) counts.set(job.state, left)
  else counts.delete(job.state)
  job.state = state
  counts.set(state, (counts.get(state) ?? 0) + 1)
}

/** One thing that changed: a job, or the plan when `job` is null. */
export type Change = Readonly<{
  at: string
  job: JobProgress | null
  state: string
  reason: string | null
  attempt: number
  /** How long the attempt took that just ended. */
  tookMs: number | null
}>

/** Takes from an event which jobs nothing is known of: a start finds out of each that ran whether it still does. */
export const sight = ({ jobs, unseen }: Progress, { address, job, type }: EventShape): void => {
  const isNote = address.startsWith('note:')
  if (job !== undefined) {
    if (!isNote || type === 'recovered' || type === 'begun') unseen.delete(job)
  } else if (isNote && type === 'recovered') {
    for (const { name, state } of jobs.values())
      if (state === 'running' || state === 'stopping') unseen.add(name)
  }
}

/** Takes one event; answers what changed of what people want to see, in order. */
export const advance = (progress: Progress, event: EventShape): readonly Change[] => {
  const at = Date.parse(event.at)
  sight(progress, event)
  if (event.address.startsWith('note:') && (event.type === 'quarantined' || event.type === 'restored'))
    progress.isAside = event.type === 'quarantined'
  if (event.address.startsWith('note:') && event.type !== 'quarantined') return []
  if (event.job === undefined) {
    const changes = (event.ended ?? []).flatMap(({ job, state, reason }) =>
      endJob(progress, event.at, job, state, reason),
    )
    const moved = progress.state !== event.to
    progress.state = event.to
    progress.reason = event.reason ?? null
    return moved
      ? [
          ...changes,
          { at: event.at, job: null, state: event.to, reason: progress.reason, attempt: 0, tookMs: null },
        ]
      : changes
  }
  const job = progress.jobs.get(event.job)
  if (!job) return []
  const before = job.state
  const tookMs =
    before === 'running' || before === 'stopping'
      ? (event.took_ms ?? (job.startedAt === null ? null : at - job.startedAt))
      : null
  move(progress, job, event.to)
  job.reason = event.reason ?? null
  job.unanswered = event.type === 'timer.fired'
  job.attempt = event.attempt ?? job.attempt
  if (event.type === 'slot.granted') {
    job.startedAt = at
    job.tookMs = null
  }
  if (before === event.to) return []
  if (tookMs !== null && job.state !== 'stopping') job.tookMs = tookMs
  job.since = at
  return [{ at: event.at, job, state: job.state, reason: job.reason, attempt: job.attempt, tookMs }]
}

const endJob = (
  progress: Progress,
  at: string,
  name: string,
  state: string,
  reason: string | null,
): readonly Change[] => {
  const job = progress.jobs.get(name)
  if (!job || job.state === state) return []
  progress.unseen.delete(name)
  move(progress, job, state)
  job.reason = reason
  job.since = Date.parse(at)
  return [{ at, job, state, reason, attempt: job.attempt, tookMs: null }]
}

const ENDS = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])

/** Whether a job has ended. */
export const hasEnded = ({ state }: Pick<JobProgress, 'state'>): boolean => ENDS.has(state)

/** Whether every job that wants to start is kept from it by an order to its home; events do not say that, only rows do. */
const isHeldBack = ({ jobs }: Progress): boolean =>
  [...jobs.values()].every(
    ({ state, reason }) => state !== 'queued' || reason === 'paused' || reason === 'draining',
  )

/** Whether nothing is known to move. The rows may know more: what keeps a queued job, and until when something waits, is in no event. */
export const isStill = ({ isAside, state, counts }: Progress): boolean =>
  isAside ||
  !(counts.has('running') || counts.has('stopping') || (state === 'running' && counts.has('backoff')))

/**
 * Why nothing can move without a person: `person` for a decision, `paused` for a paused plan or a home that starts nothing. Undefined
 * while anything moves: running attempts end first, unless the plan was set aside, and a retry that is due comes by itself. So does the
 * end of a wait for an answer that has one, for whoever is `patient`.
 */
export const standstill = (progress: Progress, patient = true): 'person' | 'paused' | undefined => {
  if (progress.isAside) return 'person'
  const { counts: states } = progress
  if (states.has('running') || states.has('stopping')) return undefined
  if (progress.state === 'quarantined') return 'person'
  if (progress.state === 'paused') return 'paused'
  if (progress.state !== 'running' || states.has('backoff')) return undefined
  if (states.has('queued')) return isHeldBack(progress) ? 'paused' : undefined
  if (!states.has('waiting')) return undefined
  const waiting = [...progress.jobs.values()].filter(({ state }) => state === 'waiting')
  if (patient && waiting.some(({ wakeAt }) => wakeAt !== null)) return undefined
  // What is not waited for by any need is about to be released, or skipped.
  const isOn = ({ state, needs }: JobProgress): boolean =>
    state === 'held' && Object.keys(needs).every((name) => isJobEnd(progress.jobs.get(name)?.state ?? ''))
  return [...progress.jobs.values()].some(isOn) ? undefined : 'person'
}

/** A plan as a store: it takes committed events, and says what the last of them changed. */
export const progressStore = (progress: Progress) =>
  createStore({
    context: { progress, changes: [] as readonly Change[] },
    on: {
      // The jobs are changed in place: a copy for each event would cost the size of the plan.
      took: (context, { event }: { event: EventShape }) => ({
        ...context,
        changes: advance(progress, event),
      }),
    },
  })
