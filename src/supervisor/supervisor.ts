/**
 * A supervisor: it starts its children, and what becomes of them is its business. Nothing a child does is its siblings' affair unless
 * the strategy says so.
 *
 *   requests, what children say, timers ──▶ mailbox ──▶ decide ──▶ rows ──▶ what was asked for: starts, stops, answers …
 *                                             ▲                                   │
 *                                             └───────────────────────────────────┘
 *
 * One message at a time, to its end. What a child does while it is being started or stopped is a message like any other.
 */
import { TenutoError } from '../errors.ts'
import { type Body, killBody, newBody, startBody, stopBody } from './body.ts'
import { decide } from './decide.ts'
import { drawing } from './drawing.ts'
import type { ChildState } from './machines.ts'
import type { SupervisorPorts } from './ports.ts'
import { failure, KILLED, type Reason, reasonText, SHUTDOWN } from './reason.ts'
import type { Context, Ref, Started, Tree } from './ref.ts'
import {
  type ChildSpec,
  checkChild,
  checkFunction,
  checkSupervisor,
  type Flags,
  type Instance,
  policyOf,
  type Terms,
  termsOf,
} from './spec.ts'
import {
  type Ask,
  type Child,
  type Decision,
  type Event,
  isLive,
  type LifeRecord,
  newState,
  type Outcome,
} from './state.ts'
import { CHILDREN_SHOWN, treeOf } from './tree.ts'
import { type Watcher, watches } from './watches.ts'

/** A child as it is listed. */
export type Listed = Pick<Child, 'id' | 'state' | 'incarnation' | 'terms'>

/** What came of `startChild`, `restartChild` and `clearChild`. */
export type StartOutcome = Outcome & Readonly<{ info?: unknown }>

/** A supervisor. It is a `Ref`: any supervisor can be a child of another. */
export type Supervisor<Args = unknown> = Readonly<{
  /**
   * Starts the children in order; resolves when the last is up. Idempotent while it is up.
   * @throws {TenutoError} `CHILD_NOT_STARTED` when one could not be started; those before it have been stopped. `SUPERVISOR_ENDED`
   * when it was told to stop, or has ended.
   */
  start: () => Promise<void>
  /** Stops the children in reverse order, each in its time; resolves when nothing runs. Idempotent. */
  stop: () => Promise<void>
  /** Ends all children at once, without asking them, and itself. Idempotent. */
  kill: () => void
  /** Resolves when it has ended, with the reason. */
  ended: Promise<Reason>
  /**
   * Adds a child and starts it; resolves when its start has settled. One that could not be started is not kept.
   * @throws {TenutoError} `SUPERVISION_INVALID` with every mistake.
   */
  startChild: (child: ChildSpec<Args> | Instance<Args>) => Promise<StartOutcome>
  /** Stops a child; resolves when it has ended. Static children stay known. */
  stopChild: (id: string) => Promise<Outcome>
  /** Starts a child that is `stopped`. */
  restartChild: (id: string) => Promise<StartOutcome>
  /** Forgets a child that is `stopped` or `given-up`. */
  deleteChild: (id: string) => Promise<Outcome>
  /** Starts a child that is `given-up`, with nothing held against it. */
  clearChild: (id: string) => Promise<StartOutcome>
  /** What runs under that name now. */
  ref: (id: string) => Ref | undefined
  /** All children, in start order. */
  list: () => readonly Listed[]
  /** `specs` of a dynamic supervisor is 1, its template. */
  counts: () => Readonly<{
    specs: number
    active: number
    supervisors: number
    workers: number
    restarting: number
    givenUp: number
    /** Restarts there ever were. */
    restarts: number
  }>
  getSpec: (id: string) => Terms | undefined
  /**
   * Tells once, a moment later, that a child has ended and is not restarted; at once if it rests already or is not there. With null:
   * of every child. Answers how to look away.
   * @throws {TenutoError} `SUPERVISION_INVALID` when the watcher is no function.
   */
  watch: (id: string | null, watcher: Watcher) => () => void
  /** Shows it and what is below, at most `most` children of it. */
  tree: (most?: number) => Tree
}>

/** How a child is started, again and again. Kept apart from its row, which is data. */
type Maker = Readonly<{ start: (context: Context<never>) => Started | PromiseLike<Started>; args: unknown }>

/**
 * A supervisor of these children; of a dynamic one, `specs` is the template of all it will have. Nothing runs before `start`.
 * @throws {TenutoError} `SUPERVISION_INVALID` with every mistake there is in flags, specs and ports.
 */
