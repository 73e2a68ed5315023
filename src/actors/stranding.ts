/**
 * What messages have missed, in one plan. A pure look at its board, its actors and what is under way for them: each finding says
 * what nobody leads on from, since when, and the one message that does. A message that is on its way is reason enough to find nothing.
 */
import { type Address, jobAddress, planAddress } from '../address.ts'
import type { BoardRow, Graph } from '../machines/board.ts'
import { meets } from '../machines/board.ts'
import type { Asks } from '../machines/effect.ts'
import type { PlanContext } from '../machines/plan.ts'
import { isJobEnd, isPlanEnd, type JobEnd } from '../states.ts'
import type { Attempts } from './attempts.ts'

/** What was missed. */
export type StrandingKind =
  | 'never-begun'
  | 'end-untold'
  | 'reopening-untold'
  | 'release-untold'
  | 'cancel-untold'
  | 'walk-stalled'
  | 'board-miscounted'
  | 'never-settled'
  | 'attempt-unasked'
  | 'attempt-unwatched'
  | 'end-unread'
  | 'timer-lost'
  | 'slot-lost'
  | 'mail-untaken'
  | 'memory-differs'
  | 'not-taken-up'
  | 'stray-process'

/** What leads on: a message that the actor takes, or a hint that it is to ask again for everything. */
export type Repair = Readonly<{
  to: Address
  event: Readonly<{ type: string }> & Readonly<Record<string, unknown>>
}>

/** One thing that nobody leads on from. */
export type Stranding = Readonly<{
  kind: StrandingKind
  job: string | null
  /** Epoch milliseconds. */
  since: number
  repair: Repair
}>

/** A plan and what is under way for it. */
export type Look = Readonly<{
  id: string
  graph: Graph
  rows: readonly BoardRow[]
  state: string
  context: PlanContext
  /** When the plan last changed. */
  since: number
  /** Whether a message to this address waits or is on its way. */
  hasMail: (address: Address) => boolean
  /** The generation that the actor of a job has taken up; that of its row, when it has none. */
  generation: (row: BoardRow) => number
  /** What the actor of a job asks for; undefined when it has none. */
  asks: (row: BoardRow) => Asks | undefined
  attempt: (row: BoardRow) => ReturnType<Attempts['look']>
  /** The moment for which a timer of the job is armed; undefined when it is not. */
  timer: (row: BoardRow, name: string) => number | undefined
  /** What the slots know of the job. */
  slot: (row: BoardRow) => 'queued' | 'held' | undefined
}>

/** An end that is on record reaches its job within moments; beyond these it was missed. */
const TOLD_WITHIN_MS = 2_000

/** Everything in a plan that nobody leads on from. Finds nothing in a plan that is quarantined or has ended. */
export const strandings = (look: Look): readonly Stranding[] => {
  if (look.state === 'quarantined' || isPlanEnd(look.state)) return []
  const found = look.rows.flatMap((row) => ofJob(look, row))
  const own = planAddress(look.id)
  if (look.hasMail(own)) return found
  const untold = found.some(({ kind }) => kind === 'end-untold' || kind === 'reopening-untold')
  const board = untold ? undefined : ofBoard(look)
  return board
    ? [
        ...found,
        { kind: board, job: null, since: look.since, repair: { to: own, event: { type: 'recheck' } } },
      ]
    : found
}

const ofJob = (look: Look, row: BoardRow): readonly Stranding[] => {
  const address = jobAddress(look.id, row.name)
  if (row.place === 'settled' || look.hasMail(address)) return []
  const stranded = (kind: StrandingKind, to: Address, event: Repair['event']): Stranding => ({
    kind,
    job: row.name,
    since: row.since,
    repair: { to, event },
  })
  if (isJobEnd(row.state)) {
    const { name: job, generation, attempt, state, reason, place } = row
    // What it says is the end of the generation before: it was opened again, and has not heard of it.
    if (look.generation(row) < generation) {
      const reopened = { type: 'reopened', generation, place, paused: look.state === 'paused' }
      return [stranded('reopening-untold', address, reopened)]
    }
    const told = { type: 'job.settled', job, generation, attempt, state, reason }
    const own = planAddress(look.id)
    // The plan may have work to do before it comes to what waits for it.
    return look.hasMail(own) ? [] : [stranded('end-untold', own, told)]
  }
  if (row.place === 'released' && row.state === 'held')
    return [stranded('release-untold', address, { type: 'released' })]
  // A plan that has no work left has told all its jobs.
  const cancels = look.state === 'cancelling' && look.context.work.length === 0
  if (cancels && row.state !== 'stopping' && !look.hasMail(planAddress(look.id)))
    return [stranded('cancel-untold', address, { type: 'cancel.requested' })]
  const asks = look.asks(row)
  const again = { type: 'recovered' }
  if (!asks) return row.state === 'queued' && !look.slot(row) ? [stranded('slot-lost', address, again)] : []
  const slot = look.slot(row)
  const wanted = asks.slot === 'wanted' ? 'queued' : asks.slot === 'held' ? 'held' : undefined
  if (wanted !== slot && !(wanted === 'queued' && slot === 'held'))
    return [stranded('slot-lost', address, again)]
  if (asks.timers.some(({ name, at }) => look.timer(row, name) !== at))
    return [stranded('timer-lost', address, again)]
  if (!asks.attempt) return []
  const attempt = look.attempt(row)
  if (attempt === 'unasked') return [stranded('attempt-unasked', address, again)]
  if (attempt === 'unwatched') return [stranded('attempt-unwatched', address, again)]
  return attempt !== 'awaited' && attempt.endedForMs > TOLD_WITHIN_MS
    ? [stranded('end-unread', address, again)]
    : []
}

const ofBoard = ({ id, graph, rows, context, hasMail }: Look): StrandingKind | undefined => {
  if (context.work.length > 0) return 'walk-stalled'
  const open = rows.filter(({ place }) => place !== 'settled')
  if (open.length === 0) return 'never-settled'
  if (open.length !== context.open) return 'board-miscounted'
  const wrong = open.some(({ name, place, index, unmet }) => {
    if (place !== 'held') return false
    const needs = (graph.needs[index] ?? []).map(({ of, need }) => ({ row: rows[of] as BoardRow, need }))
    const met = needs.filter(({ row, need }) => row.place === 'settled' && meets(need, row.state as JobEnd))
    const doomed = needs.some(({ row, need }) => row.place === 'settled' && !meets(need, row.state as JobEnd))
    return unmet !== needs.length - met.length || unmet === 0 || (doomed && !hasMail(jobAddress(id, name)))
  })
  return wrong ? 'board-miscounted' : undefined
}
