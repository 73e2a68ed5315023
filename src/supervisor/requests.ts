/**
 * What people ask of a supervisor for one child. Each request is answered once: at once, or when what it asked for is done.
 */
import { halt, rest, start } from './children.ts'
import { amend, type Draft, enter, find, forget, grant, isOver, move, refuse } from './draft.ts'
import { CLEAN } from './judge.ts'
import { SHUTDOWN } from './reason.ts'
import { type Child, type Event, newChild, sizeOf } from './state.ts'

type Added = Extract<Event, Readonly<{ type: 'child.added' }>>
type Asked = Extract<Event, Readonly<{ type: `${string}.asked` }>>

/** Takes a child in and starts it. */
export const add = (draft: Draft, { call, id, terms }: Added): void => {
  const { life, policy, moment } = draft
  if (life.state === 'new' || isOver(draft)) return refuse(draft, call, 'not-up')
  if (find(draft, id) !== undefined) return refuse(draft, call, 'already-present')
  if (policy.strategy === 'dynamic' && sizeOf(life) >= policy.maxChildren)
    return refuse(draft, call, 'max-children')
  draft.life = { ...life, order: life.order + 1 }
  const child = newChild(id, draft.life.order, terms, moment.at)
  startInTurn(draft, enter(draft, { ...child, origin: 'added', waiting: [{ call, for: 'start' }] }))
}

/** Does what is asked for a child that is known. */
export const answer = (draft: Draft, { type, call, id }: Asked): void => {
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
