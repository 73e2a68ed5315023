/**
 * The machine of one plan: it counts what is open and decides policy. Which job is where is the board's business; every message
 * that concerns jobs arrives with the board's verdict, so that the plan's own state stays a handful of numbers.
 *
 *                      pause.requested, a failure under `onFailure: pause`
 *   created ─▶ running ◀──────────────────────────────────────────────────▶ paused
 *                 │  │            continue.requested                           │
 *                 │  └──────────── cancel.requested ─▶ cancelling ◀────────────┤
 *                 │                                        │                   │
 *                 └──── nothing open ──────▶ ending ◀──────┴───────────────────┘
 *                                              ├─▶ cancelled
 *                                              ├─▶ failed
 *                                              └─▶ succeeded
 *
 *   faulted takes every live state to quarantined, from which continue.requested and cancel.requested lead out.
 *   retry.requested opens a new generation of an ended plan, or ended jobs of a live one.
 */
import { assign, type SnapshotFrom, setup } from 'xstate'
import type { Definition } from '../definition.ts'
import type { JobEnd, Reason } from '../states.ts'
import type { Retry, Work } from './board.ts'
import type { More } from './effect.ts'

/** What a plan remembers. */
export type PlanContext = Readonly<{
  generation: number
  /** Jobs that are not settled. */
  open: number
  /** The reason of the first job that failed the plan. */
  failed: Reason | null
  cancelled: boolean
  /** Whether a failure has withdrawn what was not started. */
  stopped: boolean
  reason: Reason | null
  /** What is left to do on the board. Not empty: one `more` is on its way. */
  work: readonly Work[]
  onFailure: Definition['onFailure']
  /** Whether any job has a deadline and so must hear of pauses. */
  deadlines: boolean
}>

/** What a plan is made with. */
export type PlanInput = Readonly<{ jobs: number; onFailure: Definition['onFailure']; deadlines: boolean }>

/** What the board says to a message: how many jobs it settles, and all the work then left. `known` false: a duplicate. */
export type Verdict = Readonly<{ known: boolean; settled: number; work: readonly Work[] }>

/** What a plan may be told. */
export type PlanEvent =
  | Readonly<{ type: 'recovered'; at: number }>
  | Readonly<{
      type: 'job.settled'
      at: number
      job: string
      generation: number
      attempt: number
      state: JobEnd
      reason: Reason | null
      optional: boolean
      verdict: Verdict
    }>
  | Readonly<{ type: 'more'; at: number; verdict: Verdict }>
  /** The sweep has found something that no message leads on from, and asks for the board to be counted anew. */
  | Readonly<{ type: 'recheck'; at: number; verdict: Verdict }>
  | Readonly<{ type: 'pause.requested'; at: number; by?: string }>
  | Readonly<{ type: 'continue.requested'; at: number; by?: string }>
  | Readonly<{ type: 'cancel.requested'; at: number; now?: boolean; by?: string }>
  | Readonly<{
      type: 'retry.requested'
      at: number
      retry: Retry
      verdict: Verdict
      /** The failure that is left. */
      failed: Reason | null
      by?: string
    }>
  | Readonly<{ type: 'faulted'; at: number; error: string }>

type Of<T extends PlanEvent['type']> = Extract<PlanEvent, { type: T }>
const withdrawAll = (as: 'skipped' | 'cancelled', now = false): Work => ({ do: 'withdraw', as, now, from: 0 })
const tellAll = (event: 'plan.paused' | 'plan.continued'): Work => ({ do: 'tell', event, from: 0 })

