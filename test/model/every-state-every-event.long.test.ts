/**
 * Every reachable state of both machines times every event, against a second opinion written event by event from the contract
 * instead of state by state.
 *
 * The states are those at the ends of the shortest paths of `xstate/graph`. Mutations that were planted once, and each found: in
 * `job.ts`, `stopping` without `isStale`; `waiting` that lets a pause count; `queued` that ends by any timer; a loss that is tried
 * again four times; `reopen` that keeps the failures of the last generation; an answer to the question of another generation; no
 * answer taken for yes. In `plan.ts`, `cancelling` taking a retry;
 * `quarantined` hearing of a job; an end that forgets the reason of its failure; `paused` that does not stop.
 */
import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { getShortestPaths } from 'xstate/graph'
import { type Decision, flatSystem, type Named } from '../../src/actors/system.ts'
import { OUTCOMES, type Outcome } from '../../src/attempt.ts'
import type { RetryPolicy } from '../../src/definition.ts'
import type { JsonObject } from '../../src/json.ts'
import type { Work } from '../../src/machines/board.ts'
import { type JobContext, type JobEvent, type JobInput, jobAsks, jobMachine } from '../../src/machines/job.ts'
import { type PlanContext, type PlanEvent, type PlanInput, planMachine } from '../../src/machines/plan.ts'
import { JOB_STATES, PLAN_STATES } from '../../src/states.ts'

/** What should come of an event: the state, the context, and what is asked for; null when it is refused. */
type Opinion = Readonly<{ state: string; context: JsonObject; asks: readonly Named[] }> | null

const system = flatSystem()
type Kind = Readonly<{ machine: typeof jobMachine | typeof planMachine; name: string }>

/** What the machine makes of an event in a state. */
const decide = ({ machine, name }: Kind, state: string, context: object, event: object): Decision => {
  const actor = system.restore(machine, name as 'plan:p', { value: state, context: context as JsonObject })
  return system.take(actor, event, null)
}
/** Tens of thousands of pairs: only what disagrees is put into words. */
const agree = (decision: Decision, opinion: Opinion, story: () => string): void => {
  const { value, context, actions } = decision
  const refused = !decision.changed && actions.length === 0
  const found = refused ? null : { state: value, context, asks: actions }
  if (!isDeepStrictEqual(found, opinion)) expect(found, story()).toEqual(opinion)
}

// Jobs.

const AT = 2_000
const LATE = 1_000_000
const RETRY: RetryPolicy = {
  max: 1,
  delayMs: 100,
  factor: 2,
  maxDelayMs: 150,
  jitter: 0.5,
  on: ['timeout', 'exit:75'],
}
const ENDS = ['succeeded', 'failed', 'cancelled', 'skipped']
const AT_REST = ['held', 'queued', 'backoff', 'waiting']

const timers = (c: JobContext, backoff: boolean): Named => ({
  type: 'armTimers',
  params: {
    timers: [
      ...(backoff ? [{ name: 'backoff', at: c.wakeAt }] : []),
      ...(c.deadlineAt !== null && c.pausedAt === null ? [{ name: 'deadline', at: c.deadlineAt }] : []),
    ],
  },
})
const approval = ({ approvalAt }: JobContext): Named => ({
  type: 'armTimers',
  params: { timers: approvalAt === undefined ? [] : [{ name: 'approval', at: approvalAt }] },
})
const ensure = ({ attempt, generation, deadlineAt }: JobContext): Named => ({
  type: 'ensureAttempt',
  params: { type: 'ensureAttempt', attempt, generation, deadlineAt },
})
const stop = ({ attempt, generation, reason }: JobContext, now: boolean): Named => ({
  type: 'stopAttempt',
  params: { type: 'stopAttempt', attempt, generation, why: reason, now },
})

