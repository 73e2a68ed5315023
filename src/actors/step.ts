/**
 * One machine, one message: what it becomes, what it posts, what it asks for. Nothing here commits or performs anything, and a
 * machine that throws leaves no trace.
 */
import { type Address, planAddress } from '../address.ts'
import type { Asker } from '../command.ts'
import type { JsonObject } from '../json.ts'
import {
  type BoardPost,
  type BoardRow,
  type Change,
  type Retry,
  recheck,
  reopen,
  settle,
  type Work,
  walk,
} from '../machines/board.ts'
import type { Effect, JobSettled, More } from '../machines/effect.ts'
import { type AttemptEnded, type JobInput, jobPolicy } from '../machines/job.ts'
import {
  type PlanContext,
  type PlanInput,
  type PlanSnapshot,
  planSpreads,
  planWalking,
  type Verdict,
} from '../machines/plan.ts'
import { type Entry, machineOf, planEntry, type Resident } from './directory.ts'
import type { Message } from './mailbox.ts'
import type { Decision, FlatSystem, LiveActor } from './system.ts'

/** An event as a machine takes it and the journal keeps it. */
export type StoredEvent = Readonly<{ type: string; at: number }> & Readonly<Record<string, unknown>>

/** What one message did. */
export type Step = Readonly<{
  event: StoredEvent
  decision: Decision
  posts: readonly Readonly<{ to: Address; event: JobSettled | More }>[]
  effects: readonly Effect[]
  /** What the board makes of it; null when the message does not concern the board or was refused. */
  change: Change | null
}>

/** The state of a plan's own actor, as its questions take it. */
export const planState = (entry: Entry): Pick<PlanSnapshot, 'value' | 'context'> => ({
  value: entry.value as PlanSnapshot['value'],
  context: entry.context as unknown as PlanContext,
})

const boardPosts = new Set(['tellPlan', 'tellSelf'])

const read = (
  entry: Pick<Entry, 'resident'>,
  event: StoredEvent,
  decision: Decision,
  change: Change | null,
): Step => {
  const to = planAddress(entry.resident.id)
  const posts: { to: Address; event: JobSettled | More }[] = []
  const effects: Effect[] = []
  for (const { type, params } of decision.actions) {
    if (boardPosts.has(type)) posts.push({ to, event: params as JobSettled | More })
    else effects.push({ ...(params as object), type } as Effect)
  }
  return { event, decision, posts, effects, change: decision.changed ? change : null }
}

/** Makes the actor of a plan: its first step, which says who submitted it. */
export const createPlan = (
  system: FlatSystem,
  of: Resident,
  at: number,
  { by, why }: Asker = {},
): Readonly<{ actor: LiveActor; step: Step }> => {
  const input: PlanInput = {
    jobs: of.rows.length,
    onFailure: of.definition.onFailure,
    deadlines: of.graph.hasDeadline.some(Boolean),
  }
  const { actor, decision } = system.create(machineOf('plan').machine, planAddress(of.id), input)
  const asked = { ...(by === undefined ? {} : { by }), ...(why === undefined ? {} : { why }) }
  return { actor, step: read({ resident: of }, { type: 'created', at, ...asked, input }, decision, null) }
}

/** Makes the actor of a job from its row: its first step. The row must be held or queued. */
export const createJob = (
  system: FlatSystem,
  of: Resident,
  row: BoardRow,
  address: Address,
  at: number,
): Readonly<{ actor: LiveActor; step: Step }> => {
  const definition = of.definition.jobs[row.name]
  if (!definition) throw new RangeError(`plan ${of.id} has no job ${row.name}`)
  const input: JobInput = {
    job: row.name,
    generation: row.generation,
    attempt: row.attempt,
    place: row.state === 'queued' ? 'released' : 'held',
    at: row.since,
    paused: planEntry(of)?.value === 'paused',
    policy: jobPolicy(definition),
  }
  const { actor, decision } = system.create(machineOf('job').machine, address, input)
  return { actor, step: read({ resident: of }, { type: 'created', at, input }, decision, null) }
}

