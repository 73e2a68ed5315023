/**
 * A decision in the making: the state as it was, and over it what has been decided so far.
 */
import type { Moment } from './judge.ts'
import { type ChildMove, childAfter, type SupervisorMove, supervisorAfter } from './machines.ts'
import type { Reason } from './reason.ts'
import type { Policy } from './spec.ts'
import type { Ask, Child, Decision, Ending, Life, LifeRecord, Outcome, Refusal, State } from './state.ts'

/** A decision in the making. */
export type Draft = {
  readonly policy: Policy
  readonly moment: Moment
  readonly before: State['children']
  readonly changed: Map<string, Child | null>
  readonly asks: Ask[]
  life: Life
}

/** Endings remembered of a child. */
const HISTORY_MAX = 20

/** Nothing decided yet. */
export const draftOf = ({ policy, life, children }: State, moment: Moment): Draft => ({
  policy,
  moment,
  before: children,
  changed: new Map(),
  asks: [],
  life,
})

/** What was decided. */
export const decisionOf = ({ life, changed, asks }: Draft): Decision => ({ life, changed, asks })

/** A child as it is now. */
export const find = ({ before, changed }: Draft, id: string): Child | undefined => {
  const now = changed.get(id)
  return now === undefined ? before.get(id) : (now ?? undefined)
}

/** Whether the supervisor is to start nothing more. */
export const isOver = ({ life: { state } }: Draft): boolean => state === 'stopping' || state === 'ended'

/** All children in start order. As dear as there are many. */
export const everyChild = (draft: Draft): Child[] =>
  [...new Set([...draft.before.keys(), ...draft.changed.keys()])]
    .flatMap((id) => find(draft, id) ?? [])
    .toSorted((a, b) => a.order - b.order)

/** Changes what is known of a child, but not where it is. */
export const amend = (draft: Draft, child: Child, changes: Partial<Child>): Child => {
  const next = { ...child, ...changes }
  draft.changed.set(child.id, next)
  return next
}

/** Takes a child in. */
export const enter = (draft: Draft, child: Child): Child => {
  count(draft, child, 1)
  return amend(draft, child, {})
}

/** Lets a child be what the move leads to. */
export const move = (draft: Draft, child: Child, by: ChildMove, changes: Partial<Child> = {}): Child => {
  const state = childAfter(child.state, by)
  draft.asks.push({ do: 'show', id: child.id, by })
  const { counts } = draft.life
  draft.life = {
    ...draft.life,
    counts: { ...counts, [child.state]: counts[child.state] - 1, [state]: counts[state] + 1 },
  }
  return amend(draft, child, { ...changes, state, since: draft.moment.at })
}

/** Forgets a child. */
export const forget = (draft: Draft, child: Child): void => {
  count(draft, child, -1)
  draft.changed.set(child.id, null)
}

const count = (draft: Draft, { state, terms }: Child, by: 1 | -1): void => {
  const { counts, supervisors } = draft.life
  draft.life = {
    ...draft.life,
    counts: { ...counts, [state]: counts[state] + by },
    supervisors: supervisors + (terms.type === 'supervisor' ? by : 0),
  }
}

/** Lets the supervisor be what the move leads to. */
export const live = (draft: Draft, by: SupervisorMove, changes: Partial<Life> = {}): void => {
  const state = supervisorAfter(draft.life.state, by)
  draft.asks.push({ do: 'show', id: null, by })
  draft.life = { ...draft.life, ...changes, state, since: draft.moment.at }
}

/** A child's history with one end more. */
export const endings = (draft: Draft, { history, incarnation }: Child, reason: Reason): readonly Ending[] => [
  ...history.slice(1 - HISTORY_MAX),
  { at: draft.moment.at, incarnation, reason },
]

/** Puts something on record. */
export const record = (
  draft: Draft,
  type: LifeRecord['type'],
  child: Child | null,
  reason: Reason | null = null,
  afterMs: number | null = null,
): void => {
  const { at } = draft.moment
  const { id = null, incarnation = 0 } = child ?? {}
  draft.asks.push({ do: 'record', record: { type, child: id, incarnation, at, reason, afterMs } })
}

const OK: Outcome = { ok: true }

/** Answers a request. */
export const grant = (draft: Draft, call: number): void => {
  draft.asks.push({ do: 'answer', call, outcome: OK })
}

/** Refuses a request. */
export const refuse = (draft: Draft, call: number, why: Refusal, cause: Reason | null = null): void => {
  draft.asks.push({ do: 'answer', call, outcome: { ok: false, why, cause } })
}
