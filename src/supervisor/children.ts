/**
 * What becomes of a child, and of others because of it: the moves of one row, each with all that follows from it.
 */
import { TenutoError } from '../errors.ts'
import {
  amend,
  type Draft,
  endings,
  everyChild,
  find,
  forget,
  grant,
  isOver,
  live,
  move,
  record,
  refuse,
} from './draft.ts'
import { isRestarted, judge } from './judge.ts'
import { failure, KILLED, NORMAL, type Reason, reasonText } from './reason.ts'
import { type Child, type Event, isDue, isLive } from './state.ts'

/** What concerns one start of a child. */
type News = Extract<Event, Readonly<{ fence: number }>>

/** Whether one child's failure concerns its siblings. */
const cycles = ({ policy: { strategy } }: Draft): boolean =>
  strategy === 'one-for-all' || strategy === 'rest-for-one'

/** Takes what a child has to say, or a timer of it. */
export const hear = (draft: Draft, child: Child, event: News): void => {
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

/** Asks for its next start. */
export const start = (draft: Draft, child: Child): void => {
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
export const halt = (draft: Draft, child: Child, then: Child['then']): void => {
  if (child.state === 'stopping') return
  const { id, fence, terms } = move(draft, child, 'halt', { then })
  record(draft, 'stopping', child)
  if (terms.shutdown === 'brutal') return kill(draft, find(draft, id) ?? child)
  const withinMs = terms.shutdown === 'infinity' ? null : terms.shutdown
  draft.asks.push({ do: 'stopChild', id, fence, withinMs })
}

/** Ends a child without asking. */
export const kill = (draft: Draft, child: Child): void => {
  const { id, fence } = child
  draft.asks.push({ do: 'killChild', id, fence })
  over(draft, child.state === 'stopping' ? child : move(draft, child, 'halt', { then: 'rest' }), KILLED)
}

/** A child has ended, and stays so until somebody asks for it. */
export const rest = (draft: Draft, child: Child, reason: Reason): void => {
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

// All of them.

/** Begins the end: all are to stop, from the last to the first, those of a dynamic supervisor together. */
export const stopAll = (draft: Draft, reason: Reason): void => {
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

/** The supervisor gives up: it stops, and its end is abnormal. */
const escalate = (draft: Draft, { id }: Child, cause: Reason): void => {
  const reason: Reason = { type: 'escalation', child: id, cause }
  record(draft, 'escalated', null, reason)
  stopAll(draft, reason)
}
