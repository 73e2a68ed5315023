/**
 * Streams of the API: events by position, logs by offset. They are pulled: a client that does not read is not read for, so that it
 * costs a page of events and the buffers of its socket, and nobody waits for it. It may go and come back where it was; one that takes
 * nothing for a while is sent away.
 */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, pause, systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { EventShape, StorageShape } from '../views/shapes.ts'
import type { Who } from './entrance.ts'
import { HEARTBEAT_MS, SESSION_STREAMS_MAX, STREAMS_MAX } from './limits.ts'
import { secondsIn } from './retry-after.ts'
import { frameText, OPENING } from './sse.ts'
import { STREAM_TYPE } from './wire.ts'

/** How one stream is told to end. */
export type Ending = Readonly<{
  /** Aborted when the client has gone, and when the server closes. */
  signal: AbortSignal
  /** Whether the server closes: what is there already is still sent. */
  isClosing: () => boolean
  /** What was asked for is gone: its client begins anew. */
  reset: () => void
  /** Resolves when it may send so many events more (`EVENTS_AT_ONCE`), in its turn among all streams. */
  turn: () => Promise<void>
}>

/** The streams of a server. */
export type Streams = Readonly<{
  /**
   * Answers with a stream, until it ends, the client goes or the server closes. What `beside` says comes between two pieces of it, as
   * long as it goes on; it answers how to be told no more.
   * @throws {TenutoError} `TOO_MANY` when so many are open.
   */
  send: (
    reply: FastifyReply,
    of: (ending: Ending) => AsyncIterable<string>,
    beside?: (say: (text: string) => void) => () => void,
  ) => FastifyReply
  /**
   * How many are open, have ever been, had to tell their client that what it asked for is gone, and were dropped since their client
   * did not read.
   */
  counts: () => Readonly<{ open: number; ever: number; resets: number; dropped: number }>
  /** Lets every stream send what is there and end. Idempotent. */
  close: () => void
}>

/** No streams yet. Hears of each that is dropped. */
export const streams = (
  clock: Clock = systemClock,
  tellDropped: (request: FastifyRequest) => void = () => {},
): Streams => {
  const open = new Map<AbortController, Who | null>()
  const admit = (who: Who | null): void => {
    const isSession = who?.way === 'session'
    const own = [...open.values()].filter((each) => each?.by === who?.by).length
    if (open.size < STREAMS_MAX && !(isSession && own >= SESSION_STREAMS_MAX)) return
    const what = isSession ? `${own} streams of ${who.by}` : `${open.size} streams`
    throw new TenutoError('TOO_MANY', {
      what: `${what} are open`,
      remedy: 'close one that is not read',
      // So often those are sent away that nobody reads.
      retry_after_s: secondsIn(HEARTBEAT_MS),
    })
  }
  const turn = turns(clock)
  let closing = false
  let ever = 0
  let resets = 0
  let dropped = 0
  const reset = (): void => {
    resets += 1
  }
  return {
    counts: () => ({ open: open.size, ever, resets, dropped }),
    send: (reply, of, beside) => {
      const { who } = reply.request
      admit(who)
      const ending = new AbortController()
      open.set(ending, who)
      ever += 1
      // A browser that is let in no more hears no more.
      const turnOut = (): void => void reply.raw.destroy()
      who?.ended?.addEventListener('abort', turnOut)
      reply.raw.once('close', () => {
        who?.ended?.removeEventListener('abort', turnOut)
        open.delete(ending)
        ending.abort()
      })
      if (closing) ending.abort()
      let over = false
      const pieces = async function* (): AsyncGenerator<string> {
        try {
          yield* of({ signal: ending.signal, isClosing: () => closing, reset, turn })
        } finally {
          over = true
        }
      }
      const text = Readable.from(pieces(), { objectMode: false })
      const say = (said: string): void => {
        // After its last piece a stream takes nothing more, also while that piece waits for its client.
        if (!over && !ending.signal.aborted && !text.destroyed) text.push(said)
      }
      const leave = beside?.(say)
      let isUnread = false
      reply.raw.on('drain', () => {
        isUnread = false
      })
      const beat = (): void => {
        // What was full at the last beat, and has given nothing away since, is read by nobody. Its client may come back where it was.
        if (isUnread) {
          dropped += 1
          tellDropped(reply.request)
          return void reply.raw.destroy()
        }
        isUnread = reply.raw.writableNeedDrain
        say(OPENING)
        still = clock.setTimeout(beat, HEARTBEAT_MS)
      }
      let still = clock.setTimeout(beat, HEARTBEAT_MS)
      text.once('close', () => {
        still()
        leave?.()
      })
      return reply.type(STREAM_TYPE).header('cache-control', 'no-store').send(text)
    },
    close: () => {
      closing = true
      for (const ending of open.keys()) ending.abort()
    },
  }
}

