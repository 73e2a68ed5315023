/**
 * The machine of one job: from held to its end, through as many attempts as its policy allows.
 *
 *                    released            slot.granted            attempt.ended
 *   created ─▶ held ──────────▶ queued ───────────────▶ running ───────────────▶ succeeded
 *      └──────────────────────▶   ▲ ▲                   │  │  │
 *                                 │ │      timer.fired  │  │  ├─ retried, never-started ─▶ backoff
 *                                 │ └───────────────────┼──┼──────────────────────────────────┘
 *                                 │  retry.requested    │  ├─ lost, policy hold ─▶ waiting
 *                                 └─────────────────────┼──┼─────────────────────────┘
 *                                   cancel.requested,   │  └─ nothing left to try ─▶ failed
 *                                   attempt.stopping    ▼
 *                                                    stopping ─ attempt.ended ─▶ cancelled, or as in running
 *
 *   held, queued, backoff and waiting also end at once: cancel.requested ─▶ cancelled, skip.requested and withdrawn ─▶ skipped,
 *   faulted ─▶ failed. queued and backoff end when the deadline passes. Every end opens a new generation on `reopened`; one that
 *   cannot be opened ends as failed.
 *   A question to a person goes from its release to waiting, and from there to succeeded or failed by its answer.
 *
 * What must happen is asked for by being in a state: entering it and `recovered` ask the same, and `asks` says what that is.
 */
import { assign, type SnapshotFrom, setup } from 'xstate'
import type { Outcome } from '../attempt.ts'
import { type Gate, isRetried, type JobDefinition, type OnLost, type RetryPolicy } from '../definition.ts'
import type { JsonObject } from '../json.ts'
import type { JobEnd, Reason, StopReason } from '../states.ts'
import { backoffMs, UNSTARTED_BACKOFF } from './backoff.ts'
import {
  type ArmTimers,
  type Asks,
  type EnsureAttempt,
  type JobSettled,
  NOTHING,
  type StopAttempt,
  type Timer,
  type TimerName,
} from './effect.ts'

/** At most this many attempts in a row may fail to start before the job fails. */
export const UNSTARTED_MAX = 5
/** At most this many lost attempts are tried again where the policy says so. */
export const LOST_RETRIES_MAX = 3

/** What a job needs to know of its definition; absent fields have their default. */
export type JobPolicy = Readonly<{
  retry?: RetryPolicy
  onLost?: OnLost
  deadlineMs?: number
  /** A question to a person, which has no attempts. */
  gate?: Pick<Gate, 'timeoutMs' | 'onTimeout'>
}>

/** What a job remembers. */
export type JobContext = Readonly<{
  job: string
  generation: number
  /** The latest attempt; 0 before the first. Runs on for the life of the job. */
  attempt: number
  /** Retries spent in this generation. */
  failures: number
  /** Attempts in a row that could not be started. */
  unstarted: number
  /** Lost attempts that were tried again in this generation. */
  losses: number
  reason: Reason | null
  /** When backoff ends; 0 outside of it. */
  wakeAt: number
  /** When the deadline passes; null without one or before the release. */
  deadlineAt: number | null
  /** Since when the plan has been paused with no attempt running; null otherwise. Only kept for a job with a deadline. */
  pausedAt: number | null
  /** Whether the plan is paused; only kept for a job with a deadline. */
  paused: boolean
  /** When the lack of an answer is one; absent where an answer is waited for without end, or nobody is asked. */
  approvalAt?: number | undefined
  /** Whether a fault of the actor is what ends it. */
  faulted: boolean
  policy: JobPolicy
}>

/** What a job is made with. `at` is the moment of its release, if it has been released. */
export type JobInput = Readonly<{
  job: string
  generation: number
  attempt: number
  place: 'held' | 'released'
  at: number
  paused: boolean
  policy: JobPolicy
}>

