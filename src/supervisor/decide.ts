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
import { halt, hear, kill, start, stopAll } from './children.ts'
import {
  type Draft,
  decisionOf,
  draftOf,
  everyChild,
  find,
  grant,
  isOver,
  live,
  record,
  refuse,
} from './draft.ts'
import type { Moment } from './judge.ts'
import { KILLED, NORMAL, SHUTDOWN } from './reason.ts'
import { add, answer } from './requests.ts'
import { type Decision, type Event, isDue, isLive, type State, type Work } from './state.ts'

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

const begin = (draft: Draft, call: number): void => {
  if (draft.life.state !== 'new') return refuse(draft, call, 'not-up')
  const work = { scope: 0, stop: [], left: 0, start: [...draft.before.keys()], next: 0, pause: null }
  live(draft, 'begin', { starting: call, work })
}

/** Nobody is asked; all have ended. */
const killAll = (draft: Draft): void => {
  stopAll(draft, KILLED)
  for (const child of everyChild(draft).filter(isLive).toReversed()) kill(draft, child)
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