/** Which events a client wants. */
export type EventChoice = Readonly<{
  /** Set when it wants those of one plan only. */
  plan?: string
  wants: (event: EventShape) => boolean
}>

const PAGE = 500
/** After so many events a stream waits for its turn: a client that reads fast is never waited for, so nothing else yields. */
export const EVENTS_AT_ONCE = 8
/** So many streams have their turn before the rest of the holder has its own, so that many clients delay it no more than a few. */
export const STREAMS_AT_ONCE = 8

/** Gives turns to whoever asks, in order. */
export const turns = ({ soon }: Pick<Clock, 'soon'>): (() => Promise<void>) => {
  const waiting: (() => void)[] = []
  let given = 0
  let isDue = false
  const due = (): void => {
    if (isDue) return
    isDue = true
    soon(() => {
      isDue = false
      const next = waiting.splice(0, STREAMS_AT_ONCE)
      given = next.length
      for (const go of next) go()
      if (given > 0) due()
    })
  }
  return () => {
    due()
    if (given >= STREAMS_AT_ONCE || waiting.length > 0) return new Promise((go) => waiting.push(go))
    given += 1
    return Promise.resolve()
  }
}

/**
 * The events after a position, as text. When the server closes, everything committed is still sent. A position after which not
 * everything is there, or nothing, is answered with `reset`, whose id is one to go on from.
 */
export async function* eventText(
  { catalog, events, prunedTo, state }: Pick<Runtime, 'catalog' | 'events' | 'prunedTo' | 'state'>,
  { plan, wants }: EventChoice,
  after: number,
  { signal, isClosing, reset, turn }: Ending,
): AsyncGenerator<string> {
  const of = plan === undefined ? {} : { plan }
  const pruned = await prunedTo()
  // Of one plan everything is there, or the plan is not.
  const hasGap = after > 0 && plan === undefined && pruned > after
  const isThere =
    after <= pruned || (await catalog.events({ after: after - 1, limit: 1 }))[0]?.position === after
  if (hasGap || !isThere) {
    reset()
    // Where a client that comes back by itself goes on: after what was removed, or at the end.
    const id = String(hasGap ? pruned : (await state()).position)
    const data = JSON.stringify({ after, why: hasGap ? 'removed' : 'beyond' })
    yield frameText({ id, event: 'reset', data })
    return
  }
  yield OPENING
  let position = after
  // Before the first, too: what was there before is read in its turn.
  await turn()
  let left = EVENTS_AT_ONCE
  for await (const event of events({ ...of, after, signal })) {
    if (left === 0) {
      await turn()
      left = EVENTS_AT_ONCE
    }
    left -= 1
    position = event.position
    if (wants(event)) yield eventFrame(event)
  }
  while (isClosing()) {
    const page = await catalog.events({ ...of, after: position, limit: PAGE })
    if (page.length === 0) return
    for (const event of page) {
      position = event.position
      if (wants(event)) yield eventFrame(event)
    }
    await turn()
  }
}

/** Says whether commits can be made, and then whenever that changes: `storage`, without an id, since nothing of it is kept. */
export const storageText = (
  { storage, onStorage }: Pick<Runtime, 'storage' | 'onStorage'>,
  say: (text: string) => void,
): (() => void) => {
  const told = (now: StorageShape): void => say(frameText({ event: 'storage', data: JSON.stringify(now) }))
  told(storage())
  return onStorage(told)
}