/** How an attempt ended, as the executor tells it. */
export type AttemptEnded = Readonly<{
  type: 'attempt.ended'
  at: number
  generation: number
  attempt: number
  outcome: Outcome
  code: number | null
  signal: string | null
  startedAt: number | null
  endedAt: number | null
  pid: number | null
  /** Drawn by the host, for jitter: the machine asks nobody for randomness. */
  draw: number
  error?: string
  /** Of the table of errors, where it is one of these that kept it from starting. */
  errorCode?: string
  warnings?: readonly string[]
  leftovers?: number
  outputs?: JsonObject
}>

/** What a job may be told. */
export type JobEvent =
  | Readonly<{ type: 'recovered'; at: number }>
  | Readonly<{ type: 'released'; at: number }>
  | Readonly<{ type: 'slot.granted'; at: number }>
  | AttemptEnded
  | Readonly<{ type: 'attempt.stopping'; at: number; generation: number; attempt: number; why: StopReason }>
  | Readonly<{ type: 'timer.fired'; at: number; name: TimerName; due: number }>
  | Readonly<{ type: 'plan.paused'; at: number }>
  | Readonly<{ type: 'plan.continued'; at: number }>
  | Readonly<{ type: 'cancel.requested'; at: number; now?: boolean; by?: string }>
  | Readonly<{ type: 'skip.requested'; at: number; by?: string }>
  | Readonly<{ type: 'retry.requested'; at: number; by?: string }>
  | Readonly<{ type: 'now.requested'; at: number; by?: string }>
  /** A person's answer, to the question of this generation. */
  | Readonly<{
      type: 'approve.requested' | 'reject.requested'
      at: number
      generation: number
      /** What the person was asked. */
      shown: string
      by?: string
    }>
  | Readonly<{ type: 'withdrawn'; at: number; reason: 'need-failed' | 'on-failure-stop' }>
  | Readonly<{
      type: 'reopened'
      at: number
      generation: number
      place: 'held' | 'released'
      paused?: boolean
    }>
  /** It could not take a message; `generation` where that was to open one. */
  | Readonly<{ type: 'faulted'; at: number; error: string; generation?: number }>

type Of<T extends JobEvent['type']> = Extract<JobEvent, { type: T }>
type At = { context: JobContext; event: JobEvent }

const effect = <P>(_: unknown, _params: P) => {}

/** The policy of a job, without what has its default. */
export const jobPolicy = (definition: JobDefinition): JobPolicy => ({
  ...(definition.retry ? { retry: definition.retry } : {}),
  ...(definition.onLost === 'hold' ? {} : { onLost: definition.onLost }),
  ...(definition.deadlineMs === undefined ? {} : { deadlineMs: definition.deadlineMs }),
  ...(definition.approve === undefined ? {} : { gate: gatePolicy(definition.approve) }),
})

const gatePolicy = ({ timeoutMs, onTimeout }: Gate): NonNullable<JobPolicy['gate']> => ({
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
  ...(onTimeout === undefined ? {} : { onTimeout }),
})

const isReleased = (event: JobEvent): boolean =>
  ('input' in event ? (event.input as JobInput) : (event as Of<'reopened'>)).place === 'released'

/** The first event of an actor has its moment in what it was made with. */
const momentOf = (event: JobEvent): number => ('input' in event ? (event.input as JobInput).at : event.at)

const isUnanswered = ({ approvalAt }: JobContext, event: JobEvent): boolean => {
  const { name, at } = event as Of<'timer.fired'>
  return name === 'approval' && approvalAt !== undefined && at >= approvalAt
}

const deadlineFrom = (at: number, policy: JobPolicy): number | null =>
  policy.deadlineMs === undefined ? null : at + policy.deadlineMs

const approvalFrom = (at: number, { gate }: JobPolicy): number | undefined =>
  gate?.timeoutMs === undefined ? undefined : at + gate.timeoutMs

/** What a generation begins with. */
const FRESH = { failures: 0, unstarted: 0, losses: 0, wakeAt: 0, faulted: false } as const

