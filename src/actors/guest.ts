/**
 * The life of a guest, as the house sees it: a process that may fail in any way and is started again, ever later, until it is given up
 * for a while.
 *
 *             began              greeted              well
 *   off ─────────────▶ starting ─────────▶ up ─────────────────▶ up, its failures forgotten
 *    ▲                  ▲   │              │
 *    │ stopped          │   │ failed       │ failed
 *   (any)           due │   ▼              ▼
 *                      waiting ◀──── judged ────▶ open            the breaker: too many failures within a period
 *                                       ▲          │ due
 *                                failed │          ▼
 *                                       └────── trying ─ greeted ─▶ proving ─ well ─▶ up
 *                                                                      └ failed ─▶ judged: open again, for longer
 *
 * Pure: moments are those of the events, the timers are the caller's. `failed` says that the process is to be gone, whatever is left
 * of it; a guest that says nothing has failed, too.
 */
import { assign, setup } from 'xstate'
import { backoffMs } from '../machines/backoff.ts'

/** How often a guest may fail, and what follows. */
export type GuestPolicy = Readonly<{
  /** So many failures within the period open the breaker. */
  failures: number
  withinMs: number
  /** Before each new start: from the first to the last of these, doubled each time, and up to a fifth more by chance. */
  delayMs: number
  delayMaxMs: number
  /** How long it is given up for; doubled each time that the trial fails. */
  coolMs: number
  coolMaxMs: number
  /** After so long without a failure the earlier ones are forgotten. */
  wellAfterMs: number
}>

/** What the house knows of a guest. Moments are those of the events. */
export type GuestContext = Readonly<{
  policy: GuestPolicy
  /** The moments of its failures within the period, the last one at the end. */
  failedAt: readonly number[]
  /** Starts after the first. */
  restarts: number
  starts: number
  /** How often in a row the breaker has opened. */
  opened: number
  /** Why it failed last; null when it has not since it was last well. */
  error: Readonly<{ text: string; at: number }> | null
  /** When it is started next; null when it is not waited for. */
  nextAt: number | null
}>

/** What may happen to a guest. `draw` is a number in [0, 1). */
export type GuestEvent =
  | Readonly<{ type: 'began'; at: number }>
  | Readonly<{ type: 'greeted'; at: number }>
  | Readonly<{ type: 'well'; at: number }>
  | Readonly<{ type: 'failed'; at: number; error: string; draw: number }>
  | Readonly<{ type: 'due'; at: number }>
  | Readonly<{ type: 'stopped'; at: number }>

/** What is to be done about it. */
export type GuestEffect =
  /** Starts the process. */
  | Readonly<{ type: 'start' }>
  /** Sees to it that there is no process. */
  | Readonly<{ type: 'end' }>
  /** `due`, or `well`, after so long; takes the place of what was to come before. */
  | Readonly<{ type: 'wake'; as: 'due' | 'well'; afterMs: number }>

type Failed = Extract<GuestEvent, { type: 'failed' }>
type At = Readonly<{ context: GuestContext; event: GuestEvent }>

const effect = <P>(_: unknown, _params: P) => {}
const delayAfter = (n: number, { delayMs, delayMaxMs }: GuestPolicy, draw: number): number =>
  backoffMs({ delayMs, factor: 2, maxDelayMs: delayMaxMs, jitter: JITTER }, n - 1, draw)
const JITTER = 0.2

const guest = setup({
  types: { input: {} as GuestPolicy, context: {} as GuestContext, events: {} as GuestEvent },
  actions: {
    start: effect,
    end: effect,
    wake: effect<Omit<Extract<GuestEffect, { type: 'wake' }>, 'type'>>,
    countStart: assign(({ context }) => ({
      starts: context.starts + 1,
      restarts: context.starts,
      nextAt: null,
    })),
    noteFailure: assign(({ context, event }) => {
      const { at, error } = event as Failed
      const recent = context.failedAt.filter((each) => at - each < context.policy.withinMs)
      return { error: { text: error, at }, failedAt: [...recent, at].slice(-context.policy.failures) }
    }),
    forgetFailures: assign({ failedAt: [], opened: 0, error: null }),
    openAgain: assign(({ context }) => ({ opened: context.opened + 1, failedAt: [] })),
    planNext: assign(({ event }, afterMs: number) => ({ nextAt: event.at + afterMs })),
    forgetNext: assign({ nextAt: null }),
  },
  guards: {
    isTooOften: ({ context }) => context.failedAt.length >= context.policy.failures,
    isOnTrial: ({ context }) => context.opened > 0,
  },
})

const waitMs = ({ context, event }: At): number =>
  delayAfter(context.failedAt.length, context.policy, (event as Failed).draw)
const coolMs = ({ context: { policy, opened } }: At): number =>
  Math.min(policy.coolMs * 2 ** (opened - 1), policy.coolMaxMs)
const wakeAfter = (ms: (of: At) => number) =>
  [
    { type: 'planNext', params: ms },
    { type: 'wake', params: (of: At) => ({ as: 'due', afterMs: ms(of) }) as const },
  ] as const
const wakeWhenWell = {
  type: 'wake',
  params: ({ context }: At) => ({ as: 'well', afterMs: context.policy.wellAfterMs }) as const,
} as const
const fails = { failed: { target: 'judged', actions: 'noteFailure' } } as const

/** The machine of a guest. It names effects and performs none. */
export const guestMachine = guest.createMachine({
  id: 'guest',
  context: ({ input }) => ({
    policy: input,
    failedAt: [],
    restarts: 0,
    starts: 0,
    opened: 0,
    error: null,
    nextAt: null,
  }),
  initial: 'off',
  on: { stopped: { target: '.off', actions: ['end', 'forgetNext'] } },
  states: {
    off: { on: { began: 'starting' } },
    starting: { entry: ['countStart', 'start'], on: { greeted: 'up', ...fails } },
    up: { entry: wakeWhenWell, on: { well: { actions: 'forgetFailures' }, ...fails } },
    judged: {
      entry: 'end',
      always: [
        { guard: 'isOnTrial', target: 'open' },
        { guard: 'isTooOften', target: 'open' },
        { target: 'waiting' },
      ],
    },
    waiting: { entry: [...wakeAfter(waitMs)], on: { due: 'starting' } },
    open: { entry: ['openAgain', ...wakeAfter(coolMs)], on: { due: 'trying' } },
    trying: { entry: ['countStart', 'start'], on: { greeted: 'proving', ...fails } },
    proving: {
      entry: wakeWhenWell,
      on: { well: { target: 'up', actions: 'forgetFailures' }, ...fails },
    },
  },
})
