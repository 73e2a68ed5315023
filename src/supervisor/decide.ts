/**
 * What a supervisor does about what happens. Pure: from a state and an event come what changes and what is asked for; performing
 * it is `supervisor.ts`'s business.
 *
 *   an event ─▶ its child moves ─▶ judge ─▶ restart · give up · rest
 *                                    │         └─ a vital child, or too many: the supervisor stops and ends
 *                                    └─ siblings that go with it: work
 *   work: stop children from the last to the first, one at a time; then start children in order, one at a time
 *
 * Starting up, cycling siblings and stopping are the same work, with one half or both. Only where all are touched anyway is there
 * anything whose cost grows with the number of children.
 */
import { TenutoError } from '../errors.ts'
import {
  amend,
  type Draft,
  decisionOf,
  draftOf,
  endings,
  enter,
  everyChild,
  find,
  forget,
  grant,
  live,
  move,
  record,
  refuse,
} from './draft.ts'
import { CLEAN, isRestarted, judge, type Moment } from './judge.ts'
import { failure, KILLED, NORMAL, type Reason, reasonText, SHUTDOWN } from './reason.ts'
import {
  type Child,
  type Decision,
  type Event,
  isLive,
  newChild,
  type State,
  sizeOf,
  type Work,
} from './state.ts'

/** Decides. Neither argument is changed. */
export const decide = (state: State, event: Event, moment: Moment): Decision => {
  const draft = draftOf(state, moment)
  take(draft, event)
  while (draft.life.work !== null && advance(draft, draft.life.work));
  return decisionOf(draft)
}

const take = (draft: Draft, event: Event): void => {
  switch (event.type) {
    case 'start.requested':
      return begin(draft, event.call)
    case 'stop.requested':
      if (draft.life.state === 'ended') return grant(draft, event.call)
      draft.life = { ...draft.life, stopping: [...draft.life.stopping, event.call] }
      return stopAll(draft, SHUTDOWN)
    case 'kill.requested':
      return killAll(draft)
    case 'child.added':
      return add(draft, event)
    case 'stop.asked':
    case 'restart.asked':
    case 'delete.asked':
    case 'clear.asked':
      return answer(draft, event)
    case 'child.started':
    case 'child.ignored':
    case 'child.failed':
    case 'child.ended':
    case 'time.over': {
      const child = find(draft, event.id)
      // What is left to say of a start that is no more concerns nobody.
      if (child?.fence === event.fence) hear(draft, child, event)
    }
  }
}

/** What is asked for one child. */
type Asked = Extract<Event, Readonly<{ type: `${string}.asked` }>>
type Of<T extends Event['type']> = Extract<Event, { type: T }>

const isDue = ({ state }: Child): boolean => state === 'waiting' || state === 'restarting'
const isOver = ({ life: { state } }: Draft): boolean => state === 'stopping' || state === 'ended'
/** Whether one child's failure concerns its siblings. */
const cycles = ({ policy: { strategy } }: Draft): boolean =>
  strategy === 'one-for-all' || strategy === 'rest-for-one'

// The supervisor.

const begin = (draft: Draft, call: number): void => {
  if (draft.life.state !== 'new') return refuse(draft, call, 'not-up')
  const work = { scope: 0, stop: [], left: 0, start: [...draft.before.keys()], next: 0, pause: null }
  live(draft, 'begin', { starting: call, work })
}

const stopAll = (draft: Draft, reason: Reason): void => {
  if (isOver(draft)) return
  const children = everyChild(draft)
  const stop = children.filter(isLive).map(({ id }) => id)
  const work = { scope: 0, stop, left: stop.length, start: [], next: 0, pause: null }
  live(draft, 'halt', { reason, work })
  for (const child of children) {
    if (isDue(child)) rest(draft, child, reason)
    else if (draft.policy.strategy === 'dynamic' && isLive(child)) halt(draft, child, 'rest')
  }
}

/** Nobody is asked; all have ended. */
const killAll = (draft: Draft): void => {
  stopAll(draft, KILLED)
  for (const child of everyChild(draft).filter(isLive).toReversed()) kill(draft, child)
}

/** The supervisor gives up: it stops, and its end is abnormal. */
const escalate = (draft: Draft, { id }: Child, cause: Reason): void => {
  const reason: Reason = { type: 'escalation', child: id, cause }
  record(draft, 'escalated', null, reason)
  stopAll(draft, reason)
}