/** The pause that ends at `at` moves the deadline by its length. */
const afterPause = ({ pausedAt, deadlineAt }: JobContext, at: number): Partial<JobContext> =>
  pausedAt === null
    ? {}
    : { pausedAt: null, deadlineAt: deadlineAt === null ? null : deadlineAt + (at - pausedAt) }

const job = setup({
  types: { input: {} as JobInput, context: {} as JobContext, events: {} as JobEvent },
  actions: {
    ensureAttempt: effect<Omit<EnsureAttempt, 'type'>>,
    stopAttempt: effect<Omit<StopAttempt, 'type'>>,
    armTimers: effect<Omit<ArmTimers, 'type'>>,
    tellPlan: effect<JobSettled>,
    because: assign((_, reason: Reason | null) => ({ reason })),
    nextAttempt: assign(({ context, event }) => ({
      attempt: context.attempt + 1,
      ...afterPause(context, event.at),
    })),
    startDeadline: assign(({ context, event }) => ({
      deadlineAt: deadlineFrom(event.at, context.policy),
      pausedAt: context.paused ? event.at : null,
    })),
    ask: assign(({ context, event }) => ({ approvalAt: approvalFrom(momentOf(event), context.policy) })),
    becauseOfWait: assign(({ context }) => ({ reason: context.policy.gate ? 'approval' : 'lost' }) as const),
    spendRetry: assign(({ context, event }) => ({
      failures: context.failures + 1,
      unstarted: 0,
      wakeAt:
        event.at +
        backoffMs(context.policy.retry as RetryPolicy, context.failures, (event as AttemptEnded).draw),
    })),
    countUnstarted: assign(({ context, event }) => ({
      unstarted: context.unstarted + 1,
      wakeAt: event.at + backoffMs(UNSTARTED_BACKOFF, context.unstarted, (event as AttemptEnded).draw),
    })),
    countLoss: assign(({ context }) => ({ losses: context.losses + 1, unstarted: 0 })),
    markFault: assign({ faulted: true }),
    restInPause: assign(({ context, event }) => (context.paused ? { pausedAt: event.at } : {})),
    pause: assign({ paused: true }),
    pauseAtRest: assign(({ context, event }) => ({ paused: true, pausedAt: context.pausedAt ?? event.at })),
    unpause: assign(({ context, event }) => ({ ...afterPause(context, event.at), paused: false })),
    /** A generation that could not be opened has begun, and ends at once. */
    openFaulted: assign(({ event }) => ({
      ...FRESH,
      generation: (event as Of<'faulted'>).generation ?? 0,
      deadlineAt: null,
      pausedAt: null,
    })),
    reopen: assign(({ context, event }) => {
      const { generation, place, at, paused = context.paused } = event as Of<'reopened'>
      const released = place === 'released'
      return {
        ...FRESH,
        generation,
        paused,
        deadlineAt: released ? deadlineFrom(at, context.policy) : null,
        pausedAt: released && paused ? at : null,
      }
    }),
  },
  guards: {
    /** Another generation or an older attempt speaks: a duplicate, counted by the host. */
    isStale: ({ context, event }) => {
      const { attempt, generation } = event as AttemptEnded
      return attempt !== context.attempt || generation !== context.generation
    },
    isOldGeneration: ({ context, event }) =>
      ((event as Of<'reopened' | 'faulted'>).generation ?? 0) <= context.generation,
    endedAs: ({ event }, outcome: Outcome) => (event as AttemptEnded).outcome === outcome,
    isOrdered: ({ context }) => context.reason === 'stop-cancel' && !context.faulted,
    isFaulted: ({ context }) => context.faulted,
    canRetry: ({ context, event }) => {
      const { retry } = context.policy
      return retry !== undefined && context.failures < retry.max && isRetried(retry, event as AttemptEnded)
    },
    canStartAgain: ({ context, event }) =>
      (event as AttemptEnded).outcome === 'never-started' && context.unstarted < UNSTARTED_MAX,
    isHeldWhenLost: ({ context }) => (context.policy.onLost ?? 'hold') === 'hold',
    isRetriedWhenLost: ({ context }) =>
      context.policy.onLost === 'retry' && context.losses < LOST_RETRIES_MAX,
    isBackoffOver: ({ context, event }) => {
      const { name, at } = event as Of<'timer.fired'>
      return name === 'backoff' && at >= context.wakeAt
    },
    isDeadlinePast: ({ context, event }) => {
      const { name, at } = event as Of<'timer.fired'>
      return (
        name === 'deadline' &&
        context.pausedAt === null &&
        context.deadlineAt !== null &&
        at >= context.deadlineAt
      )
    },
    hasDeadline: ({ context }) => context.policy.deadlineMs !== undefined,
    isGate: ({ context }) => context.policy.gate !== undefined,
    isLost: ({ context }) => context.policy.gate === undefined,
    isAnswer: ({ context, event }) =>
      context.policy.gate !== undefined &&
      (event as Of<'approve.requested' | 'reject.requested'>).generation === context.generation &&
      // The timer may come late: nobody was there when its moment passed.
      (context.approvalAt === undefined || event.at < context.approvalAt),
    isUnanswered: ({ context, event }) => isUnanswered(context, event),
    isApprovedUnanswered: ({ context, event }) =>
      isUnanswered(context, event) && context.policy.gate?.onTimeout === 'approve',
    isReleasedGate: ({ context, event }) => isReleased(event) && context.policy.gate !== undefined,
    isReleased: ({ event }) => isReleased(event),
    isUrgent: ({ event }) => (event as Of<'cancel.requested'>).now === true,
    isStopOfItsOwn: ({ context }) => context.reason !== 'stop-cancel',
  },
})

