/**
 * What a supervisor knows, as data: its own life, and a row for each child. A decision never changes it and says what changes, so
 * that one child's start or stop costs the same beside ten siblings and beside a hundred thousand.
 */
import type { Tally } from './judge.ts'
import { CLEAN } from './judge.ts'
import type { ChildMove, ChildState, SupervisorMove, SupervisorState } from './machines.ts'
import type { Reason } from './reason.ts'
import type { Policy, Terms } from './spec.ts'

/** Who wants to know how a request ended. */
type Waiting = Readonly<{ call: number; for: 'start' | 'stop' }>

/** An end of a child. */
export type Ending = Readonly<{
  /** Monotonic ms. */
  at: number
  incarnation: number
  reason: Reason
}>

/** A child's row. */
export type Child = Readonly<{
  id: string
  /** Start order: greater than that of every child there was before. */
  order: number
  terms: Terms
  state: ChildState
  /** Since when it is in its state, in monotonic ms. */
  since: number
  /** How often a start was asked for. */
  incarnation: number
  /**
   * The number of its last start among all there were. What was started before is not heard, also if it had the same name and was
   * forgotten since.
   */
  fence: number
  /** Why it was started last: with its supervisor, because it was added, because somebody asked again, or after a failure. */
  origin: 'first' | 'added' | 'asked' | 'restart'
  /** What follows when it has stopped. */
  then: 'again' | 'rest'
  tally: Tally
  waiting: readonly Waiting[]
  /** Its last ends, the newest last, at most 20. */
  history: readonly Ending[]
}>

/** Children to be stopped, from the last to the first, and then children to be started, in order. One at a time. */
export type Work = Readonly<{
  /** Children of this order and later are stopped because of one of them. */
  scope: number
  stop: readonly string[]
  /** How many of `stop` are left. */
  left: number
  start: readonly string[]
  /** Which of `start` is next. */
  next: number
  /** The child whose pause comes first. */
  pause: string | null
}>

/** A supervisor's own life. */
export type Life = Readonly<{
  state: SupervisorState
  /** Since when it is in its state, in monotonic ms. */
  since: number
  /** Why it stops, or has ended. */
  reason: Reason | null
  work: Work | null
  /** The order given last. */
  order: number
  /** The fence given last. */
  fence: number
  /** Children by state. */
  counts: Readonly<Record<ChildState, number>>
  /** How many of the children are supervisors. */
  supervisors: number
  /** Restarts there ever were. */
  restarts: number
  /** Children given up, each once, within the period or a little longer. */
  givenUp: readonly Readonly<{ id: string; at: number }>[]
  /** Who waits for it to be up. */
  starting: number | null
  /** Who waits for its end. */
  stopping: readonly number[]
}>

/** All a supervisor knows. Children are in start order. */
export type State = Readonly<{ policy: Policy; life: Life; children: ReadonlyMap<string, Child> }>

/** What happens to a supervisor. */
export type Event =
  | Readonly<{ type: 'start.requested' | 'stop.requested'; call: number }>
  | Readonly<{ type: 'kill.requested' }>
  | Readonly<{ type: 'child.added'; call: number; id: string; terms: Terms }>
  | Readonly<{
      type: 'stop.asked' | 'restart.asked' | 'delete.asked' | 'clear.asked'
      call: number
      id: string
    }>
  | Readonly<{ type: 'child.started' | 'child.ignored'; id: string; fence: number }>
  /** It could not be started. */
  | Readonly<{ type: 'child.failed'; id: string; fence: number; reason: Reason }>
  | Readonly<{ type: 'child.ended'; id: string; fence: number; reason: Reason }>
  /** The time is over that its start, its pause or its stop was given. */
  | Readonly<{ type: 'time.over'; id: string; fence: number; state: ChildState }>

/** Why a request was refused: a state is that of the child. */
export type Refusal =
  | ChildState
  | 'not-found'
  | 'already-present'
  | 'max-children'
  /** The supervisor is not up, or no more. */
  | 'not-up'
  /** It could not be started. */
  | 'failed'

