/**
 * Counting: what a batch of steps adds to what was counted before. Pure: it reads what is known through functions and answers what has
 * changed, so that however the steps are cut into batches, and however often counting begins anew between two of them, the numbers are
 * the same. What is remembered of jobs and plans that are under way is forgotten `MEMORY_STEPS` after their own last step.
 */
import type { Batch, ToldStep } from '../guest.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'
import { addTo } from './sketch.ts'
import { emptyTally, OTHERS, one, type Tally, waited } from './tally.ts'

/** At most this many names of plans have numbers of their own, and as many jobs of each; those that come later share `(others)`. */
export const NAMES_MAX = 1_000
/** Steps after which a job or a plan of which nothing was heard is forgotten. */
export const MEMORY_STEPS = 500_000
/** Of the pauses of a plan, the latest. */
export const PAUSES_MAX = 64

/** A job under way, or one that failed and may be tried again by hand. */
export type OpenJob = Readonly<{
  /** Of its own last step. */
  position: number
  state: string
  /** Null when nobody has seen it come into its state. */
  since: number | null
  reason: string | null
  /** Whether an attempt of it has failed. */
  failed: boolean
}>

/** A plan under way. `to` of a pause is null while it lasts. */
export type OpenPlan = Readonly<{
  position: number
  openedAt: number
  /** When it began; null for one that was opened again. */
  startedAt: number | null
  pauses: readonly Readonly<{ reason: string; from: number; to: number | null }>[]
}>

/** Jobs that ended in one minute or hour. */
export type Bucket = Readonly<Record<string, number>>

/** The lengths of the buckets. */
export const BUCKETS = { minute: 60_000, hour: 3_600_000 } as const
/** Of which only so many latest are kept. */
export const BUCKETS_MAX = { minute: 1_440, hour: 24 * 30 } as const
/** A length of buckets. */
export type BucketSize = keyof typeof BUCKETS

/** What is known before a batch. Names are those of plans and jobs, not ids; the empty name is all of them. */
export type Known = Readonly<{
  job: (plan: string, job: string) => OpenJob | undefined
  plan: (plan: string) => OpenPlan | undefined
  /** A copy, which is written into. */
  tally: (plan: string, job: string) => Tally | undefined
  bucket: (size: BucketSize, start: number) => Bucket | undefined
  /** How many names of plans have a tally, and how many names of jobs of a plan's name. */
  plans: () => number
  jobs: (plan: string) => number
}>

/** What has changed: new values, null for what is no longer remembered. */
export type Counted = Readonly<{
  cursor: number
  /** Positions of the batch at which there was no step. */
  missed: number
  /** The last step that was counted, in a form in which two different steps differ; null when there was none. */
  last: Readonly<{ position: number; mark: string }> | null
  jobs: readonly Readonly<{ plan: string; job: string; now: OpenJob | null }>[]
  plans: readonly Readonly<{ plan: string; now: OpenPlan | null }>[]
  tallies: readonly Readonly<{ plan: string; job: string; now: Tally }>[]
  buckets: readonly Readonly<{ size: BucketSize; start: number; now: Bucket }>[]
}>

/** States in which a job waits; the reason of its step says for what. */
const WAITS: ReadonlySet<string> = new Set(['held', 'queued', 'backoff', 'waiting'])
const PAUSES: ReadonlySet<string> = new Set(['paused', 'quarantined'])
/** Outcomes that say something of the work itself. */
const FAILURES: ReadonlySet<string> = new Set(['exit', 'signal', 'timeout', 'stall', 'deadline', 'log-limit'])

/** The name in the id of a plan. */
export const nameOf = (plan: string): string => plan.replace(/-[^-]*$/, '')

/** What two different steps differ in. */
export const markOf = ({ plan, job, of, seq, type, at }: ToldStep): string =>
  JSON.stringify([of, plan, job, seq, type, at])