/** What being in a state asks for. */
const standing = (state: string, c: JobContext): readonly Named[] => {
  if (state === 'queued') return [timers(c, false)]
  if (state === 'backoff') return [timers(c, true)]
  if (state === 'running') return [ensure(c)]
  if (state === 'waiting') return [approval(c)]
  return state === 'stopping' ? [stop(c, false)] : []
}
const become = (state: string, c: JobContext, reason: JobContext['reason'], now = false): Opinion => {
  const context = { ...c, reason }
  const { job, generation, attempt } = c
  const told = { type: 'job.settled', job, generation, attempt, state, reason }
  const asks = ENDS.includes(state)
    ? [{ type: 'tellPlan', params: told }]
    : state === 'stopping'
      ? [stop(context, now)]
      : standing(state, context)
  return { state, context: context as unknown as JsonObject, asks }
}
const stay = (state: string, c: JobContext, asks: readonly Named[] = []): Opinion => ({
  state,
  context: c as unknown as JsonObject,
  asks,
})
/** A pause that ends moves the deadline. */
const resume = (c: JobContext, at: number): JobContext =>
  c.pausedAt === null
    ? c
    : { ...c, pausedAt: null, deadlineAt: c.deadlineAt === null ? null : c.deadlineAt + at - c.pausedAt }
const rest = (c: JobContext, at: number): JobContext => (c.paused ? { ...c, pausedAt: at } : c)

const afterAttempt = (c: JobContext, e: Extract<JobEvent, { type: 'attempt.ended' }>): Opinion => {
  const { retry, onLost = 'hold' } = c.policy
  if (e.outcome === 'succeeded') return become('succeeded', c, null)
  if (e.outcome === 'cancelled') return become('cancelled', c, 'operator')
  if (e.outcome === 'lost') {
    if (onLost === 'hold') return become('waiting', rest(c, e.at), 'lost')
    if (onLost === 'fail' || c.losses === 3) return become('failed', c, 'lost')
    return become('queued', rest({ ...c, losses: c.losses + 1, unstarted: 0 }, e.at), 'slot')
  }
  if (e.outcome === 'never-started' && c.unstarted < 5) {
    const wakeAt = e.at + Math.round(Math.min(10_000, 200 * 2 ** c.unstarted) * (1 + e.draw * 0.2))
    return become('backoff', rest({ ...c, unstarted: c.unstarted + 1, wakeAt }, e.at), 'backoff')
  }
  const wanted = retry?.on.some((on) => on === e.outcome || (e.outcome === 'exit' && on === `exit:${e.code}`))
  if (retry && wanted && c.failures < retry.max) {
    const delay = Math.min(retry.maxDelayMs, retry.delayMs * retry.factor ** c.failures)
    const wakeAt = e.at + Math.round(delay * (1 + e.draw * retry.jitter))
    return become('backoff', rest({ ...c, failures: c.failures + 1, unstarted: 0, wakeAt }, e.at), 'backoff')
  }
  return become('failed', c, e.outcome)
}

/** What a new generation begins with. */
const FRESH = {
  failures: 0,
  unstarted: 0,
  losses: 0,
  wakeAt: 0,
  faulted: false,
  deadlineAt: null,
  pausedAt: null,
}