/** What came of a request. */
export type Outcome = Readonly<{ ok: true }> | Readonly<{ ok: false; why: Refusal; cause: Reason | null }>

/** What a supervisor does not do itself but asks for. */
export type Ask =
  | Readonly<{ do: 'startChild'; id: string; incarnation: number; fence: number; withinMs: number }>
  /** `withinMs` null: it may take for ever. */
  | Readonly<{ do: 'stopChild'; id: string; fence: number; withinMs: number | null }>
  /** Nothing it does is heard from now on. */
  | Readonly<{ do: 'killChild'; id: string; fence: number }>
  | Readonly<{ do: 'wakeChild'; id: string; fence: number; afterMs: number }>
  /** Its watchers are told that it has ended and is not restarted. */
  | Readonly<{ do: 'tellWatchers'; id: string; incarnation: number; reason: Reason }>
  | Readonly<{ do: 'answer'; call: number; outcome: Outcome }>
  | Readonly<{ do: 'record'; record: LifeRecord }>
  /** A machine made a move: a child's, or with `id` null the supervisor's own. */
  | Readonly<{ do: 'show'; id: string | null; by: ChildMove | SupervisorMove }>
  | Readonly<{ do: 'end'; reason: Reason }>

/** Something that happened to a child, or with `child` null to the supervisor, in the order in which it happened. */
export type LifeRecord = Readonly<{
  type:
    | 'starting'
    | 'started'
    | 'ignored'
    | 'failed'
    | 'exited'
    | 'restarting'
    | 'given-up'
    | 'stopping'
    | 'stopped'
    | 'up'
    | 'cycling'
    | 'escalated'
    | 'ended'
  child: string | null
  incarnation: number
  /** Monotonic ms. */
  at: number
  reason: Reason | null
  /** How long the pause before the restart is. */
  afterMs: number | null
}>

/** What follows from an event: what changes (null: the row goes), and what is asked for, in order. */
export type Decision = Readonly<{
  life: Life
  changed: ReadonlyMap<string, Child | null>
  asks: readonly Ask[]
}>

const NOBODY: Life['counts'] = {
  waiting: 0,
  starting: 0,
  running: 0,
  restarting: 0,
  stopping: 0,
  stopped: 0,
  'given-up': 0,
}

/** How many children there are. */
export const sizeOf = ({ counts: c }: Life): number =>
  c.waiting + c.starting + c.running + c.restarting + c.stopping + c.stopped + c['given-up']

/** Whether something of it may run. */
export const isLive = ({ state }: Child): boolean =>
  state === 'starting' || state === 'running' || state === 'stopping'

/** Whether its start is to come without anybody asking. */
export const isDue = ({ state }: Child): boolean => state === 'waiting' || state === 'restarting'

/** A row that was never started. */
export const newChild = (id: string, order: number, terms: Terms, at: number): Child => ({
  id,
  order,
  terms,
  state: 'waiting',
  since: at,
  incarnation: 0,
  fence: 0,
  origin: 'first',
  then: 'rest',
  tally: CLEAN,
  waiting: [],
  history: [],
})

/** A supervisor that has started nothing yet. */
export const newState = (
  policy: Policy,
  specs: readonly Readonly<{ id: string; terms: Terms }>[],
  at: number,
): State & Readonly<{ children: Map<string, Child> }> => ({
  policy,
  life: {
    state: 'new',
    since: at,
    reason: null,
    work: null,
    order: specs.length,
    fence: 0,
    counts: { ...NOBODY, waiting: specs.length },
    supervisors: specs.filter(({ terms }) => terms.type === 'supervisor').length,
    restarts: 0,
    givenUp: [],
    starting: null,
    stopping: [],
  },
  children: new Map(specs.map(({ id, terms }, index) => [id, newChild(id, index + 1, terms, at)])),
})