/** Counts a batch. The batch must begin where what is known ends. */
export const count = (known: Known, batch: Batch): Counted => {
  const jobs = new Map<string, Readonly<{ plan: string; job: string; now: OpenJob | null }>>()
  const plans = new Map<string, OpenPlan | null>()
  const tallies = new Map<string, Readonly<{ plan: string; job: string; now: Tally }>>()
  const buckets = new Map<
    string,
    Readonly<{ size: BucketSize; start: number; now: Record<string, number> }>
  >()
  /** Tallies by the name they were asked for, and how many names there are of a plan, or of plans. */
  const named = new Map<string, Tally>()
  const sizes = new Map<string, number>()

  // What is known.

  const remembered = <T extends Readonly<{ position: number }>>(row: T | null | undefined, at: number) =>
    row && at - row.position <= MEMORY_STEPS ? row : undefined
  const jobAt = (step: ToldStep, job: string): OpenJob | undefined => {
    const draft = jobs.get(keyOf(step.plan, job))
    return remembered(draft ? draft.now : known.job(step.plan, job), step.position)
  }
  const planAt = ({ plan, position }: ToldStep): OpenPlan | undefined =>
    remembered(plans.has(plan) ? plans.get(plan) : known.plan(plan), position)
  const putJob = ({ plan }: ToldStep, job: string, now: OpenJob | null): void => {
    jobs.set(keyOf(plan, job), { plan, job, now })
  }

  const sizeOf = (plan: string): number => {
    const size = sizes.get(plan) ?? (plan === '' ? known.plans() : known.jobs(plan))
    sizes.set(plan, size)
    return size
  }
  /** The tally of a name; that of the `others` where there are too many names of the plan, or of plans. */
  const tallyOf = (plan: string, job: string, others?: () => Tally): Tally => {
    const key = keyOf(plan, job)
    const found = named.get(key)
    if (found) return found
    const before = known.tally(plan, job)
    const among = job === '' ? '' : plan
    const isNew = others !== undefined && before === undefined
    if (isNew && sizeOf(among) >= NAMES_MAX) {
      const now = others()
      named.set(key, now)
      return now
    }
    if (isNew) sizes.set(among, sizeOf(among) + 1)
    const now = before ?? emptyTally()
    tallies.set(key, { plan, job, now })
    named.set(key, now)
    return now
  }
  /** All, those of the plan's name, and those of the job's. A plan among the others has no jobs of its own. */
  const talliesOf = (step: ToldStep, job: string | null): readonly Tally[] => {
    const name = nameOf(step.plan)
    const all = tallyOf('', '')
    const own = tallyOf(name, '', () => tallyOf(OTHERS, ''))
    if (job === null) return [all, own]
    if (!tallies.has(keyOf(name, ''))) return [all, own, tallyOf(OTHERS, OTHERS)]
    return [all, own, tallyOf(name, job, () => tallyOf(name, OTHERS))]
  }
  const bucketAt = (size: BucketSize, at: number): Record<string, number> => {
    const start = Math.floor(at / BUCKETS[size]) * BUCKETS[size]
    const key = `${size} ${start}`
    const drafted = buckets.get(key) ?? { size, start, now: { ...known.bucket(size, start) } }
    buckets.set(key, drafted)
    return drafted.now
  }

  // What a step says.

  const jobEnded = (step: ToldStep, job: string, state: string, reason: string | null): void => {
    for (const tally of talliesOf(step, job)) {
      one(tally.ended, state)
      if (reason === 'fault') tally.faults += 1
    }
    one(bucketAt('minute', step.at), state)
    one(bucketAt('hour', step.at), state)
  }

  const leave = (step: ToldStep, job: string, { state, since, reason }: OpenJob): void => {
    if (!WAITS.has(state) || since === null) return
    const ms = Math.max(0, step.at - since)
    const tally = talliesOf(step, job)
    if (state !== 'queued') {
      for (const each of tally) waited(each, reason ?? state, ms)
      return
    }
    let left = ms
    for (const pause of planAt(step)?.pauses ?? []) {
      const paused = Math.min(step.at, pause.to ?? step.at) - Math.max(since, pause.from)
      if (paused <= 0) continue
      for (const each of tally) waited(each, pause.reason, paused)
      left -= paused
    }
    const queued = Math.max(0, left)
    for (const each of tally) {
      waited(each, reason ?? 'slot', queued)
      if (step.type === 'slot.granted') addTo(each.queue, queued)
    }
  }

  const attemptEnded = (step: ToldStep, job: string): boolean => {
    const { outcome = 'unknown', ranMs, to } = step
    const again = (to === 'backoff' || to === 'queued') && outcome !== 'never-started'
    for (const tally of talliesOf(step, job)) {
      one(tally.attempts, outcome)
      if (again) tally.retries += 1
      if (ranMs !== undefined && ranMs >= 0) addTo(tally.duration, ranMs)
    }
    return FAILURES.has(outcome)
  }

  const takeJob = (step: ToldStep, job: string): void => {
    const { position, at, type, from, to, reason, since, generation } = step
    const before = jobAt(step, job)
    let failed = before?.failed ?? false
    const enteredAt = type === 'created' ? (since ?? at) : at
    if (type === 'created' && to === 'queued' && generation === 1) {
      const startedAt = planAt(step)?.startedAt
      if (typeof startedAt === 'number')
        leave({ ...step, at: enteredAt }, job, {
          position,
          state: 'held',
          since: startedAt,
          reason: 'needs',
          failed,
        })
    }
    if (from !== null && from !== to && before?.state === from) leave(step, job, before)
    if (type === 'attempt.ended' && attemptEnded(step, job)) failed = true
    if (type === 'reopened' || (type === 'retry.requested' && from === 'waiting' && to === 'queued')) {
      for (const tally of talliesOf(step, job)) tally.reopened += 1
    }
    const isEnd = isJobEnd(to) && (from === null || !isJobEnd(from))
    if (isEnd) jobEnded(step, job, to, reason)
    if (isEnd && to === 'succeeded' && failed) {
      for (const tally of talliesOf(step, job)) tally.flaky += 1
    }
    // One that has failed may be opened again by hand, and succeed.
    const isKept = !isJobEnd(to) || (to === 'failed' && failed)
    const moved = from !== to
    const now = {
      position,
      state: to,
      since: moved ? enteredAt : (before?.since ?? null),
      reason: moved ? reason : (before?.reason ?? reason),
      failed,
    }
    putJob(step, job, isKept ? now : null)
  }

  const pause = (step: ToldStep, of: OpenPlan, reason: string): OpenPlan => ({
    ...of,
    pauses: [...unpause(step, of).pauses, { reason, from: step.at, to: null }].slice(-PAUSES_MAX),
  })
  const unpause = (step: ToldStep, of: OpenPlan): OpenPlan => ({
    ...of,
    pauses: of.pauses.map((each) =>
      each.to === null ? { ...each, to: Math.max(each.from, step.at) } : each,
    ),
  })

  const takePlan = (step: ToldStep): void => {
    const { plan, position, at, from, to, reason: _, ended = [] } = step
    let of = planAt(step)
    if (step.type === 'created') of = { position, openedAt: at, startedAt: at, pauses: [] }
    else if (from !== null && isPlanEnd(from) && !isPlanEnd(to))
      of = { position, openedAt: at, startedAt: null, pauses: [] }
    if (of && from !== to) {
      if (PAUSES.has(to)) of = pause(step, of, to)
      else if (from !== null && PAUSES.has(from)) of = unpause(step, of)
    }
    if (of) plans.set(plan, { ...of, position })
    for (const [job, state, reason] of ended) jobEnded(step, job, state, reason)
    if (!isPlanEnd(to) || (from !== null && isPlanEnd(from))) return
    for (const tally of talliesOf(step, null)) {
      one(tally.plans.ended, to)
      if (of) addTo(tally.plans.duration, Math.max(0, at - of.openedAt))
    }
    plans.set(plan, null)
  }

  const takeNote = (step: ToldStep): void => {
    const { plan, job, type, reason, position } = step
    const of = planAt(step)
    if (type === 'sweep.repaired') for (const tally of talliesOf(step, job)) tally.repairs += 1
    if (type === 'recovered') {
      for (const tally of talliesOf(step, job)) {
        if (job === null) tally.plans.restarts += 1
        else one(tally.recovered, reason ?? 'unknown')
      }
    }
    if (job !== null || !of) return
    if (type === 'quarantined') plans.set(plan, { ...pause(step, of, 'quarantined'), position })
    else if (type === 'restored') plans.set(plan, { ...unpause(step, of), position })
  }

  for (const step of batch.steps) {
    if (step.of === 'plan') takePlan(step)
    else if (step.of === 'note') takeNote(step)
    else if (step.job !== null) takeJob(step, step.job)
  }
  const last = batch.steps.at(-1)
  return {
    cursor: batch.upTo,
    missed: batch.upTo - batch.after - batch.steps.length,
    last: last ? { position: last.position, mark: markOf(last) } : null,
    jobs: [...jobs.values()],
    plans: [...plans].map(([plan, now]) => ({ plan, now })),
    tallies: [...tallies.values()],
    buckets: [...buckets.values()],
  }
}

const keyOf = (plan: string, job: string): string => `${plan}/${job}`