/** The second opinion on a job. */
const jobOpinion = (s: string, c: JobContext, e: JobEvent): Opinion => {
  const limited = c.policy.deadlineMs !== undefined
  const deadline = (at: number): number | null =>
    c.policy.deadlineMs === undefined ? null : at + c.policy.deadlineMs
  const stale = 'attempt' in e && (e.attempt !== c.attempt || e.generation !== c.generation)
  const open = s === 'running' || s === 'stopping'
  const { gate } = c.policy
  const asked = (at: number): JobContext => ({
    ...c,
    approvalAt: gate?.timeoutMs === undefined ? undefined : at + gate.timeoutMs,
  })
  const answers = (e: { generation: number; at: number }): boolean =>
    s === 'waiting' &&
    gate !== undefined &&
    e.generation === c.generation &&
    e.at < (c.approvalAt ?? e.at + 1)
  switch (e.type) {
    case 'recovered': {
      const asks = standing(s, c)
      return asks.length > 0 ? stay(s, c, asks) : null
    }
    case 'released':
      if (s !== 'held') return null
      if (gate) return become('waiting', asked(e.at), 'approval')
      return become('queued', { ...c, deadlineAt: deadline(e.at), pausedAt: c.paused ? e.at : null }, 'slot')
    case 'slot.granted':
      return s === 'queued' ? become('running', resume({ ...c, attempt: c.attempt + 1 }, e.at), null) : null
    case 'attempt.stopping':
      return s === 'running' && !stale ? become('stopping', c, e.why) : null
    case 'attempt.ended':
      if (!open || stale) return null
      if (s === 'running') return afterAttempt(c, e)
      if (c.faulted) return become('failed', c, 'fault')
      if (e.outcome === 'succeeded') return become('succeeded', c, null)
      return c.reason === 'stop-cancel' ? become('cancelled', c, 'operator') : afterAttempt(c, e)
    case 'timer.fired': {
      const past = c.deadlineAt !== null && c.pausedAt === null && e.at >= c.deadlineAt
      if (e.name === 'deadline' && past && (s === 'queued' || s === 'backoff'))
        return become('failed', c, 'deadline')
      if (e.name === 'approval') {
        if (s !== 'waiting' || c.approvalAt === undefined || e.at < c.approvalAt) return null
        return gate?.onTimeout === 'approve'
          ? become('succeeded', c, null)
          : become('failed', c, 'approval-denied')
      }
      return e.name === 'backoff' && s === 'backoff' && e.at >= c.wakeAt ? become('queued', c, 'slot') : null
    }
    case 'plan.paused':
      if (!limited) return null
      // Only a wait after the release is time that a deadline counts, and so only there a pause is kept by the minute.
      return s === 'queued' || s === 'backoff' || s === 'waiting'
        ? stay(s, { ...c, paused: true, pausedAt: c.pausedAt ?? e.at })
        : stay(s, { ...c, paused: true })
    case 'plan.continued': {
      if (!limited) return null
      const next = { ...resume(c, e.at), paused: false }
      return stay(s, next, s === 'queued' || s === 'backoff' ? standing(s, next) : [])
    }
    case 'cancel.requested':
      if (AT_REST.includes(s)) return become('cancelled', c, 'operator')
      if (s === 'running') return become('stopping', c, 'stop-cancel', e.now === true)
      if (s === 'stopping' && (e.now === true || c.reason !== 'stop-cancel'))
        return become('stopping', c, 'stop-cancel', e.now === true)
      return null
    case 'skip.requested':
      return AT_REST.includes(s) ? become('skipped', c, 'operator') : null
    case 'withdrawn':
      return AT_REST.includes(s) ? become('skipped', c, e.reason) : null
    case 'retry.requested':
      return s === 'waiting' && gate === undefined ? become('queued', c, 'slot') : null
    case 'now.requested':
      return s === 'backoff' ? become('queued', c, 'slot') : null
    case 'approve.requested':
      return answers(e) ? become('succeeded', c, null) : null
    case 'reject.requested':
      return answers(e) ? become('failed', c, 'approval-denied') : null
    case 'faulted':
      if (AT_REST.includes(s)) return become('failed', c, 'fault')
      if (s === 'running') return become('stopping', { ...c, faulted: true }, 'stop-cancel')
      if (s === 'stopping') return stay(s, { ...c, faulted: true })
      if ((e.generation ?? 0) <= c.generation) return null
      return become('failed', { ...c, ...FRESH, generation: e.generation ?? 0 }, 'fault')
    case 'reopened': {
      if (!ENDS.includes(s) || e.generation <= c.generation) return null
      const released = e.place === 'released'
      const paused = e.paused ?? c.paused
      const next = {
        ...c,
        paused,
        generation: e.generation,
        failures: 0,
        unstarted: 0,
        losses: 0,
        wakeAt: 0,
        faulted: false,
        deadlineAt: released ? deadline(e.at) : null,
        pausedAt: released && paused ? e.at : null,
      }
      if (gate && released)
        return become('waiting', { ...next, approvalAt: asked(e.at).approvalAt }, 'approval')
      return become(released ? 'queued' : 'held', next, released ? 'slot' : 'needs')
    }
  }
}

