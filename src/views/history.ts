/**
 * What has happened, counted: a fold of the steps of a journal and nothing else, so that counting it again, or counting it in another
 * process, gives the same numbers.
 */
import type { StepRow } from '../journal/journal.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'

/** How many there are of each kind. */
export type Tally = Readonly<Record<string, number>>

/** How long things took: how many took at most each bound, in seconds; `count` is all of them. */
export type Spread = {
  readonly bounds: readonly number[]
  readonly upTo: number[]
  count: number
  sum: number
}

/** The numbers as of a position. */
export type History = {
  position: number
  /** Ended attempts by outcome, ended jobs and plans by state; an end after a retry by hand counts again. */
  readonly attempts: Record<string, number>
  readonly jobs: Record<string, number>
  readonly plans: Record<string, number>
  /** Of attempts whose beginning and end are on record, and of plans from their first step, or from being opened again. */
  readonly attemptSeconds: Spread
  readonly planSeconds: Spread
  /** Attempts after which the policy of the job tried again. */
  retries: number
  /** How often a plan was taken up again after an interruption. */
  takenUp: number
  /** What became of attempts that were in flight then. */
  readonly recovered: Record<string, number>
  /** What the sweep repaired, by kind. */
  readonly repairs: Record<string, number>
  /** Messages that were given up and delivered again, or let go. */
  readonly letters: Record<string, number>
  /** When the plans under way began. */
  readonly open: Map<string, number>
}

const SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400]

/** Nothing yet. */
export const emptySpread = (bounds: readonly number[] = SECONDS): Spread => ({
  bounds,
  upTo: bounds.map(() => 0),
  count: 0,
  sum: 0,
})

/** Adds what took so long. */
export const addSeconds = (spread: Spread, seconds: number): void => {
  spread.count += 1
  spread.sum += seconds
  for (let at = spread.bounds.length - 1; at >= 0 && seconds <= (spread.bounds[at] as number); at -= 1)
    spread.upTo[at] = (spread.upTo[at] as number) + 1
}

/** Before the first step. */
export const emptyHistory = (): History => ({
  position: 0,
  attempts: {},
  jobs: {},
  plans: {},
  attemptSeconds: emptySpread(),
  planSeconds: emptySpread(),
  retries: 0,
  takenUp: 0,
  recovered: {},
  repairs: {},
  letters: {},
  open: new Map(),
})

const count = (tally: Record<string, number>, kind: string): void => {
  tally[kind] = (tally[kind] ?? 0) + 1
}

/** Counts the steps that follow, in order. */
export const countSteps = (history: History, steps: readonly StepRow[]): void => {
  for (const step of steps) {
    history.position = step.position
    if (step.address.startsWith('job:')) countJob(history, step)
    else if (step.address.startsWith('plan:')) countPlan(history, step)
    else countNote(history, step)
  }
}

type Ended = Readonly<{ outcome?: unknown; startedAt?: unknown; endedAt?: unknown }>

const countJob = (history: History, { type, from, to, event }: StepRow): void => {
  if (isJobEnd(to) && (from === null || !isJobEnd(from))) count(history.jobs, to)
  if (type !== 'attempt.ended') return
  const { outcome, startedAt, endedAt } = JSON.parse(event) as Ended
  const how = typeof outcome === 'string' ? outcome : 'unknown'
  count(history.attempts, how)
  if ((to === 'backoff' || to === 'queued') && how !== 'never-started') history.retries += 1
  if (typeof startedAt === 'number' && typeof endedAt === 'number' && endedAt >= startedAt)
    addSeconds(history.attemptSeconds, (endedAt - startedAt) / 1_000)
}

const countPlan = (history: History, { address, from, to, at, event }: StepRow): void => {
  const wasOver = from !== null && isPlanEnd(from)
  if (from === null || (wasOver && !isPlanEnd(to))) history.open.set(address, at)
  // Jobs that never began are ended by their plan.
  if (event.includes('"ended":[')) {
    const { ended = [] } = JSON.parse(event) as { ended?: readonly Readonly<{ state: string }>[] }
    for (const { state } of ended) count(history.jobs, state)
  }
  if (!isPlanEnd(to) || wasOver) return
  count(history.plans, to)
  const since = history.open.get(address)
  if (since !== undefined) addSeconds(history.planSeconds, Math.max(0, at - since) / 1_000)
  history.open.delete(address)
}

const countNote = (history: History, { address, type, reason }: StepRow): void => {
  const ofJob = address.includes('/')
  if (type === 'recovered' && ofJob) count(history.recovered, reason ?? 'unknown')
  else if (type === 'recovered') history.takenUp += 1
  else if (type === 'sweep.repaired') count(history.repairs, reason ?? 'unknown')
  else if (type === 'letter.redelivered' || type === 'letter.discarded')
    count(history.letters, type.slice('letter.'.length))
}
