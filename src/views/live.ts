/**
 * What lives in a home: the jobs that run, that will be tried again, and that wait. Such a job has an actor, so that whatever it comes
 * into or leaves is a step of its own: the rows of one moment and the committed steps since then are all that is needed.
 */
import { jobAddress, parseAddress } from '../address.ts'
import type { JobRow, StepRow } from '../journal/journal.ts'

/** A job that lives. `since` in epoch milliseconds. */
export type LiveJob = Readonly<{
  plan: string
  job: string
  attempt: number
  since: number
  state: string
  reason: string | null
}>

/** How a job lives. */
export type LiveKind = 'running' | 'retrying' | 'waiting'

/** Those that live, as of a position; of each kind those that came into it first are first. */
export type Live = { position: number } & Readonly<Record<LiveKind, Map<string, LiveJob>>>

const KIND_OF: Readonly<Record<string, LiveKind>> = {
  running: 'running',
  stopping: 'running',
  backoff: 'retrying',
  waiting: 'waiting',
}
/** The states in which a job lives. */
export const LIVE_STATES: readonly string[] = Object.keys(KIND_OF)
const KINDS: readonly LiveKind[] = ['running', 'retrying', 'waiting']

/** Those that live by their rows, as they were at a position. Rows of other states are left out. */
export const liveOf = (position: number, rows: readonly JobRow[]): Live => {
  const live: Live = { position, running: new Map(), retrying: new Map(), waiting: new Map() }
  for (const { plan, name, state, reason, attempt, since } of rows.toSorted((a, b) => a.since - b.since)) {
    const kind = KIND_OF[state]
    if (kind) live[kind].set(jobAddress(plan, name), { plan, job: name, attempt, since, state, reason })
  }
  return live
}

/** Takes the steps that follow, in order. */
export const takeSteps = (live: Live, steps: readonly StepRow[]): void => {
  for (const { position, address, from, to, reason, attempt, at } of steps) {
    live.position = position
    if (!address.startsWith('job:')) continue
    const kind = KIND_OF[to]
    let before: LiveJob | undefined
    for (const each of KINDS) {
      before ??= live[each].get(address)
      if (each !== kind) live[each].delete(address)
    }
    if (!kind) continue
    const place = parseAddress(address)
    live[kind].set(address, {
      plan: place.plan,
      job: place.kind === 'plan' ? '' : (place.job ?? ''),
      attempt: attempt ?? before?.attempt ?? 0,
      since: from === to && before ? before.since : at,
      state: to,
      reason,
    })
  }
}
