/**
 * What a plan was busy with between its opening and its end, as spans: a fold of its steps and nothing else, so that it is the same in
 * whatever process it is made, after however many restarts.
 */
import { parseAddress } from '../address.ts'
import type { Outcome } from '../attempt.ts'
import type { StepRow } from '../journal/journal.ts'
import { isPlanEnd } from '../states.ts'

/** Epoch ms from a beginning to an end; what it tells about itself, by the names of its attributes. */
export type SpanShape = Readonly<{
  name: string
  startedAt: number
  endedAt: number
  attributes: Readonly<Record<string, string | number>>
  /** Why it is an error; null when it is none. */
  error: string | null
}>

/** One opening of a plan, with its attempts in the order of their ends. */
export type Trace = Readonly<{ plan: SpanShape; attempts: readonly SpanShape[] }>

/** Takes the steps of one plan in order; answers the trace with the step that ends it. */
export type Tracing = (step: StepRow) => Trace | undefined

/** So many attempts are in one trace; `tenuto.attempts_left_out` says how many more there were. */
export const SPANS_MAX = 10_000

type Ended = Readonly<{
  attempt: number
  outcome: Outcome
  code: number | null
  signal: string | null
  startedAt: number | null
  endedAt: number | null
  error?: string
}>

/** Begins before the first step of a plan of this name. */
export const tracingOf = (name: string): Tracing => {
  let openedAt = 0
  let attempts: SpanShape[] = []
  let leftOut = 0
  return (step) => {
    const place = parseAddress(step.address)
    if (place.kind === 'job' && step.type === 'attempt.ended') {
      if (attempts.length < SPANS_MAX) attempts.push(attemptSpan(step, place))
      else leftOut += 1
    }
    if (place.kind !== 'plan') return undefined
    const wasOver = step.from !== null && isPlanEnd(step.from)
    const isOver = isPlanEnd(step.to)
    if (step.from === null || (wasOver && !isOver)) {
      openedAt = step.at
      attempts = []
      leftOut = 0
    }
    if (!isOver || wasOver) return undefined
    const plan: SpanShape = {
      name: `plan ${name}`,
      startedAt: openedAt,
      endedAt: Math.max(openedAt, step.at),
      attributes: {
        'tenuto.plan.id': place.plan,
        'tenuto.plan.name': name,
        'tenuto.state': step.to,
        'tenuto.position': step.position,
        ...(leftOut > 0 ? { 'tenuto.attempts_left_out': leftOut } : {}),
      },
      error: isWell(step.to) ? null : (step.reason ?? step.to),
    }
    return { plan, attempts }
  }
}

/** What a person has ended is no error. */
const isWell = (how: string): boolean => how === 'succeeded' || how === 'cancelled'

const attemptSpan = (step: StepRow, { plan, job }: Readonly<{ plan: string; job: string }>): SpanShape => {
  const { attempt, outcome, code, signal, startedAt, endedAt, error } = JSON.parse(step.event) as Ended
  // One that never began, or whose beginning or end nobody saw, is a moment.
  const began = startedAt ?? endedAt ?? step.at
  return {
    name: `job ${job}`,
    startedAt: began,
    endedAt: Math.max(began, endedAt ?? step.at),
    attributes: {
      'tenuto.plan.id': plan,
      'tenuto.job': job,
      'tenuto.attempt': attempt,
      'tenuto.outcome': outcome,
      'tenuto.state': step.to,
      'tenuto.position': step.position,
      ...(code === null ? {} : { 'process.exit.code': code }),
      ...(signal === null ? {} : { 'tenuto.signal': signal }),
    },
    error: isWell(outcome) ? null : (error ?? (code === null ? outcome : `${outcome} ${code}`)),
  }
}