/** Does the next piece of the work. False when something has to be waited for. */
const advance = (draft: Draft, work: Work): boolean => {
  if (work.left > 0) {
    const child = find(draft, work.stop[work.left - 1] ?? '')
    if (child?.state === 'stopping') return false
    if (child !== undefined && isLive(child)) halt(draft, child, isOver(draft) ? 'rest' : 'again')
    else draft.life = { ...draft.life, work: { ...work, left: work.left - 1 } }
    return true
  }
  if (work.pause !== null) return false
  if (work.next < work.start.length) {
    const child = find(draft, work.start[work.next] ?? '')
    if (child?.state === 'starting') return false
    if (child !== undefined && isDue(child)) start(draft, child)
    else draft.life = { ...draft.life, work: { ...work, next: work.next + 1 } }
    return true
  }
  finish(draft)
  return false
}

const finish = (draft: Draft): void => {
  const { starting, stopping } = draft.life
  const isEnd = isOver(draft)
  live(draft, isEnd ? 'end' : 'settle', { work: null, starting: null })
  const reason = draft.life.reason ?? NORMAL
  if (isEnd) {
    record(draft, 'ended', null, reason)
    draft.asks.push({ do: 'end', reason })
    for (const call of stopping) grant(draft, call)
    if (starting !== null) refuse(draft, starting, 'failed', reason)
  } else if (starting !== null) {
    record(draft, 'up', null)
    grant(draft, starting)
  }
}

// What people ask for.

const add = (draft: Draft, { call, id, terms }: Of<'child.added'>): void => {
  const { life, policy, moment } = draft
  if (life.state === 'new' || isOver(draft)) return refuse(draft, call, 'not-up')
  if (find(draft, id) !== undefined) return refuse(draft, call, 'already-present')
  if (policy.strategy === 'dynamic' && sizeOf(life) >= policy.maxChildren)
    return refuse(draft, call, 'max-children')
  draft.life = { ...life, order: life.order + 1 }
  const child = newChild(id, draft.life.order, terms, moment.at)
  startInTurn(draft, enter(draft, { ...child, origin: 'added', waiting: [{ call, for: 'start' }] }))
}

const answer = (draft: Draft, { type, call, id }: Asked): void => {
  const child = find(draft, id)
  if (child === undefined) return refuse(draft, call, 'not-found')
  const { state } = child
  switch (type) {
    case 'stop.asked':
      return stopOne(draft, child, call)
    case 'delete.asked':
      if (state !== 'stopped' && state !== 'given-up') return refuse(draft, call, state)
      forget(draft, child)
      return grant(draft, call)
    case 'restart.asked':
      return state === 'stopped' ? startAgain(draft, child, call, 'asked') : refuse(draft, call, state)
    case 'clear.asked':
      return state === 'given-up' ? startAgain(draft, child, call, 'restart') : refuse(draft, call, state)
  }
}

const stopOne = (draft: Draft, child: Child, call: number): void => {
  const waiting = [...child.waiting, { call, for: 'stop' as const }]
  switch (child.state) {
    case 'starting':
    case 'running':
      return halt(draft, amend(draft, child, { waiting }), 'rest')
    case 'stopping':
      amend(draft, child, { waiting, then: 'rest' })
      return
    case 'waiting':
    case 'restarting':
      return rest(draft, amend(draft, child, { waiting }), SHUTDOWN)
    case 'stopped':
    case 'given-up':
      return grant(draft, call)
  }
}

/** Starts a child that rests. One that was given up begins with nothing held against it. */
const startAgain = (draft: Draft, child: Child, call: number, origin: Child['origin']): void => {
  if (isOver(draft)) return refuse(draft, call, 'not-up')
  const tally = child.state === 'given-up' ? CLEAN : child.tally
  const due = move(draft, child, 'again', { origin, tally, waiting: [{ call, for: 'start' }] })
  startInTurn(draft, due)
}

/** Starts a child, after those that are being started in order. */
const startInTurn = (draft: Draft, child: Child): void => {
  const { work } = draft.life
  if (work === null) return start(draft, child)
  draft.life = { ...draft.life, work: { ...work, start: [...work.start, child.id] } }
}

// What children do.

