/**
 * States, reasons and times in words, the same in every command.
 */
import type { AttemptShape, JobShape, PlanShape, StorageShape } from '../views/shapes.ts'
import { plain } from './cells.ts'
import type { Marks, Page } from './screen.ts'

/**
 * A duration as a person reads it: `8ms`, `0.4s`, `12s`, `4m 11s`, `2h 05m`, `3d 07h`. Never more than has passed: a minute is
 * not shown before it is over.
 */
export const duration = (ms: number): string => {
  const whole = Math.max(0, Math.floor(ms))
  if (whole === 0) return '0s'
  if (whole < 100) return `${whole}ms`
  if (whole < 10_000) return `${Math.floor(whole / 1000)}.${Math.floor(whole / 100) % 10}s`
  const seconds = Math.floor(whole / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${twoDigits(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h ${twoDigits(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d ${twoDigits(hours % 24)}h`
}
const twoDigits = (value: number): string => String(value).padStart(2, '0')

/** A number of things: `1 attempt`, `2 attempts`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`

/** What leads on where a plan cannot be loaded: before that, `continue` is refused. */
export const MEND = 'it cannot be loaded; restore a backup, or use the tenuto that wrote it'

/** What it means for plans that commits can be made no more, or again; of another process, who that is. */
export const storageInWords = ({ error }: Pick<StorageShape, 'error'>, who?: string): string =>
  error === null
    ? 'the journal can be written again; all goes on'
    : `${who === undefined ? '' : `${who} is `}waiting: ${error.message}. What runs goes on, nothing new starts; with room again all goes on by itself`

/** The mark of a state. */
export const mark = (state: string, marks: Marks): string => {
  switch (state) {
    case 'succeeded':
      return marks.succeeded
    case 'failed':
    case 'cancelled':
      return marks.failed
    case 'skipped':
      return marks.skipped
    case 'running':
    case 'stopping':
    case 'cancelling':
      return marks.running
    case 'backoff':
      return marks.retry
    default:
      return marks.waiting
  }
}

/** A text in the colour of a state. */
export const painted = (text: string, state: string, { paint }: Pick<Page, 'paint'>): string => {
  switch (state) {
    case 'succeeded':
      return paint.green(text)
    case 'failed':
      return paint.red(text)
    case 'cancelled':
    case 'stopping':
    case 'cancelling':
    case 'backoff':
    case 'waiting':
    case 'paused':
    case 'quarantined':
      return paint.yellow(text)
    case 'running':
      return paint.cyan(text)
    default:
      return paint.dim(text)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  slot: 'waits for a slot',
  draining: 'the home is draining',
  quarantined: 'its plan is quarantined',
  lost: 'its end was not seen',
  approval: 'waits for an answer; approve or reject it',
  'approval-denied': 'was not approved',
  'never-started': 'could not be started',
  'stop-cancel': 'is being cancelled',
  'stop-timeout': 'its time is up; it is being stopped',
  'stop-stall': 'fell silent; it is being stopped',
  'stop-deadline': 'its deadline has passed; it is being stopped',
  'stop-log-limit': 'wrote more than its log may hold; it is being stopped',
  exit: 'non-zero exit',
  signal: 'ended by a signal',
  timeout: 'its time was up',
  stall: 'fell silent',
  deadline: 'its deadline passed',
  'spawn-error': 'could not be started',
  'log-limit': 'wrote more than its log may hold',
  needs: 'waits for its needs',
  'need-failed': 'a job it needs did not succeed',
  'on-failure-stop': 'another job failed',
  operator: 'by order',
  fault: 'its actor failed',
  cancelled: 'cancelled',
}

/** What is known around a job that says more about why it is where it is. */
export type Around = Readonly<{
  /** The state of a job that it needs. */
  stateOf?: (name: string) => string | undefined
  /** How its latest attempt ended. */
  last?: Pick<AttemptShape, 'outcome' | 'code' | 'signal'> | undefined
  /** Whether the time of its question was up without an answer. */
  unanswered?: boolean
  /** The state of its plan. */
  plan?: string | undefined
  /** Epoch milliseconds. */
  now?: number
}>

const ENDS = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])

/** Why a job is where it is, in words; empty where nothing needs saying. */
export const reasonInWords = (
  job: Pick<JobShape, 'state' | 'reason' | 'wake_at' | 'needs'>,
  { stateOf = () => undefined, last, unanswered = false, plan, now }: Around = {},
): string => {
  const { state, reason } = job
  if (reason === null) return ''
  // Rows are read one after the other: by now the next attempt may run, and it has not ended.
  const ended = last && last.outcome !== null ? outcomeInWords(last) : ''
  if (reason === 'needs') {
    const open = Object.keys(job.needs).filter((name) => !ENDS.has(stateOf(name) ?? 'succeeded'))
    if (open.length > 0) return `needs ${listed(open)}`
  }
  if (reason === 'need-failed') {
    const unmet = Object.entries(job.needs).find(([name, asked]) => isUnmet(asked, stateOf(name)))
    if (unmet) return `${plain(unmet[0])} ${stateOf(unmet[0])}`
  }
  if (reason === 'backoff') {
    const left = job.wake_at === null || now === undefined ? undefined : Date.parse(job.wake_at) - now
    const when = left === undefined ? '' : left <= 0 ? ' now' : ` in ${duration(left)}`
    return `retries${when}${ended ? ` (${ended})` : ''}`
  }
  if (state === 'failed' && (reason === 'exit' || reason === 'signal') && ended) return ended
  if (reason === 'lost' && state === 'waiting') return 'its end was not seen; retry, skip or cancel it'
  if (reason === 'approval-denied' && unanswered) return 'nobody answered in time'
  // Somebody has paused the plan, or all that the home has.
  if (reason === 'paused')
    return `${plan === undefined ? 'its plan or the home' : plan === 'paused' ? 'its plan' : 'the home'} is paused`
  return REASONS[reason] ?? plain(reason)
}

const isUnmet = (asked: string, state: string | undefined): boolean =>
  state === 'failed' || state === 'cancelled'
    ? asked !== 'any'
    : state === 'skipped' && asked !== 'any' && asked !== 'skipped-ok'

/** Why a plan is where it is, in words; empty where its state says it. */
export const planReasonInWords = ({ state, reason }: Pick<PlanShape, 'state' | 'reason'>): string => {
  if (reason === null || state === 'paused' || state === 'cancelled' || state === 'cancelling') return ''
  const why = REASONS[reason] ?? plain(reason)
  if (state === 'failed' && reason === 'operator') return 'a job was cancelled by order'
  return state === 'failed' ? `a job failed: ${why}` : why
}

const OUTCOMES: Readonly<Record<string, string>> = {
  timeout: 'its time was up',
  stall: 'fell silent',
  deadline: 'its deadline passed',
  lost: 'its end was not seen',
  'spawn-error': 'could not be started',
  'never-started': 'could not be started',
  'log-limit': 'wrote more than its log may hold',
}

/** How an attempt ended, in words. */
export const outcomeInWords = ({
  outcome,
  code,
  signal,
}: Pick<AttemptShape, 'outcome' | 'code' | 'signal'>): string => {
  if (outcome === 'exit') return `exit ${code ?? '?'}`
  if (outcome === 'signal') return `signal ${signal ?? '?'}`
  return outcome === null ? 'running' : (OUTCOMES[outcome] ?? plain(outcome))
}

const listed = (names: readonly string[]): string =>
  plain(names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', '))