const plan = setup({
  types: { input: {} as PlanInput, context: {} as PlanContext, events: {} as PlanEvent },
  actions: {
    tellSelf: (_: unknown, _params: More) => {},
    sweepProcesses: () => {},
    because: assign((_, reason: Reason | null) => ({ reason })),
    becauseOfFailure: assign(({ context }) => ({ reason: context.failed })),
    takeVerdict: assign(({ context, event }) => {
      const { verdict } = event as Of<'job.settled' | 'more' | 'recheck' | 'retry.requested'>
      return { open: context.open - verdict.settled, work: verdict.work }
    }),
    noteFailure: assign(({ context, event }) => ({
      failed: context.failed ?? (event as Of<'job.settled'>).reason,
    })),
    noteCancel: assign({ cancelled: true }),
    noteStop: assign({ stopped: true }),
    openGeneration: assign(({ context }) => ({ generation: context.generation + 1, cancelled: false })),
    forgetFailures: assign(({ event }) => ({
      failed: (event as Of<'retry.requested'>).failed,
      stopped: false,
    })),
    /** Takes on work in place of what was left, or beside it. What an end means for others is told in any case, and first. */
    replaceWork: assign(({ context }, work: Work) => ({
      work: [work, ...context.work.filter((left) => left.do === 'spread')],
    })),
    addWork: assign(({ context }, work: Work) => ({ work: [...context.work, work] })),
  },
  guards: {
    isUnknown: ({ event }) => !(event as Of<'job.settled'>).verdict.known,
    isFailure: ({ event }) => {
      const { state, optional } = event as Of<'job.settled'>
      return !optional && (state === 'failed' || state === 'cancelled')
    },
    stopsPlan: ({ context, event }) => {
      const { state, optional } = event as Of<'job.settled'>
      return (
        context.onFailure === 'stop' &&
        !context.stopped &&
        !optional &&
        (state === 'failed' || state === 'cancelled')
      )
    },
    pausesPlan: ({ context, event }) => {
      const { state, optional } = event as Of<'job.settled'>
      return context.onFailure === 'pause' && !optional && (state === 'failed' || state === 'cancelled')
    },
    isOver: ({ context }) => context.open === 0 && context.work.length === 0,
    isCancelled: ({ context }) => context.cancelled,
    isFailed: ({ context }) => context.failed !== null,
    isUrgent: ({ event }) => (event as Of<'cancel.requested'>).now === true,
    hasDeadlines: ({ context }) => context.deadlines,
  },
})

const because = (reason: Reason | null) => ({ type: 'because', params: reason }) as const
const more = { type: 'tellSelf', params: { type: 'more' } } as const
// These are functions with names, not arrows: a drawing of the machine calls them by these.

/** One `more` is on its way exactly while there is work: it is sent when the first work comes, and again by each that leaves some. */
const keepWalking = plan.enqueueActions(function keepWalking({ enqueue, context }) {
  if (context.work.length > 0) enqueue(more)
})
/** Takes what the board said; a walk that begins with it is set going. */
const takeVerdict = plan.enqueueActions(function takeVerdict({ enqueue, context, event }) {
  enqueue('takeVerdict')
  const { verdict } = event as Of<'job.settled' | 'retry.requested'>
  if (context.work.length === 0 && verdict.work.length > 0) enqueue(more)
})
const walkInstead = (work: Work) =>
  plan.enqueueActions(function walkInstead({ enqueue, context }) {
    enqueue({ type: 'replaceWork', params: work })
    if (context.work.length === 0) enqueue(more)
  })
/** Withdraws everything, whatever became of the `more` that was on its way. */
const walkAnew = plan.enqueueActions(function walkAnew({ enqueue }) {
  enqueue({ type: 'replaceWork', params: withdrawAll('cancelled') })
  enqueue(more)
})
const tellJobs = (event: 'plan.paused' | 'plan.continued') =>
  plan.enqueueActions(function tellJobs({ enqueue, context }) {
    if (!context.deadlines) return
    enqueue({ type: 'addWork', params: tellAll(event) })
    if (context.work.length === 0) enqueue(more)
  })

const duplicate = { guard: 'isUnknown' } as const
const counted = [
  { guard: 'isFailure', actions: [takeVerdict, 'noteFailure'] },
  { actions: takeVerdict },
] as const
const walks = { actions: ['takeVerdict', keepWalking] } as const
const stops = {
  guard: 'stopsPlan',
  actions: [takeVerdict, 'noteFailure', 'noteStop', walkInstead(withdrawAll('skipped'))],
} as const
const over = { guard: 'isOver', target: 'ending' } as const
const cancels = {
  target: 'cancelling',
  actions: ['noteCancel', walkInstead(withdrawAll('cancelled'))],
} as const
const quarantines = { target: 'quarantined' } as const
const retries = { actions: [takeVerdict, 'forgetFailures'] } as const
const again = {
  'retry.requested': { target: 'running', actions: [takeVerdict, 'openGeneration', 'forgetFailures'] },
} as const

