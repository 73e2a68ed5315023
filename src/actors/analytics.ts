/**
 * Analytics, from the house's side: owns the guest's process, answers what it asks with committed steps, and ends it when it fails, hangs
 * or grows. The house never waits for it, and nothing that it does is thrown here: whatever goes wrong is a failure of the guest, which
 * `guest.ts` judges. What it said last is kept, with its age.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants, setPriority } from 'node:os'
import { extname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { initialTransition, transition } from 'xstate'
import type { Clock } from '../clock.ts'
import {
  type FiguresQuery,
  type FromGuest,
  GUEST_LINE_CHARACTERS_MAX,
  GUEST_PROTOCOL,
  type Numbers,
  type Reckoning,
  readFromGuest,
  type ToGuest,
} from '../guest.ts'
import { homePaths } from '../home.ts'
import type { Random } from '../ids.ts'
import type { Journal, StepRow } from '../journal/journal.ts'
import { residentBytes } from '../process.ts'
import { onLines } from '../socket.ts'
import type { AnalyticsData, AnalyticsShape, SectionShape } from '../views/shapes.ts'
import { batches } from './batches.ts'
import { type GuestEffect, type GuestEvent, guestMachine } from './guest.ts'
import { GUEST_LIMITS, type GuestLimits } from './guest-limits.ts'
import { type GuestLog, guestLog } from './guest-log.ts'
import { NO_SECTION, sectionOf } from './guest-section.ts'
import type { Projector } from './projector.ts'

/** What analytics needs of the house. */
export type AnalyticsPorts = Readonly<{
  home: string
  homeId: string
  journal: Pick<Journal, 'steps' | 'head'>
  shown: Pick<Projector, 'listen'>
  clock: Clock
  random: Random
  log: Readonly<Record<'info' | 'warn', (fields: object, message: string) => void>>
  /** The path of the guest's program; default the one beside this build. */
  program?: string
  /** Default `GUEST_LIMITS`. */
  limits?: Partial<GuestLimits>
}>

/** Analytics of one home. Nothing here throws. */
export type Analytics = Readonly<{
  /** Starts the guest. Idempotent. */
  begin: () => void
  /** How it is, from memory. */
  section: () => SectionShape<AnalyticsData | null>
  /** The same, and its numbers if it gives them within two seconds. */
  numbers: (query?: FiguresQuery) => Promise<AnalyticsShape>
  /** Ends the guest. Resolves when it is gone, or after a second. Idempotent. */
  stop: () => Promise<void>
}>

/** Steps that are committed within this are told together. */
const TOGETHER_MS = 200
/** Reading for the guest takes at most one part in so many of this process's time. */
const DUTY = 5
/** After a read that failed. */
const READ_AGAIN_MS = 1_000
const NUMBERS_WITHIN_MS = 2_000
const GONE_WITHIN_MS = 1_000
/** A timer that comes later than this says that the house did not run, and nothing of the guest. */
const LATE_MS = 1_000
/** Questions of others that wait for an answer. */
const QUESTIONS_MAX = 64
const LAST_WORDS_CHARACTERS = 2_000
/** A greeting, where it stands, and a question. */
const FIRST_WORDS = 3
/** What a guest may answer to each thing that it is told: to a batch, where it stands, and the next question. */
const ANSWERS = { batch: 2, ping: 1, numbers: 1 } as const
const MB = 2 ** 20

const OWN_PROGRAM = fileURLToPath(new URL(`../analytics/main${extname(import.meta.url)}`, import.meta.url))

/** Where there is no analytics. */
export const noAnalytics: Analytics = {
  begin: () => {},
  section: () => NO_SECTION,
  numbers: async () => ({ ...NO_SECTION, numbers: null }),
  stop: async () => {},
}

type Life = {
  readonly process: ChildProcess
  readonly channel: Socket
  readonly log: GuestLog
  /** So many messages it may say before it is told something again. */
  due: number
  /** The position after which it wants steps; null when it has not asked. */
  asked: Readonly<{ after: number; limit: number }> | null
  reading: boolean
  cancels: Map<string, () => void>
  lastWords: string | null
  ping: number
  /** Since when it has been asked something and has said nothing at all, in monotonic ms; null when it is not waited for. */
  askedAt: number | null
}