const attemptEnded = (c: JobContext, outcome: Outcome, more: Partial<JobEvent> = {}): JobEvent =>
  ({
    type: 'attempt.ended',
    at: AT,
    generation: c.generation,
    attempt: c.attempt,
    outcome,
    code: outcome === 'exit' ? 1 : null,
    signal: null,
    startedAt: null,
    endedAt: null,
    pid: null,
    draw: 0.5,
    ...more,
  }) as JobEvent

/** Every event in the variants that could matter in this context. */
const jobEvents = (c: JobContext): readonly JobEvent[] => [
  { type: 'recovered', at: AT },
  { type: 'released', at: AT },
  { type: 'slot.granted', at: AT },
  ...OUTCOMES.map((outcome) => attemptEnded(c, outcome)),
  attemptEnded(c, 'exit', { code: 75 } as Partial<JobEvent>),
  attemptEnded(c, 'succeeded', { attempt: c.attempt - 1 } as Partial<JobEvent>),
  attemptEnded(c, 'succeeded', { generation: c.generation - 1 } as Partial<JobEvent>),
  ...(['stop-timeout', 'stop-stall', 'stop-deadline', 'stop-log-limit'] as const).map(
    (why): JobEvent => ({
      type: 'attempt.stopping',
      at: AT,
      generation: c.generation,
      attempt: c.attempt,
      why,
    }),
  ),
  {
    type: 'attempt.stopping',
    at: AT,
    generation: c.generation,
    attempt: c.attempt - 1,
    why: 'stop-timeout',
  },
  ...(['backoff', 'deadline', 'approval'] as const).flatMap((name): JobEvent[] => [
    { type: 'timer.fired', at: AT, name, due: AT },
    { type: 'timer.fired', at: LATE, name, due: AT },
  ]),
  { type: 'plan.paused', at: AT },
  { type: 'plan.continued', at: AT + 500 },
  { type: 'cancel.requested', at: AT },
  { type: 'cancel.requested', at: AT, now: true },
  { type: 'skip.requested', at: AT },
  { type: 'retry.requested', at: AT },
  { type: 'now.requested', at: AT },
  ...(['approve.requested', 'reject.requested'] as const).flatMap((type): JobEvent[] => [
    { type, at: AT, generation: c.generation, shown: 'Ship it?' },
    { type, at: AT, generation: c.generation - 1, shown: 'Ship it?' },
    { type, at: LATE, generation: c.generation, shown: 'Ship it?' },
  ]),
  { type: 'withdrawn', at: AT, reason: 'need-failed' },
  { type: 'withdrawn', at: AT, reason: 'on-failure-stop' },
  { type: 'reopened', at: AT, generation: c.generation + 1, place: 'held' },
  { type: 'reopened', at: AT, generation: c.generation + 1, place: 'released' },
  { type: 'reopened', at: AT, generation: c.generation + 1, place: 'released', paused: true },
  { type: 'reopened', at: AT, generation: c.generation + 1, place: 'held', paused: false },
  { type: 'reopened', at: AT, generation: c.generation, place: 'released' },
  { type: 'faulted', at: AT, error: 'it threw' },
  { type: 'faulted', at: AT, error: 'it threw', generation: c.generation },
  { type: 'faulted', at: AT, error: 'it threw', generation: c.generation + 1 },
]

const jobInput = (more: Partial<JobInput>): JobInput => ({
  job: 'a',
  generation: 1,
  attempt: 0,
  place: 'released',
  at: 1_000,
  paused: false,
  policy: {},
  ...more,
})
const jobLives: Readonly<
  Record<string, Readonly<{ input: JobInput; attempts: number; generations: number }>>