export const supervisor = <Args = unknown>(
  flags: Flags,
  specs: readonly ChildSpec<Args>[],
  ports: SupervisorPorts,
): Supervisor<Args> => {
  checkSupervisor(flags, specs, ports)
  const { clock, random, report, inspect, name = 'root' } = ports
  const policy = policyOf(flags)
  const [template] = policy.strategy === 'dynamic' ? specs : []
  const templateTerms = template && termsOf(policy.strategy, template)
  const fixed = template
    ? []
    : specs.map((spec) => ({ spec, id: spec.id, terms: termsOf(policy.strategy, spec) }))
  const initial = newState(policy, fixed, clock.monotonic())
  const { children } = initial
  let { life } = initial
  const makers = new Map<string, Maker>(
    fixed.map(({ id, spec: { start } }) => [id, { start, args: undefined }]),
  )
  const bodies = new Map<string, Body>()
  const timers = new Map<string, Timer>()
  const watching = watches(clock.soon)
  const drawn = inspect && drawing(name, inspect)

  // The mailbox: one message at a time, to its end.

  let mailbox: Message[] = []
  let isTaking = false
  const post = (event: Event, maker?: Maker): void => {
    mailbox.push({ event, maker })
    if (isTaking) return
    isTaking = true
    try {
      for (let at = 0; at < mailbox.length; at += 1) take(mailbox[at] as Message)
    } finally {
      mailbox = []
      isTaking = false
    }
  }
  const tell = (event: Event): void => post(event)

  const take = ({ event, maker }: Message): void => {
    try {
      const isKnown = 'id' in event && children.has(event.id)
      const decision = decide({ policy, life, children }, event, { at: clock.monotonic(), chance: random() })
      if (maker && 'id' in event && !isKnown && decision.changed.has(event.id)) makers.set(event.id, maker)
      keep(decision)
      for (const ask of decision.asks) perform(ask)
      tidy(decision)
    } catch (error) {
      fall(error)
    }
  }

  const keep = ({ life: next, changed }: Decision): void => {
    life = next
    for (const [id, child] of changed) {
      if (child === null) children.delete(id)
      else children.set(id, child)
      const timer = timers.get(id)
      if (timer && (timer.fence !== child?.fence || timer.state !== child.state)) disarm(id)
    }
  }

  /** Lets go of what belongs to children that are no more. */
  const tidy = ({ changed }: Decision): void => {
    for (const id of changed.keys()) {
      const child = children.get(id)
      if (child === undefined) {
        makers.delete(id)
        drawn?.forget(id)
      }
      if (child === undefined || !isLive(child)) bodies.delete(id)
    }
  }

  /** A mistake of this supervisor's own: nothing it knows can be relied on, so nothing of it is left. */
  const fall = (error: unknown): void => {
    for (const body of [...bodies.values()].toReversed()) killBody(body)
    for (const id of [...timers.keys()]) disarm(id)
    for (const child of children.values()) {
      const { id, incarnation } = child
      if (!isAtRest(child)) watching.tell({ id, incarnation, reason: KILLED })
    }
    bodies.clear()
    children.clear()
    const at = clock.monotonic()
    const reason = failure(error)
    life = { ...newState(policy, [], at).life, state: 'ended', reason }
    for (const call of [...calls.keys()]) settle(call, { ok: false, why: 'not-up', cause: reason })
    tellReport({ type: 'ended', child: null, incarnation: 0, at, reason, afterMs: null })
    drawn?.end()
    finish(reason)
  }

  // What a decision asks for.

  const perform = (ask: Ask): void => {
    switch (ask.do) {
      case 'startChild': {
        const { id, incarnation, fence, withinMs } = ask
        const maker = makers.get(id) as Maker
        const body = newBody(id, incarnation, fence)
        bodies.set(id, body)
        // It is never started again, and what it was started with may be large.
        if (children.get(id)?.terms.restart === 'temporary') makers.delete(id)
        startBody(body, maker.start, maker.args, tell)
        if (body.ref === null && !body.isOver) arm(id, fence, 'starting', withinMs)
        return
      }
      case 'stopChild': {
        const { id, fence, withinMs } = ask
        const body = bodyOf(ask)
        if (body) stopBody(body, tell)
        if (withinMs !== null && body?.isOver !== true) arm(id, fence, 'stopping', withinMs)
        return
      }
      case 'killChild': {
        const body = bodyOf(ask)
        if (body) killBody(body)
        return
      }
      case 'wakeChild':
        return arm(ask.id, ask.fence, 'restarting', ask.afterMs)
      case 'tellWatchers':
        return watching.tell({ id: ask.id, incarnation: ask.incarnation, reason: ask.reason })
      case 'answer':
        return settle(ask.call, ask.outcome)
      case 'record':
        return tellReport(ask.record)
      case 'show':
        return drawn?.show(ask.id, ask.by)
      case 'end':
        drawn?.end()
        return finish(ask.reason)
    }
  }
  const bodyOf = ({ id, fence }: Readonly<{ id: string; fence: number }>): Body | undefined => {
    const body = bodies.get(id)
    return body?.fence === fence ? body : undefined
  }
  const arm = (id: string, fence: number, current: ChildState, afterMs: number): void => {
    disarm(id)
    const wake = (): void => {
      timers.delete(id)
      post({ type: 'time.over', id, fence, state: current })
    }
    timers.set(id, { fence, state: current, cancel: clock.setTimeout(wake, afterMs) })
  }
  const disarm = (id: string): void => {
    timers.get(id)?.cancel()
    timers.delete(id)
  }
  const tellReport = (record: LifeRecord): void => {
    try {
      report?.(record, name)
    } catch {
      // Who looks on hurts nobody.
    }
  }

  // Requests, and their answers.

  const calls = new Map<number, (outcome: Outcome) => void>()
  let lastCall = 0
  const settle = (call: number, outcome: Outcome): void => {
    calls.get(call)?.(outcome)
    calls.delete(call)
  }
  const request = (eventOf: (call: number) => Event, maker?: Maker): Promise<Outcome> =>
    new Promise((resolve) => {
      lastCall += 1
      calls.set(lastCall, resolve)
      post(eventOf(lastCall), maker)
    })
  /** A request for a start: what the start answered comes with it, as it is when the answer is given. */
  const requestStart = (id: string, eventOf: (call: number) => Event, maker?: Maker): Promise<StartOutcome> =>
    new Promise((resolve) => {
      lastCall += 1
      calls.set(lastCall, (outcome) =>
        resolve(outcome.ok ? { ...outcome, info: bodies.get(id)?.info } : outcome),
      )
      post(eventOf(lastCall), maker)
    })
  const { promise: ended, resolve: finish } = Promise.withResolvers<Reason>()
  let starting: Promise<void> | null = null

  return {
    start: () => {
      const hasEnded = life.state === 'stopping' || life.state === 'ended'
      const known = starting ?? (hasEnded ? Promise.resolve() : null)
      if (known !== null && hasEnded) return known.then(() => Promise.reject(endedError(name, life.reason)))
      starting ??= request((call) => ({ type: 'start.requested', call })).then((outcome) => {
        if (!outcome.ok) throw startError(name, outcome.cause)
      })
      return starting
    },
    stop: async () => {
      await request((call) => ({ type: 'stop.requested', call }))
    },
    kill: () => post({ type: 'kill.requested' }),
    ended,
    startChild: async (child) => {
      checkChild(policy.strategy, child)
      const { id } = child
      const maker: Maker | undefined =
        template && 'args' in child
          ? { start: template.start, args: child.args }
          : { start: template ? template.start : (child as ChildSpec<Args>).start, args: undefined }
      const terms = templateTerms ?? termsOf(policy.strategy, child)
      return requestStart(id, (call) => ({ type: 'child.added', call, id, terms }), maker)
    },
    stopChild: (id) => request((call) => ({ type: 'stop.asked', call, id })),
    restartChild: (id) => requestStart(id, (call) => ({ type: 'restart.asked', call, id })),
    deleteChild: (id) => request((call) => ({ type: 'delete.asked', call, id })),
    clearChild: (id) => requestStart(id, (call) => ({ type: 'clear.asked', call, id })),
    ref: (id) => bodies.get(id)?.ref ?? undefined,
    list: () =>
      [...children.values()].map(({ id, state, incarnation, terms }) => ({ id, state, incarnation, terms })),
    counts: () => {
      const { counts, supervisors, restarts } = life
      return {
        specs: template ? 1 : children.size,
        active: counts.running + counts.stopping,
        supervisors,
        workers: children.size - supervisors,
        restarting: counts.restarting,
        givenUp: counts['given-up'],
        restarts,
      }
    },
    getSpec: (id) => children.get(id)?.terms,
    watch: (id, watcher) => {
      checkFunction(`the watcher of ${id ?? 'every child'}`, watcher)
      const away = watching.watch(id, watcher)
      const child = id === null ? undefined : children.get(id)
      if (id === null || (child && !isAtRest(child))) return away
      const { incarnation = 0, history = [] } = child ?? {}
      watching.tell({ id, incarnation, reason: history.at(-1)?.reason ?? null }, watcher)
      return away
    },
    tree: (most = CHILDREN_SHOWN) =>
      treeOf(
        name,
        { policy, life, children },
        (id) => bodies.get(id)?.ref ?? undefined,
        clock.monotonic(),
        most,
      ),
  }
}

type Message = Readonly<{ event: Event; maker: Maker | undefined }>
type Timer = Readonly<{ fence: number; state: ChildState; cancel: () => void }>

const isAtRest = ({ state }: Child): boolean => state === 'stopped' || state === 'given-up'

/** A supervisor that did not come up, as an error. */
const startError = (name: string, cause: Reason | null): unknown => {
  if (cause?.type === 'error') return cause.error
  return new TenutoError('CHILD_NOT_STARTED', { child: name, why: reasonText(cause ?? SHUTDOWN) }, cause)
}

/** A supervisor that is not started again, as an error. */
const endedError = (name: string, reason: Reason | null): TenutoError =>
  new TenutoError('SUPERVISOR_ENDED', { name, why: reasonText(reason ?? SHUTDOWN) }, reason)