const hear = (
  draft: Draft,
  child: Child,
  event: Of<'child.started' | 'child.ignored' | 'child.failed' | 'child.ended' | 'time.over'>,
): void => {
  const { state } = child
  switch (event.type) {
    case 'child.started':
      return state === 'starting' ? started(draft, child) : undefined
    case 'child.ignored':
      return state === 'starting' ? ignored(draft, child) : undefined
    case 'child.failed':
      if (state === 'starting') return failed(draft, child, event.reason)
      return state === 'stopping' ? over(draft, child, event.reason) : undefined
    case 'child.ended':
      if (state === 'running') return ended(draft, child, event.reason)
      return state === 'stopping' ? over(draft, child, event.reason) : undefined
    case 'time.over':
      return state === event.state ? late(draft, child) : undefined
  }
}

const start = (draft: Draft, child: Child): void => {
  const fence = draft.life.fence + 1
  draft.life = { ...draft.life, fence }
  const starting = move(draft, child, 'begin', { incarnation: child.incarnation + 1, fence, then: 'rest' })
  record(draft, 'starting', starting)
  const { id, incarnation } = starting
  draft.asks.push({ do: 'startChild', id, incarnation, fence, withinMs: draft.policy.startTimeoutMs })
}

const started = (draft: Draft, child: Child): void => {
  record(draft, 'started', child)
  release(draft, child, null)
  move(draft, child, 'succeed', { waiting: [] })
}

const ignored = (draft: Draft, child: Child): void => {
  record(draft, 'ignored', child)
  release(draft, child, null)
  rest(draft, amend(draft, child, { waiting: [] }), NORMAL)
}

/** It could not be started. */
const failed = (draft: Draft, child: Child, reason: Reason): void => {
  record(draft, 'failed', child, reason)
  if (isOver(draft)) return rest(draft, child, reason)
  release(draft, child, { why: 'failed', cause: reason })
  const alone = amend(draft, child, { waiting: [] })
  switch (child.origin) {
    case 'first': {
      rest(draft, alone, reason)
      const { error } = reason.type === 'error' ? reason : { error: reason }
      const fields = { child: child.id, why: reasonText(reason) }
      return stopAll(draft, failure(new TenutoError('CHILD_NOT_STARTED', fields, error)))
    }
    case 'added':
      return leave(draft, alone, reason)
    case 'asked':
      return rest(draft, alone, reason)
    case 'restart':
      return fail(draft, alone, reason, 0)
  }
}

/** It has ended by itself. */
const ended = (draft: Draft, child: Child, reason: Reason): void => {
  record(draft, 'exited', child, reason)
  if (isOver(draft)) return rest(draft, child, reason)
  const { work } = draft.life
  // It would have been stopped with its siblings in a moment: it is started again with them, and nothing is counted.
  const isCycled = work !== null && work.left > 0 && child.order >= work.scope
  if (isCycled && isRestarted(child.terms, reason)) {
    move(draft, child, 'again', { origin: 'restart', history: endings(draft, child, reason) })
    return
  }
  fail(draft, child, reason, draft.moment.at - child.since)
}

/** It has ended after it was told to, or was ended. */
const over = (draft: Draft, child: Child, reason: Reason): void => {
  record(draft, 'stopped', child, reason)
  const isCycled = child.then === 'again' && child.terms.restart !== 'temporary' && !isOver(draft)
  if (!isCycled) return rest(draft, child, reason)
  release(draft, child, { why: 'stopping', cause: reason })
  move(draft, child, 'again', { origin: 'restart', waiting: [], history: endings(draft, child, reason) })
}

/** Its start or its stop took too long, or its pause is over. */
const late = (draft: Draft, child: Child): void => {
  const { id, fence, state } = child
  switch (state) {
    case 'starting': {
      draft.asks.push({ do: 'killChild', id, fence })
      return failed(
        draft,
        child,
        failure(new Error(`it did not start within ${draft.policy.startTimeoutMs} ms`)),
      )
    }
    case 'stopping':
      return kill(draft, child)
    case 'restarting':
      return cycles(draft) ? unpause(draft, id) : start(draft, child)
    case 'waiting':
    case 'running':
    case 'stopped':
    case 'given-up':
      return
  }
}

/** A child that should go on does not. */
const fail = (draft: Draft, child: Child, reason: Reason, ranMs: number): void => {
  const verdict = judge(draft.policy, child.terms, child.tally, reason, ranMs, draft.moment)
  if (verdict.do === 'rest') return rest(draft, child, reason)
  const history = endings(draft, child, reason)
  if (verdict.do === 'giveUp') return giveUp(draft, move(draft, child, 'giveUp', { history }), reason)
  const { afterMs, tally } = verdict
  const { id, fence } = move(draft, child, 'retry', { origin: 'restart', history, tally })
  draft.life = { ...draft.life, restarts: draft.life.restarts + 1 }
  record(draft, 'restarting', child, reason, afterMs)
  draft.asks.push({ do: 'wakeChild', id, fence, afterMs })
  if (cycles(draft)) cycle(draft, child)
}

