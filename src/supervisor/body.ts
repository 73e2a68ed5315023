/**
 * One incarnation of a child: its start, what it says of its own end, and how it is stopped. It is heard until it is over; what
 * still comes of it then is ended quietly and told nobody.
 */
import { shown } from '../checks.ts'
import { isObject } from '../json.ts'
import { failure, KILLED, reasonOf, SHUTDOWN } from './reason.ts'
import type { Context, Ref, Started } from './ref.ts'
import type { Event } from './state.ts'

/** One incarnation of a child. */
export type Body = {
  readonly id: string
  readonly incarnation: number
  readonly fence: number
  /** Null until its start has settled. */
  ref: Ref | null
  /** What its start answered beside the reference. */
  info: unknown
  isStopping: boolean
  /** Whether nothing it does is heard any more. */
  isOver: boolean
  aborter: AbortController | null
}

type Start = (context: Context<never>) => Started | PromiseLike<Started>
type Tell = (event: Event) => void

/** An incarnation that was not started yet. */
export const newBody = (id: string, incarnation: number, fence: number): Body => ({
  id,
  incarnation,
  fence,
  ref: null,
  info: undefined,
  isStopping: false,
  isOver: false,
  aborter: null,
})

/** Starts it, and tells what came of that. */
export const startBody = (body: Body, start: Start, args: unknown, tell: Tell): void => {
  try {
    const made = start(contextOf(body, args, tell) as Context<never>)
    if (!isPromise(made)) return arrive(body, made, tell)
    made.then(
      (value) => arrive(body, value, tell),
      (error: unknown) => miss(body, error, tell),
    )
  } catch (error) {
    miss(body, error, tell)
  }
}

/** Asks it to stop; also while its start is under way, which is then waited for. */
export const stopBody = (body: Body, tell: Tell): void => {
  if (body.isOver || body.isStopping) return
  body.isStopping = true
  body.aborter?.abort(SHUTDOWN)
  if (body.ref !== null) stopRef(body, body.ref, tell)
}

/** Ends it without asking; it is not heard again. */
export const killBody = (body: Body): void => {
  if (body.isOver) return
  body.isOver = true
  body.aborter?.abort(KILLED)
  if (body.ref !== null) quietly(body.ref.kill, body.ref)
}

/** Made apart from its body, which would keep the arguments alive. */
const contextOf = (body: Body, args: unknown, tell: Tell): Context => ({
  id: body.id,
  args,
  incarnation: body.incarnation,
  get signal() {
    body.aborter ??= aborterOf(body)
    return body.aborter.signal
  },
  exit: (reason) => end(body, reason, tell),
})

/** Most children never ask for their signal, and of a hundred thousand it is felt. */
const aborterOf = ({ isStopping, isOver }: Body): AbortController => {
  const aborter = new AbortController()
  if (isOver || isStopping) aborter.abort(isOver ? KILLED : SHUTDOWN)
  return aborter
}

const end = (body: Body, given: unknown, tell: Tell): void => {
  if (body.isOver) return
  body.isOver = true
  const { id, fence, ref } = body
  tell({ type: ref === null ? 'child.failed' : 'child.ended', id, fence, reason: reasonOf(given) })
}

/** Its start has settled. */
const arrive = (body: Body, made: Started, tell: Tell): void => {
  const { id, fence } = body
  const parts = partsOf(made)
  if (body.isOver) {
    if (parts !== null) quietly(parts.ref.kill ?? parts.ref.stop, parts.ref)
  } else if (parts !== null) {
    body.ref = parts.ref
    body.info = parts.info
    if (body.isStopping) stopRef(body, parts.ref, tell)
    else tell({ type: 'child.started', id, fence })
  } else if (made !== 'ignore') {
    miss(
      body,
      new TypeError(`its start answered ${answerText(made)}, which is no reference to anything`),
      tell,
    )
  } else if (body.isStopping) {
    end(body, SHUTDOWN, tell)
  } else {
    body.isOver = true
    tell({ type: 'child.ignored', id, fence })
  }
}

/** Its start has failed. One that was called off and says so has stopped as it was told. */
const miss = (body: Body, error: unknown, tell: Tell): void => {
  const isCalledOff =
    body.isStopping && (error === SHUTDOWN || (error as Error | null)?.name === 'AbortError')
  end(body, isCalledOff ? SHUTDOWN : failure(error), tell)
}

const stopRef = (body: Body, ref: Ref, tell: Tell): void => {
  if (body.isOver || ref.stop === undefined) return
  try {
    const stopped = ref.stop()
    if (!isPromise(stopped)) return end(body, SHUTDOWN, tell)
    stopped.then(
      () => end(body, SHUTDOWN, tell),
      (error: unknown) => end(body, failure(error), tell),
    )
  } catch (error) {
    end(body, failure(error), tell)
  }
}

/** A reference, alone or beside an info; what has a `stop` or `kill` of its own, as an actor has, may have a `ref` too. */
const partsOf = (made: unknown): Readonly<{ ref: Ref; info: unknown }> | null => {
  if (!isObject(made)) return null
  const isRef = !('ref' in made) || (!('info' in made) && ('stop' in made || 'kill' in made))
  const [ref, info] = isRef ? [made, undefined] : [made['ref'], made['info']]
  return isObject(ref) && wrongKey(ref) === undefined ? { ref, info } : null
}

/** What a supervisor would call, and cannot. */
const wrongKey = (ref: Readonly<Record<string, unknown>>): string | undefined =>
  ['stop', 'kill', 'tree'].find((key) => ref[key] !== undefined && typeof ref[key] !== 'function')

const answerText = (made: unknown): string => {
  if (!isObject(made)) return typeof made === 'object' ? shown(made) : typeof made
  const key = wrongKey(made) ?? 'ref'
  const value = made[key]
  return `an object whose ${key} is ${key === 'ref' && isObject(value) ? answerText(value) : shown(value)}`
}

const isPromise = <T>(value: T | PromiseLike<T>): value is PromiseLike<T> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/** Calls what nobody waits for any more. */
const quietly = (act: (() => unknown) | undefined, self: Ref): void => {
  try {
    const done = act?.call(self)
    if (isPromise(done)) done.then(undefined, () => {})
  } catch {
    // It is over, whatever it has to say.
  }
}