> = {
  'that is never retried': { input: jobInput({}), attempts: 7, generations: 1 },
  'that is retried, and retried when lost': {
    input: jobInput({ place: 'held', policy: { retry: RETRY, onLost: 'retry' } }),
    attempts: 5,
    generations: 1,
  },
  'with a deadline, in a plan that is paused': {
    input: jobInput({ paused: true, policy: { retry: RETRY, deadlineMs: 60_000 } }),
    attempts: 2,
    generations: 2,
  },
  'that asks a person': {
    input: jobInput({ place: 'held', policy: { gate: {} } }),
    attempts: 1,
    generations: 2,
  },
  'that asks a person for a while': {
    input: jobInput({ policy: { gate: { timeoutMs: 5_000 } } }),
    attempts: 1,
    generations: 2,
  },
  'that asks a person for a while, and takes no answer for a yes': {
    input: jobInput({ place: 'held', policy: { gate: { timeoutMs: 5_000, onTimeout: 'approve' } } }),
    attempts: 1,
    generations: 2,
  },
  'with a deadline, that fails when lost': {
    input: jobInput({ place: 'held', policy: { onLost: 'fail', deadlineMs: 60_000 } }),
    attempts: 2,
    generations: 2,
  },
}

test.each(Object.entries(jobLives))(
  'a job %s does in every state at every event what the contract says',
  (_, { input, attempts, generations }) => {
    const paths = getShortestPaths(jobMachine, {
      input,
      events: ({ context }) => [...jobEvents(context)],
      stopWhen: ({ context: { attempt, generation, deadlineAt } }) =>
        attempt >= attempts || generation > generations || (deadlineAt ?? 0) > AT + 60_000 + 500,
      limit: 2_000_000,
    })
    const seen = new Set<string>()
    let pairs = 0

    for (const { state, steps } of paths) {
      const { context } = state
      const value = state.value as string
      seen.add(value)
      for (const event of jobEvents(context)) {
        const story = (): string =>
          `${steps.map((step) => step.event.type).join(', ')} | ${value} | ${JSON.stringify(event)}`
        agree(
          decide({ machine: jobMachine, name: 'job:p/a' }, value, context, event),
          jobOpinion(value, context, event),
          story,
        )
        pairs += 1
      }
      // What a state asks for, however it is asked.
      const asks = jobAsks({ value: value as 'queued', context })
      const asked = standing(value, context)
      const attempt = asked.find(({ type }) => type === 'ensureAttempt' || type === 'stopAttempt')
      const armed = asked.find(({ type }) => type === 'armTimers')?.params as { timers: unknown } | undefined
      const wanted = {
        slot: value === 'queued' ? 'wanted' : attempt ? 'held' : 'none',
        attempt: attempt?.params ?? null,
        timers: armed?.timers ?? [],
      }
      if (!isDeepStrictEqual(asks, wanted)) expect(asks, value).toEqual(wanted)
    }

    const asks = input.policy.gate !== undefined
    const perhaps = new Set(
      asks ? ['held', 'queued', 'running', 'stopping', 'backoff'] : ['held', 'backoff', 'waiting'],
    )
    const always = JOB_STATES.filter((state) => !perhaps.has(state))
    expect([...seen]).toEqual(expect.arrayContaining([...always]))
    if (asks) expect(seen).not.toContain('queued')
    expect(pairs).toBeGreaterThan(100)
    process.stdout.write(`job: ${paths.length} states, ${pairs} pairs\n`)
  },
)

// Plans.

const MORE: Named = { type: 'tellSelf', params: { type: 'more' } }
const SWEEP: Named = { type: 'sweepProcesses', params: undefined }
const LIVE = ['running', 'paused', 'cancelling']