/** Sets a child aside. Alone that is its own affair; if it is vital, or one of many, its supervisor's. */
const giveUp = (draft: Draft, child: Child, reason: Reason): void => {
  const { id, incarnation, terms } = child
  const { periodMs, ceiling } = draft.policy
  const { at } = draft.moment
  record(draft, 'given-up', child, reason)
  draft.asks.push({ do: 'tellWatchers', id, incarnation, reason })
  const givenUp = draft.life.givenUp
    .filter((each) => each.id !== id && at - each.at <= periodMs)
    .concat({ id, at })
  draft.life = { ...draft.life, givenUp }
  const many = givenUp.length
  if (terms.vital) escalate(draft, child, reason)
  else if (many >= ceiling.children && many > ceiling.share * draft.life.counts.running) {
    const why = `${many} different children were given up within ${periodMs} ms, ${id} as the last: ${reasonText(reason)}`
    escalate(draft, child, failure(new Error(why, { cause: reason })))
  }
}

/** Begins to stop the siblings that go with a child, and to start them again after its pause. */
const cycle = (draft: Draft, { id, order }: Child): void => {
  const children = everyChild(draft)
  const scope = draft.policy.strategy === 'one-for-all' ? 0 : order
  const stop = children.filter((each) => isLive(each) && each.order >= scope).map((each) => each.id)
  const start = children.map((each) => each.id)
  const work = { scope, stop, left: stop.length, start, next: 0, pause: id }
  if (draft.life.state === 'running') {
    live(draft, 'cycle', { work })
    record(draft, 'cycling', null)
  } else draft.life = { ...draft.life, work }
}

/** Whatever waits for the pause of this child waits no longer. */
const unpause = (draft: Draft, id: string): void => {
  const { work } = draft.life
  if (work?.pause === id) draft.life = { ...draft.life, work: { ...work, pause: null } }
}

/** Asks a child that is up to stop, in its time. */
const halt = (draft: Draft, child: Child, then: Child['then']): void => {
  if (child.state === 'stopping') return
  const { id, fence, terms } = move(draft, child, 'halt', { then })
  record(draft, 'stopping', child)
  if (terms.shutdown === 'brutal') return kill(draft, find(draft, id) ?? child)
  const withinMs = terms.shutdown === 'infinity' ? null : terms.shutdown
  draft.asks.push({ do: 'stopChild', id, fence, withinMs })
}

/** Ends a child without asking. */
const kill = (draft: Draft, child: Child): void => {
  const { id, fence } = child
  draft.asks.push({ do: 'killChild', id, fence })
  over(draft, child.state === 'stopping' ? child : move(draft, child, 'halt', { then: 'rest' }), KILLED)
}

/** A child has ended, and stays so until somebody asks for it. */
const rest = (draft: Draft, child: Child, reason: Reason): void => {
  const isKept = draft.policy.strategy !== 'dynamic' && child.terms.restart !== 'temporary'
  if (!isKept) return leave(draft, child, reason)
  const history = isLive(child) ? endings(draft, child, reason) : child.history
  part(draft, child, reason)
  move(draft, child, 'rest', { waiting: [], history })
}

/** A child has ended, and nothing of it is kept. */
const leave = (draft: Draft, child: Child, reason: Reason): void => {
  part(draft, child, reason)
  forget(draft, child)
}

/** Whoever waits for a child hears that it will not come. */
const part = (draft: Draft, child: Child, reason: Reason): void => {
  const { id, incarnation } = child
  release(draft, child, { why: 'stopped', cause: reason })
  draft.asks.push({ do: 'tellWatchers', id, incarnation, reason })
  unpause(draft, id)
}

/** Answers those who wait for a start, with null that it is made, and those who wait for a stop. */
const release = (
  draft: Draft,
  child: Child,
  missed: Readonly<{ why: 'failed' | 'stopping' | 'stopped'; cause: Reason }> | null,
): void => {
  for (const waiting of child.waiting) {
    if (waiting.for === 'stop' || missed === null) grant(draft, waiting.call)
    else refuse(draft, waiting.call, missed.why, missed.cause)
  }
}