const because = (reason: Reason | null) => ({ type: 'because', params: reason }) as const
const becauseOfOutcome = {
  type: 'because',
  params: ({ event }: At) => (event as AttemptEnded).outcome as Reason,
} as const
const becauseOfEvent = {
  type: 'because',
  params: ({ event }: At) => (event as Of<'withdrawn'>).reason,
} as const
const becauseOfStop = {
  type: 'because',
  params: ({ event }: At) => (event as Of<'attempt.stopping'>).why,
} as const
const endedAs = (outcome: Outcome) => ({ type: 'endedAs', params: outcome }) as const
const isStale = { guard: 'isStale' } as const

const ensureThis = ({ context }: { context: JobContext }): EnsureAttempt => ({
  type: 'ensureAttempt',
  attempt: context.attempt,
  generation: context.generation,
  deadlineAt: context.deadlineAt,
})
const stopThis = ({ context }: { context: JobContext }, now = false): StopAttempt => ({
  type: 'stopAttempt',
  attempt: context.attempt,
  generation: context.generation,
  why: context.reason as StopReason,
  now,
})
const approvalTimers = ({ approvalAt }: JobContext): readonly Timer[] =>
  approvalAt === undefined ? [] : [{ name: 'approval', at: approvalAt }]
const timersOf = ({ wakeAt, deadlineAt, pausedAt }: JobContext, withBackoff: boolean): readonly Timer[] => [
  ...(withBackoff ? [{ name: 'backoff', at: wakeAt } as const] : []),
  ...(deadlineAt !== null && pausedAt === null ? [{ name: 'deadline', at: deadlineAt } as const] : []),
]

const ensureAttempt = { type: 'ensureAttempt', params: ensureThis } as const
const stopAttempt = {
  type: 'stopAttempt',
  params: ({ context, event }: At) =>
    stopThis({ context }, event.type === 'cancel.requested' && event.now === true),
} as const
const armTimers = (withBackoff: boolean) =>
  ({
    type: 'armTimers',
    params: ({ context }: { context: JobContext }) => ({ timers: timersOf(context, withBackoff) }),
  }) as const