const conclude = (state: string, c: PlanContext, asks: readonly Named[]): Opinion => {
  const over = LIVE.includes(state) && c.open === 0 && c.work.length === 0
  if (!over) return { state, context: c as unknown as JsonObject, asks }
  const end = c.cancelled ? 'cancelled' : c.failed === null ? 'succeeded' : 'failed'
  const reason = { cancelled: 'operator', succeeded: null, failed: c.failed }[end]
  return {
    state: end,
    context: { ...c, reason } as unknown as JsonObject,
    asks: [...asks, SWEEP],
  }
}
const spreads = (work: readonly Work[]): readonly Work[] => work.filter((each) => each.do === 'spread')
const withdrawal = (as: 'skipped' | 'cancelled', now = false): Work => ({ do: 'withdraw', as, now, from: 0 })
const tellWork = (event: 'plan.paused' | 'plan.continued'): Work => ({ do: 'tell', event, from: 0 })

/** The second opinion on a plan. */
const planOpinion = (s: string, c: PlanContext, e: PlanEvent): Opinion => {
  const live = LIVE.includes(s)
  const ended = !live && s !== 'quarantined'
  /** A `more` goes out when there was no work and there is some now. */
  const walk = (work: readonly Work[], before = c.work): readonly Named[] =>
    before.length === 0 && work.length > 0 ? [MORE] : []
  const tells = (work: readonly Work[], event: 'plan.paused' | 'plan.continued'): readonly Work[] =>
    c.deadlines ? [...work, tellWork(event)] : work
  switch (e.type) {
    case 'recovered':
      return null
    case 'job.settled': {
      if (!live || !e.verdict.known) return null
      const fails = !e.optional && (e.state === 'failed' || e.state === 'cancelled')
      const next = {
        ...c,
        open: c.open - e.verdict.settled,
        work: e.verdict.work,
        failed: fails ? (c.failed ?? e.reason) : c.failed,
      }
      if (fails && c.onFailure === 'stop' && !c.stopped && s !== 'cancelling') {
        const work = [withdrawal('skipped'), ...spreads(next.work)]
        return conclude(s, { ...next, stopped: true, work }, walk(work))
      }
      if (fails && c.onFailure === 'pause' && s === 'running') {
        const work = tells(next.work, 'plan.paused')
        return conclude('paused', { ...next, work, reason: 'paused' }, walk(work))
      }
      return conclude(s, next, walk(next.work))
    }
    case 'more':
    case 'recheck': {
      if (!live) return null
      const next = { ...c, open: c.open - e.verdict.settled, work: e.verdict.work }
      return conclude(s, next, next.work.length > 0 ? [MORE] : [])
    }
    case 'pause.requested': {
      if (s !== 'running') return null
      const work = tells(c.work, 'plan.paused')
      return conclude('paused', { ...c, work, reason: 'paused' }, walk(work))
    }
    case 'continue.requested': {
      if (s !== 'paused' && s !== 'quarantined') return null
      if (s === 'quarantined' && c.cancelled) {
        return conclude('cancelling', { ...c, reason: 'stop-cancel' }, c.work.length > 0 ? [MORE] : [])
      }
      const work = tells(c.work, 'plan.continued')
      return conclude(
        'running',
        { ...c, work, reason: null },
        s === 'quarantined' && work.length > 0 ? [MORE] : walk(work),
      )
    }
    case 'cancel.requested': {
      if (ended || (s === 'cancelling' && e.now !== true)) return null
      const work = [withdrawal('cancelled', s === 'cancelling'), ...spreads(c.work)]
      const asks = s === 'quarantined' ? [MORE] : walk(work)
      return conclude('cancelling', { ...c, cancelled: true, work, reason: 'stop-cancel' }, asks)
    }
    case 'retry.requested': {
      if (s === 'cancelling' || s === 'quarantined') return null
      const { verdict, failed } = e
      const next = { ...c, open: c.open - verdict.settled, work: verdict.work, failed, stopped: false }
      if (!ended) return conclude(s, next, walk(next.work))
      return conclude(
        'running',
        { ...next, generation: c.generation + 1, cancelled: false, reason: null },
        walk(next.work),
      )
    }
    case 'faulted':
      return live
        ? { state: 'quarantined', context: { ...c, reason: 'fault' } as unknown as JsonObject, asks: [] }
        : null
  }
}

