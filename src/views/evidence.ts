/**
 * Evidence: what explaining is given to go by, and the facts that it says.
 */
import type { OnLost, RetryPolicy } from '../definition.ts'
import type { Of } from '../json-schema.ts'
import { isJobEnd } from '../states.ts'
import type { fact as factSchema } from './schemas.ts'
import type { AttemptShape, EventShape, JobShape, PlanShape, StorageShape } from './shapes.ts'

/** One fact of a chain: what it is, about what, since when, what changes it, and the command that does. */
export type FactShape = Of<typeof factSchema>

/** What the holder of a home says that plans and jobs hang on. */
export type Holding = Readonly<{
  /** `running`: a process takes plans on; `silent`: one holds the home and does not answer; `none`: nobody holds it. */
  holder: 'running' | 'silent' | 'none'
  /** Its process id; null when there is none. */
  pid: number | null
  mode: 'running' | 'paused' | 'draining'
  modeReason: string | null
  modeSince: string | null
  /** Slots across plans; null where there is no such limit. */
  slots: number | null
  /** Plans that hold some of them, with how many each holds. */
  held: readonly Readonly<{ plan: string; slots: number }>[]
  storage: StorageShape | null
  /** Since when the runner, which tells how attempts end, has not answered; null while it does, and where nobody asks it. */
  runnerSilentSince: string | null
}>

/** A home that nobody holds. */
export const NOT_HELD: Holding = {
  holder: 'none',
  pid: null,
  mode: 'running',
  modeReason: null,
  modeSince: null,
  slots: null,
  held: [],
  storage: null,
  runnerSilentSince: null,
}

/** What is on record of a plan, as far as explaining needs it. */
export type Evidence = Readonly<{
  /** Epoch ms. */
  now: number
  plan: PlanShape
  maxParallel: number
  jobs: ReadonlyMap<string, JobShape>
  /** When a job is tried again; undefined where it never is. */
  retry: (job: string) => RetryPolicy | undefined
  /** What follows an attempt of a job that is lost; undefined where its plan cannot be loaded. */
  onLost: (job: string) => OnLost | undefined
  attempts: (job: string) => readonly AttemptShape[]
  /** When a start found that an attempt was lost; undefined where none did. */
  foundLost: (job: string, attempt: number) => string | undefined
  /** What was ordered of the plan, or of a job of it, and where it changed its state; the newest first. */
  orders: (job: string | null) => readonly EventShape[]
  /** The secrets that a job gets and of which the home has no value. */
  lacking: (job: string) => readonly string[]
  /** Why its actor, or it, was set aside; the words of the runtime. */
  setAside: (job: string | null) => string | undefined
  /** The same of a job that could not even be ended. */
  leftAlone: (job: string) => string | undefined
  holding: Holding
  /** Is told how many jobs of a kind a chain leaves out, perhaps several times. */
  leaveOut: (kind: string, jobs: number) => void
}>

/** So many names stand in one sentence. */
const SHOWN = 5

/** Of jobs of one kind so many are told of, each by what it waits for or how it ended. */
export const JOBS_TOLD = 200

/** The first of these jobs, as many as are told of. */
export const firstOf = (
  { leaveOut }: Pick<Evidence, 'leaveOut'>,
  kind: string,
  jobs: readonly JobShape[],
): readonly JobShape[] => {
  leaveOut(kind, Math.max(0, jobs.length - JOBS_TOLD))
  return jobs.slice(0, JOBS_TOLD)
}

/** A fact, of which nothing more is known than what is given. */
export const fact = (what: string, more: Partial<Omit<FactShape, 'what'>> = {}): FactShape => ({
  ref: null,
  since: null,
  until: null,
  change: null,
  command: null,
  ...more,
  what,
})

/** A moment as it stands in a sentence. */
export const moment = (at: string): string => `${at.slice(0, 19)}Z`

/** The first of these names, and how many more there are. */
export const listed = (names: readonly string[]): string => {
  const shown = names.slice(0, SHOWN)
  const more = names.length - shown.length
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

const MET: Readonly<Record<string, (state: string) => boolean>> = {
  success: (state) => state === 'succeeded',
  any: isJobEnd,
  'skipped-ok': (state) => state === 'succeeded' || state === 'skipped',
}
/** Whether a need is met by a job in this state. */
export const isMet = (need: string, state: string): boolean => MET[need]?.(state) ?? false

const ASKED: Readonly<Record<string, string>> = {
  'cancel.requested': 'cancelled',
  'pause.requested': 'paused',
  'skip.requested': 'skipped',
  'reject.requested': 'rejected',
  'approve.requested': 'approved',
  'retry.requested': 'tried again',
}
/** Who ordered something, when and why, in words. */
export const ordered = ({ orders }: Evidence, job: string | null, type: string): FactShape | undefined => {
  const order = orders(job).find((event) => event.type === type)
  if (!order) return undefined
  const who = order.by === undefined ? '' : ` by ${order.by}`
  const why = order.why === undefined ? '' : `: ${order.why}`
  return fact(`it was ${ASKED[type] ?? type}${who}${why}`, { since: order.at })
}

/** Who cancelled a job. What its plan passes on to it does not say who asked the plan. */
export const cancelOf = (of: Evidence, job: string): FactShape | undefined => {
  const own = of.orders(job).find(({ type }) => type === 'cancel.requested')
  const plans = own?.by === undefined ? ordered(of, null, 'cancel.requested') : undefined
  return plans ?? ordered(of, job, 'cancel.requested')
}

/** How a job of the plan is called. */
export const refOf = ({ plan }: Evidence, job: string): string => `${plan.id}/${job}`