const armApproval = {
  type: 'armTimers',
  params: ({ context }: { context: JobContext }) => ({ timers: approvalTimers(context) }),
} as const
const tellPlan = (state: JobEnd) =>
  ({
    type: 'tellPlan',
    params: ({ context }: { context: JobContext }): JobSettled => ({
      type: 'job.settled',
      job: context.job,
      generation: context.generation,
      attempt: context.attempt,
      state,
      reason: context.reason,
    }),
  }) as const

/** What ends a job that has no attempt. */
const endsAtOnce = {
  'cancel.requested': { target: 'cancelled', actions: because('operator') },
  'skip.requested': { target: 'skipped', actions: because('operator') },
  withdrawn: { target: 'skipped', actions: becauseOfEvent },
  faulted: { target: 'failed', actions: because('fault') },
} as const
/** While nothing runs, a pause counts against no deadline. */
const pausesAtRest = (withBackoff: boolean) => ({
  'plan.paused': { guard: 'hasDeadline', actions: 'pauseAtRest' } as const,
  'plan.continued': { guard: 'hasDeadline', actions: ['unpause', armTimers(withBackoff)] } as const,
})
const pauses = {
  'plan.paused': { guard: 'hasDeadline', actions: 'pause' },
  'plan.continued': { guard: 'hasDeadline', actions: 'unpause' },
} as const
/** What follows the end of an attempt; the first that applies. */
const judged = [
  { guard: endedAs('succeeded'), target: 'succeeded' },
  { guard: endedAs('cancelled'), target: 'cancelled', actions: because('operator') },
  { guard: endedAs('lost'), target: 'deciding' },
  { guard: 'canStartAgain', target: 'backoff', actions: ['countUnstarted', 'restInPause'] },
  { guard: 'canRetry', target: 'backoff', actions: ['spendRetry', 'restInPause'] },
  { target: 'failed', actions: becauseOfOutcome },
] as const
/** Every end opens a new generation. */
const ended = {
  reopened: [
    { guard: 'isOldGeneration' },
    { guard: 'isReleasedGate', target: 'waiting', actions: ['reopen', 'ask'] },
    { guard: 'isReleased', target: 'queued', actions: 'reopen' },
    { target: 'held', actions: 'reopen' },
  ],
  // The plan has opened it again and waits for it: it is told of an end in that generation.
  faulted: [
    { guard: 'isOldGeneration' },
    { target: 'failed', reenter: true, actions: ['openFaulted', because('fault')] },
  ],
  ...pauses,
} as const