const spread: Work = { do: 'spread', job: 0, from: 2 }
const planEvents = (c: PlanContext): readonly PlanEvent[] => {
  const settled = (
    state: 'succeeded' | 'failed' | 'cancelled' | 'skipped',
    more: object = {},
  ): PlanEvent => ({
    type: 'job.settled',
    at: AT,
    job: 'a',
    generation: 1,
    attempt: 1,
    state,
    reason: state === 'succeeded' ? null : state === 'failed' ? 'exit' : 'operator',
    optional: false,
    verdict: { known: c.open > 0, settled: Math.min(1, c.open), work: c.work },
    ...more,
  })
  const left = { known: c.open > 0, settled: Math.min(1, c.open), work: [...c.work, spread] }
  return [
    { type: 'recovered', at: AT },
    settled('succeeded'),
    settled('failed'),
    settled('cancelled'),
    settled('skipped'),
    settled('failed', { optional: true }),
    settled('failed', { verdict: { known: false, settled: 0, work: c.work } }),
    ...(c.work.length < 2
      ? [settled('succeeded', { verdict: left }), settled('failed', { verdict: left })]
      : []),
    { type: 'more', at: AT, verdict: { known: true, settled: 0, work: c.work.slice(0, -1) } },
    { type: 'more', at: AT, verdict: { known: true, settled: c.open, work: [] } },
    { type: 'more', at: AT, verdict: { known: true, settled: 0, work: c.work } },
    { type: 'pause.requested', at: AT },
    { type: 'continue.requested', at: AT },
    { type: 'cancel.requested', at: AT },
    { type: 'cancel.requested', at: AT, now: true },
    {
      type: 'retry.requested',
      at: AT,
      retry: { job: 'a', downstream: false },
      verdict: { known: true, settled: c.open < 2 ? -1 : 0, work: [] },
      failed: null,
    },
    {
      type: 'retry.requested',
      at: AT,
      retry: { job: null, downstream: false },
      verdict: { known: true, settled: c.open < 2 ? -1 : 0, work: [] },
      failed: 'signal',
    },
    { type: 'faulted', at: AT, error: 'it threw' },
  ]
}

const planLives: Readonly<Record<string, PlanInput>> = {
  'goes on after a failure': { jobs: 2, onFailure: 'continue', deadlines: false },
  'stops at a failure': { jobs: 2, onFailure: 'stop', deadlines: true },
  'pauses at a failure': { jobs: 2, onFailure: 'pause', deadlines: true },
}

test.each(Object.entries(planLives))(
  'a plan that %s does in every state at every event what the contract says',
  (_, input) => {
    const paths = getShortestPaths(planMachine, {
      input,
      events: ({ context }) => [...planEvents(context)],
      stopWhen: ({ context }) => context.generation > 2 || context.work.length > 2,
      limit: 2_000_000,
    })
    const seen = new Set<string>()
    let pairs = 0

    for (const { state, steps } of paths) {
      const value = state.value as string
      seen.add(value)
      for (const event of planEvents(state.context)) {
        const story = (): string =>
          `${steps.map((step) => step.event.type).join(', ')} | ${value} | ${JSON.stringify(event)}`
        agree(
          decide({ machine: planMachine, name: 'plan:p' }, value, state.context, event),
          planOpinion(value, state.context, event),
          story,
        )
        pairs += 1
      }
    }

    expect([...seen].sort()).toEqual([...PLAN_STATES].sort())
    expect(pairs).toBeGreaterThan(1_000)
    process.stdout.write(`plan: ${paths.length} states, ${pairs} pairs\n`)
  },
)