/** Analytics of a home that is held. */
export const analytics = (ports: AnalyticsPorts): Analytics => {
  const { home, clock, random, log, program = OWN_PROGRAM } = ports
  const limits = { ...GUEST_LIMITS, ...ports.limits }
  const paths = homePaths(home)
  const source = batches(ports.journal)
  const ownLog = join(home, 'analytics.log')
  const questions = new Map<number, (numbers: Numbers | null) => void>()
  let [snapshot] = initialTransition(guestMachine, limits)
  let life: Life | null = null
  let cancelWake: () => void = () => {}
  let unlisten: () => void = () => {}
  let ids = 0
  let stopping: Promise<void> | null = null
  /** The highest position that this process has seen; null before the first. */
  let head: number | null = null
  /** What the guest said last, and when. */
  let reckoning: Reckoning | null = null
  let heardAt: number | null = null
  let beganAt = clock.now()
  let isThere = false
  let readError: string | null = null

  // The machine, and what it asks for.

  const tell = (event: GuestEvent): void => {
    const [next, actions] = transition(guestMachine, snapshot, event)
    snapshot = next
    for (const { type, params } of actions) perform({ ...(params as object), type } as GuestEffect)
  }
  const perform = (effect: GuestEffect): void => {
    if (effect.type === 'start') start()
    else if (effect.type === 'end') end()
    else if (effect.type === 'wake') {
      const { as, afterMs } = effect
      cancelWake()
      cancelWake = clock.setTimeout(
        contained(() => tell({ type: as, at: clock.monotonic() })),
        afterMs,
      )
    }
  }
  const failed = (of: Life | null, error: string): void => {
    if (of !== life || stopping) return
    const at = clock.monotonic()
    tell({ type: 'failed', at, error, draw: random() })
    const { nextAt, restarts } = snapshot.context
    const againMs = nextAt === null ? null : Math.round(nextAt - at)
    try {
      const told = { error, state: snapshot.value, restarts, again_in_ms: againMs }
      log.warn(told, 'analytics failed; nothing else does')
    } catch {
      // The section says it, too.
    }
  }
  /** What goes wrong in the house while it deals with a guest is the guest's failure, and nobody else's. */
  const contained =
    <Given extends unknown[]>(act: (...given: Given) => void) =>
    (...given: Given): void => {
      try {
        act(...given)
      } catch (error) {
        try {
          failed(life, `the house cannot deal with it: ${(error as Error).message}`)
        } catch {
          // It is left as it is; its next failure is another chance.
        }
      }
    }

  // The process.

  const start = (): void => {
    try {
      begin()
    } catch (error) {
      const of = life
      // Told in a turn of its own: the machine is in the middle of its step.
      clock.soon(contained(() => failed(of, `it cannot be started: ${(error as Error).message}`)))
    }
  }
  const begin = (): void => {
    const flags = [`--max-old-space-size=${limits.heapMb}`, '--disable-warning=ExperimentalWarning']
    const child = spawn(process.execPath, [...flags, program, paths.analytics, ports.homeId], {
      cwd: '/',
      env: {},
      // Ctrl-C in a terminal is for the house.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    child.on(
      'error',
      contained((error: Error) => {
        const isThis = life === null || life.process === child
        if (isThis) failed(life, `it cannot be started: ${error.message}`)
      }),
    )
    // Where there are no descriptors left there are no streams either, and the error comes later.
    if ((child.stdio as typeof child.stdio | undefined) === undefined) return
    const channel = child.stdio[3] as Socket
    const of: Life = {
      process: child,
      channel,
      log: guestLog(ownLog),
      due: FIRST_WORDS,
      asked: null,
      reading: false,
      cancels: new Map(),
      lastWords: null,
      ping: 0,
      askedAt: null,
    }
    life = of
    // What it wrote last comes with `close`, which a process that it started itself could hold back.
    child.once(
      'close',
      contained(() => ended(of)),
    )
    child.once(
      'exit',
      contained(() => arm(of, 'exit', GONE_WITHIN_MS, () => ended(of))),
    )
    child.unref()
    for (const stream of [child.stdout, child.stderr, channel]) {
      // One that breaks is a process that ends, and that says more.
      stream?.on('error', () => {})
      ;(stream as Socket | null)?.unref()
    }
    channel.on(
      'error',
      contained((error) => {
        if (!('code' in error)) failed(of, `it said ${error.message}`)
      }),
    )
    const listen = contained((stream: Readable, bytes: Buffer) => wrote(of, stream, bytes))
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (bytes: Buffer) => listen(stream, bytes))
    onLines(
      channel,
      contained((line) => heard(of, line)),
      GUEST_LINE_CHARACTERS_MAX,
    )
    if (child.pid !== undefined) beModest(child.pid)
    arm(of, 'silence', limits.greetsWithinMs, () => silent(of, limits.greetsWithinMs, 'greeted nobody'))
  }
  /** Whatever else runs comes first. */
  const beModest = (pid: number): void => {
    try {
      setPriority(pid, constants.priority.PRIORITY_LOW)
    } catch {
      // It may be gone already; its end says so.
    }
  }
  const end = (): void => {
    cancelWake()
    const of = life
    life = null
    isThere = false
    source.forget()
    for (const answer of questions.values()) answer(null)
    questions.clear()
    if (!of) return
    for (const cancel of of.cancels.values()) cancel()
    for (const stream of [of.process.stdout, of.process.stderr, of.channel]) {
      stream?.removeAllListeners('data')
      stream?.destroy()
    }
    of.process.kill('SIGKILL')
  }
  const arm = (of: Life, name: string, ms: number, then: () => void): void => {
    if (of !== life) return
    of.cancels.get(name)?.()
    of.cancels.set(name, clock.setTimeout(contained(then), ms))
  }
  const disarm = (of: Life, name: string): void => {
    of.cancels.get(name)?.()
    of.cancels.delete(name)
  }

  const ended = (of: Life): void => {
    const { exitCode, signalCode } = of.process
    const how = signalCode === null ? `it exited with ${exitCode}` : `it was ended by ${signalCode}`
    failed(of, of.lastWords ?? [how, of.log.why()].filter(Boolean).join(': '))
  }
  /** Its log is bounded: what writes and writes is ended, and not read any further. */
  const wrote = (of: Life, stream: Readable, bytes: Buffer): void => {
    if (of !== life) return
    if (of.log.wrote(bytes) <= limits.outputBytes) return
    stream.pause()
    failed(of, `it wrote more than ${limits.outputBytes} bytes to its log`)
  }
  const silent = (of: Life, ms: number, what: string): void => failed(of, `it ${what} within ${ms} ms`)

  // The channel.

  const say = (of: Life, message: ToGuest): void => {
    if (of !== life || !of.channel.writable) return
    of.due += ANSWERS[message.type]
    of.askedAt ??= clock.monotonic()
    of.channel.write(`${JSON.stringify(message)}\n`)
  }
  const heard = (of: Life, line: string): void => {
    if (of !== life) return
    const message = readFromGuest(line)
    if (message === undefined) return failed(of, `it was not understood: ${line.slice(0, 200)}`)
    if (message.type !== 'failed') of.due -= 1
    if (of.due < 0) return failed(of, `it said more than it was asked: ${message.type}`)
    heardAt = clock.now()
    of.askedAt = null
    take(of, message)
  }
  const take = (of: Life, message: FromGuest): void => {
    switch (message.type) {
      case 'hello':
        return greeted(of, message)
      case 'steps':
        if (of.asked) return failed(of, 'it asked again before it had its answer')
        of.asked = { after: message.after, limit: message.limit }
        return serve(of)
      case 'counted': {
        const { cursor, missed, total } = message
        reckoning = { cursor, missed, total }
        return
      }
      case 'numbers':
        questions.get(message.id)?.(message.numbers)
        questions.delete(message.id)
        return
      case 'pong':
        if (message.id === of.ping) pingLater(of)
        return
      case 'failed':
        of.lastWords = message.error.slice(0, LAST_WORDS_CHARACTERS)
    }
  }
  const greeted = (of: Life, { v, cursor }: Extract<FromGuest, { type: 'hello' }>): void => {
    if (v !== GUEST_PROTOCOL) return failed(of, `it speaks protocol ${v}, and this build ${GUEST_PROTOCOL}`)
    isThere = true
    // What the life before has counted is not said of one that begins elsewhere.
    if (reckoning?.cursor !== cursor) reckoning = null
    tell({ type: 'greeted', at: clock.monotonic() })
    pingLater(of)
  }
  const pingLater = (of: Life): void => {
    disarm(of, 'silence')
    arm(of, 'ping', limits.pingMs, () => ping(of))
  }
  const ping = (of: Life): void => {
    const bytes = residentBytes(of.process.pid ?? 0)
    if (bytes !== undefined && bytes > limits.residentMb * MB)
      return failed(of, `it uses ${Math.round(bytes / MB)} MB of memory, and may use ${limits.residentMb}`)
    of.ping += 1
    say(of, { type: 'ping', id: of.ping })
    const due = clock.monotonic() + limits.answersWithinMs
    arm(of, 'silence', limits.answersWithinMs, () => {
      // Who was not there to listen asks again.
      if (clock.monotonic() - due > LATE_MS) ping(of)
      else silent(of, limits.answersWithinMs, 'did not answer')
    })
  }

  // Serving steps.

  /** Answers when there is something new; until then the question waits. */
  const serve = (of: Life): void => {
    if (of !== life || !of.asked || of.reading || of.cancels.has('read')) return
    of.reading = true
    const began = clock.monotonic()
    const { after, limit } = of.asked
    source.after(after, limit).then(
      contained((batch) => {
        of.reading = false
        readError = null
        head = Math.max(head ?? 0, batch.head)
        const restMs = (clock.monotonic() - began) * (DUTY - 1)
        if (batch.upTo > after || batch.head < after) {
          of.asked = null
          say(of, { type: 'batch', ...batch })
          later(of, restMs)
        } else if (head > after) later(of, TOGETHER_MS)
      }),
      contained((error: unknown) => {
        of.reading = false
        readError = `the journal cannot be read: ${(error as Error).message}`
        later(of, READ_AGAIN_MS)
      }),
    )
  }
  const later = (of: Life, ms: number): void => {
    arm(of, 'read', ms, () => {
      disarm(of, 'read')
      serve(of)
    })
  }
  const listen = (): void => {
    unlisten()
    const follow = contained((steps: readonly StepRow[]) => {
      if (isThere) source.heard(steps)
      head = Math.max(head ?? 0, steps.at(-1)?.position ?? 0)
      const of = life
      if (of?.asked && !of.reading && !of.cancels.has('read')) later(of, TOGETHER_MS)
    })
    unlisten = ports.shown.listen(follow)
  }

  // What others see.

  const section = (): SectionShape<AnalyticsData | null> =>
    sectionOf({
      now: clock.now(),
      monotonic: clock.monotonic(),
      state: String(snapshot.value),
      context: snapshot.context,
      pid: life?.process.pid ?? null,
      isThere,
      askedAt: life?.askedAt ?? null,
      readError,
      head,
      reckoning,
      heardAt,
      beganAt,
    })
  const numbers = (query: FiguresQuery = {}): Promise<AnalyticsShape> =>
    new Promise((resolve) => {
      const of = life
      if (!of || !isThere || questions.size >= QUESTIONS_MAX) return resolve({ ...section(), numbers: null })
      ids += 1
      const id = ids
      const cancel = clock.setTimeout(() => {
        questions.delete(id)
        resolve({ ...section(), numbers: null })
      }, NUMBERS_WITHIN_MS)
      questions.set(id, (given) => {
        cancel()
        resolve({ ...section(), numbers: given })
      })
      say(of, { type: 'numbers', id, query })
    })

  return {
    begin: () => {
      if (stopping || snapshot.value !== 'off') return
      beganAt = clock.now()
      listen()
      tell({ type: 'began', at: clock.monotonic() })
    },
    section,
    numbers,
    stop: () => {
      stopping ??= new Promise((resolve) => {
        unlisten()
        const child = life?.process
        tell({ type: 'stopped', at: clock.monotonic() })
        if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
          return resolve()
        const cancel = clock.setTimeout(resolve, GONE_WITHIN_MS)
        child.ref()
        child.once('exit', () => {
          cancel()
          resolve()
        })
      })
      return stopping
    },
  }
}