/** The machine of a job. Pure: it names effects and performs none. */
export const jobMachine = job.createMachine({
  id: 'job',
  options: { maxIterations: 100 },
  context: ({ input }) => ({
    job: input.job,
    generation: input.generation,
    attempt: input.attempt,
    ...FRESH,
    reason: null,
    deadlineAt: input.place === 'released' ? deadlineFrom(input.at, input.policy) : null,
    pausedAt: input.place === 'released' && input.paused ? input.at : null,
    paused: input.paused,
    policy: input.policy,
  }),
  initial: 'created',
  states: {
    created: {
      always: [
        { guard: 'isReleasedGate', target: 'waiting', actions: 'ask' },
        { guard: 'isReleased', target: 'queued' },
        { target: 'held' },
      ],
    },
    held: {
      entry: because('needs'),
      on: {
        released: [
          { guard: 'isGate', target: 'waiting', actions: 'ask' },
          { target: 'queued', actions: 'startDeadline' },
        ],
        recovered: {},
        ...pauses,
        ...endsAtOnce,
      },
    },
    queued: {
      entry: [because('slot'), armTimers(false)],
      on: {
        'slot.granted': { target: 'running', actions: 'nextAttempt' },
        'timer.fired': { guard: 'isDeadlinePast', target: 'failed', actions: because('deadline') },
        recovered: { actions: armTimers(false) },
        ...pausesAtRest(false),
        ...endsAtOnce,
      },
    },
    running: {
      entry: [because(null), ensureAttempt],
      on: {
        'attempt.ended': [isStale, ...judged],
        'attempt.stopping': [isStale, { target: 'stopping', actions: becauseOfStop }],
        'cancel.requested': { target: 'stopping', actions: because('stop-cancel') },
        faulted: { target: 'stopping', actions: ['markFault', because('stop-cancel')] },
        recovered: { actions: ensureAttempt },
        ...pauses,
      },
    },
    backoff: {
      entry: [because('backoff'), armTimers(true)],
      on: {
        'timer.fired': [
          { guard: 'isDeadlinePast', target: 'failed', actions: because('deadline') },
          { guard: 'isBackoffOver', target: 'queued' },
        ],
        'now.requested': { target: 'queued' },
        recovered: { actions: armTimers(true) },
        ...pausesAtRest(true),
        ...endsAtOnce,
      },
    },
    deciding: {
      always: [
        { guard: 'isRetriedWhenLost', target: 'queued', actions: ['countLoss', 'restInPause'] },
        { guard: 'isHeldWhenLost', target: 'waiting', actions: 'restInPause' },
        { target: 'failed', actions: because('lost') },
      ],
    },
    waiting: {
      entry: ['becauseOfWait', armApproval],
      on: {
        'retry.requested': { guard: 'isLost', target: 'queued' },
        'approve.requested': { guard: 'isAnswer', target: 'succeeded' },
        'reject.requested': { guard: 'isAnswer', target: 'failed', actions: because('approval-denied') },
        'timer.fired': [
          { guard: 'isApprovedUnanswered', target: 'succeeded' },
          { guard: 'isUnanswered', target: 'failed', actions: because('approval-denied') },
        ],
        recovered: { actions: armApproval },
        'plan.paused': { guard: 'hasDeadline', actions: 'pauseAtRest' },
        'plan.continued': { guard: 'hasDeadline', actions: 'unpause' },
        ...endsAtOnce,
      },
    },
    stopping: {
      entry: stopAttempt,
      on: {
        'attempt.ended': [
          isStale,
          { guard: 'isFaulted', target: 'failed', actions: because('fault') },
          { guard: endedAs('succeeded'), target: 'succeeded' },
          { guard: 'isOrdered', target: 'cancelled', actions: because('operator') },
          ...judged,
        ],
        'cancel.requested': [
          { guard: 'isUrgent', target: 'stopping', reenter: true, actions: because('stop-cancel') },
          { guard: 'isStopOfItsOwn', target: 'stopping', reenter: true, actions: because('stop-cancel') },
        ],
        faulted: { actions: 'markFault' },
        recovered: { actions: stopAttempt },
        ...pauses,
      },
    },
    succeeded: { entry: [because(null), tellPlan('succeeded')], on: ended },
    failed: { entry: tellPlan('failed'), on: ended },
    cancelled: { entry: tellPlan('cancelled'), on: ended },
    skipped: { entry: tellPlan('skipped'), on: ended },
  },
})

/** A snapshot of the job machine. */
export type JobSnapshot = SnapshotFrom<typeof jobMachine>

/** Everything a job in this state wants from slots, timers and executor. Entering the state and `recovered` ask for the same. */
export const jobAsks = (snapshot: Pick<JobSnapshot, 'value' | 'context'>): Asks => {
  const { context } = snapshot
  switch (snapshot.value) {
    case 'queued':
      return { slot: 'wanted', attempt: null, timers: timersOf(context, false) }
    case 'running':
      return { slot: 'held', attempt: ensureThis({ context }), timers: [] }
    case 'stopping':
      return { slot: 'held', attempt: stopThis({ context }), timers: [] }
    case 'backoff':
      return { slot: 'none', attempt: null, timers: timersOf(context, true) }
    case 'waiting':
      return { slot: 'none', attempt: null, timers: approvalTimers(context) }
    default:
      return NOTHING
  }
}

/** The version of the machine, stored with every row. Raise it when a state, an event or the context changes its meaning. */
export const JOB_VERSION = 'job/1'