type Judged = Readonly<{ change: Change | null; with: Readonly<Record<string, unknown>> }>
/** The jobs that end by this very step because of another, without an actor of their own: so that the journal names them. */
const endedBeside = (change: Change | null, job?: string): Readonly<{ ended?: readonly EndedRow[] }> => {
  const ended = (change?.rows ?? []).filter(
    ({ place, embodied, name }) => place === 'settled' && !embodied && name !== job,
  )
  return ended.length === 0
    ? {}
    : { ended: ended.map(({ name, state, reason }) => ({ job: name, state, reason })) }
}
type EndedRow = Readonly<{ job: string; state: string; reason: string | null }>
const verdict = (change: Change | null, work: readonly Work[]): Verdict =>
  change ? { known: true, settled: change.settled, work: change.work } : { known: false, settled: 0, work }

/** Asks the board what a message to its plan means. Undefined: there is nothing to open again. */
const judge = (entry: Entry, event: StoredEvent): Judged | undefined => {
  const { graph, rows } = entry.resident
  const board = { graph, rows }
  const { context } = planState(entry)
  switch (event.type) {
    case 'job.settled': {
      const settled = event as unknown as JobSettled & { at: number }
      const change = settle(board, settled, context.work, planSpreads(planState(entry)), event.at)
      const optional = graph.optional[graph.index.get(settled.job) ?? -1] ?? false
      return {
        change,
        with: { optional, verdict: verdict(change, context.work), ...endedBeside(change, settled.job) },
      }
    }
    case 'more': {
      const change = walk(board, context.work, event.at)
      return { change, with: { verdict: verdict(change, context.work), ...endedBeside(change) } }
    }
    case 'recheck': {
      const change = recheck(board, context.work, context.open, planWalking(planState(entry)), event.at)
      return { change, with: { verdict: verdict(change, context.work), ...endedBeside(change) } }
    }
    case 'retry.requested': {
      const opened = reopen(board, event['retry'] as Retry, context.work, event.at)
      if (!opened) return undefined
      const { change, failed } = opened
      return { change, with: { failed, verdict: verdict(change, context.work), ...endedBeside(change) } }
    }
    default:
      return { change: null, with: {} }
  }
}

/** Lets an actor take a message. Undefined: the board refuses it. Throws what the machine throws; nothing has changed then. */
export const takeStep = (
  system: FlatSystem,
  entry: Entry,
  message: Message,
  from: LiveActor | null,
  at: number,
  random: () => number,
): Step | undefined => {
  const asked: StoredEvent = { ...message.event, at: message.event.at ?? at }
  const judged: Judged | undefined =
    entry.kind === 'plan'
      ? judge(entry, asked)
      : { change: null, with: asked.type === 'attempt.ended' ? { draw: random() } : {} }
  if (!judged) return undefined
  const event: StoredEvent = { ...asked, ...judged.with }
  const decision = system.take(entry.actor, event, from)
  return read(entry, event, decision, judged.change)
}

/** What a job gives to those after it, by the step that made it succeed: what its attempt gave, or who approved, when and why. */
export const outputsOf = (event: StoredEvent): JsonObject | undefined => {
  switch (event.type) {
    case 'attempt.ended':
      return (event as unknown as AttemptEnded).outputs
    case 'approve.requested': {
      const { by = null, why } = event as Readonly<{ by?: string; why?: string }>
      return { by, at: momentOf(event), ...(why === undefined ? {} : { reason: why }) }
    }
    case 'timer.fired':
      return { by: 'timeout', at: momentOf(event) }
    default:
      return undefined
  }
}
const momentOf = ({ at }: StoredEvent): string => new Date(at).toISOString()

/** The event by which the plan tells a job. */
export const boardEvent = (post: BoardPost, at: number): StoredEvent => ({ ...post.event, at })