/** The machine of a plan. Pure: it names effects and performs none. */
export const planMachine = plan.createMachine({
  id: 'plan',
  options: { maxIterations: 100 },
  context: ({ input }) => ({
    generation: 1,
    open: input.jobs,
    failed: null,
    cancelled: false,
    stopped: false,
    reason: null,
    work: [{ do: 'release', from: 0 }],
    onFailure: input.onFailure,
    deadlines: input.deadlines,
  }),
  initial: 'created',
  states: {
    created: { always: { target: 'running', actions: more } },
    running: {
      entry: because(null),
      always: over,
      on: {
        'job.settled': [
          duplicate,
          stops,
          { guard: 'pausesPlan', target: 'paused', actions: [takeVerdict, 'noteFailure'] },
          ...counted,
        ],
        more: walks,
        recheck: walks,
        'pause.requested': { target: 'paused' },
        'cancel.requested': cancels,
        'retry.requested': retries,
        faulted: quarantines,
        recovered: {},
      },
    },
    paused: {
      entry: [because('paused'), tellJobs('plan.paused')],
      always: over,
      on: {
        'job.settled': [duplicate, stops, ...counted],
        more: walks,
        recheck: walks,
        'continue.requested': { target: 'running', actions: tellJobs('plan.continued') },
        'cancel.requested': cancels,
        'retry.requested': retries,
        faulted: quarantines,
        recovered: {},
      },
    },
    cancelling: {
      entry: because('stop-cancel'),
      always: over,
      on: {
        'job.settled': [duplicate, ...counted],
        more: walks,
        recheck: walks,
        'cancel.requested': { guard: 'isUrgent', actions: walkInstead(withdrawAll('cancelled', true)) },
        faulted: quarantines,
        recovered: {},
      },
    },
    quarantined: {
      entry: because('fault'),
      on: {
        // The message that failed may have been the `more` that was on its way; one too many finds nothing to do.
        'continue.requested': [
          { guard: 'isCancelled', target: 'cancelling', actions: keepWalking },
          { target: 'running', actions: [keepWalking, tellJobs('plan.continued')] },
        ],
        'cancel.requested': { target: 'cancelling', actions: ['noteCancel', walkAnew] },
        recovered: {},
      },
    },
    ending: {
      always: [
        { guard: 'isCancelled', target: 'cancelled' },
        { guard: 'isFailed', target: 'failed' },
        { target: 'succeeded' },
      ],
    },
    succeeded: { entry: [because(null), 'sweepProcesses'], on: again },
    failed: { entry: ['becauseOfFailure', 'sweepProcesses'], on: again },
    cancelled: { entry: [because('operator'), 'sweepProcesses'], on: again },
  },
})

/** A snapshot of the plan machine. */
export type PlanSnapshot = SnapshotFrom<typeof planMachine>
type State = Pick<PlanSnapshot, 'value' | 'context'>

/** Whether jobs of a plan in this state may be given a slot. */
export const planAdmits = ({ value, context }: State): boolean =>
  value === 'running' && !context.work.some((work) => work.do === 'withdraw')

/** What becomes of jobs that wait in a plan in this state. */
export const planWalking = ({ value, context }: State): 'release' | 'skip' | 'cancel' =>
  value === 'cancelling' ? 'cancel' : context.stopped ? 'skip' : 'release'

/** Whether the end of a job releases and skips others, or the plan is withdrawing them anyway. */
export const planSpreads = ({ value, context }: State): boolean =>
  (value === 'running' || value === 'paused') && !context.stopped

/** The version of the machine, stored with every row. Raise it when a state, an event or the context changes its meaning. */
export const PLAN_VERSION = 'plan/1'