/** Of an event that many are sent, once. */
const frames = new WeakMap<EventShape, string>()
const eventFrame = (event: EventShape): string => {
  const known = frames.get(event)
  if (known !== undefined) return known
  const made = frameText({ id: String(event.position), data: JSON.stringify(event) })
  frames.set(event, made)
  return made
}

/** How much of a log one event of its stream carries. */
const LOG_CHUNK_BYTES = 48_000

/** How often a log that grows is looked at. */
const LOG_LOOK_MS = 250

/** Which log. */
export type LogOf = Readonly<{ plan: string; job: string; attempt: number; offset: number }>

/** Whether an attempt may still write. Once false, its log does not grow any more. */
export const isLive = async (
  { catalog }: Pick<Runtime, 'catalog'>,
  { plan, job, attempt }: LogOf,
): Promise<boolean> => {
  const now = await catalog.job(plan, job)
  return now.attempt === attempt && (now.state === 'running' || now.state === 'stopping')
}

/**
 * The log of an attempt from an offset, as text; its bytes in base64. The id of each event is the offset to go on from. When the
 * attempt has ended and everything is sent, `end` says how it ended. When the server closes, what is there is still sent. An offset
 * beyond its end is answered with `reset`, whose id is that end.
 */
export async function* logText(
  runtime: Pick<Runtime, 'catalog' | 'events'>,
  of: LogOf,
  { signal, isClosing, reset }: Ending,
): AsyncGenerator<string> {
  const { plan, job, attempt } = of
  const { size } = of.offset === 0 ? { size: 0 } : await runtime.catalog.log(plan, job, attempt, of.offset, 0)
  if (of.offset > size) {
    reset()
    const data = JSON.stringify({ offset: of.offset, size, why: 'beyond' })
    yield frameText({ id: String(size), event: 'reset', data })
    return
  }
  const over = new AbortController()
  const until = AbortSignal.any([signal, over.signal])
  let end: Promise<void> | undefined
  const heard = (): void => {
    end = undefined
  }
  end = endOf(runtime, of, until).then(heard, heard)
  let { offset } = of
  yield OPENING
  try {
    for (;;) {
      // Asked before reading: what an attempt that has ended wrote is all there. And first of all whether this is the last time: what
      // has ended by then is told.
      const last = isClosing()
      const live = await isLive(runtime, of)
      for (;;) {
        const { bytes, next } = await runtime.catalog.log(plan, job, attempt, offset, LOG_CHUNK_BYTES)
        if (next === offset) break
        offset = next
        yield frameText({ id: String(offset), event: 'chunk', data: Buffer.from(bytes).toString('base64') })
      }
      if (!live) {
        const shape = (await runtime.catalog.attempts(plan, job)).find(({ n }) => n === attempt)
        const data = JSON.stringify({ offset, outcome: shape?.outcome ?? null })
        yield frameText({ id: String(offset), event: 'end', data })
        return
      }
      if (last || (signal.aborted && !isClosing())) return
      await Promise.race([pause(LOG_LOOK_MS, until), ...(end === undefined ? [] : [end])])
    }
  } finally {
    over.abort()
  }
}

/** Resolves when the job takes the step that ends the attempt, or with the signal. */
const endOf = async (
  runtime: Pick<Runtime, 'catalog' | 'events'>,
  of: LogOf,
  signal: AbortSignal,
): Promise<void> => {
  const { plan, job, attempt } = of
  const steps = await runtime.catalog.events({ plan, job, after: 0, limit: Number.MAX_SAFE_INTEGER })
  const after = steps.at(-1)?.position ?? 0
  if (signal.aborted || !(await isLive(runtime, of))) return
  for await (const event of runtime.events({ plan, after, signal })) {
    if (event.job === job && event.attempt === attempt && event.to !== 'running' && event.to !== 'stopping')
      return
  }
}
