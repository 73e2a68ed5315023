/**
 * The daemon's side of attempts that are processes: asks the runner of the home to ensure and to stop them, and reports their
 * ends. It holds no truth: what it is asked for it asks again of every new runner, and the attempt directories decide.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { shortHash } from '../artefact.ts'
import {
  type AttemptRef,
  type AttemptReport,
  attemptDir,
  bothStops,
  FILES,
  type Found,
  type LiveAttempt,
  MARKER,
  parseAttemptKey,
  planKeyPrefix,
  type RunnerLimit,
  runnerMark,
  type Spec,
  type StopOrder,
} from '../attempt.ts'
import type { Clock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { type HomePlace, homePlace } from '../home-place.ts'
import { OUTPUTS_LIMIT_BYTES, type ParsedOutputs, parseOutputs } from '../outputs.ts'
import { markedProcesses } from '../process.ts'
import { type FromRunner, PROTOCOL_VERSION, readFromRunner, type ToRunner } from '../protocol.ts'
import { lineSender, onLines, socketPath } from '../socket.ts'
import type { RunnerProgram } from './runner-program.ts'
import { seldom } from './seldom.ts'

/** The name of the runner's socket in its home. */
export const RUNNER_SOCKET = 'runner.sock'

/** A runner serves a few tens of milliseconds after its start; waits double from the first of these to the last. */
const AGAIN_MS = { min: 10, max: 2_000 } as const
/** A runner that does not serve after this is not waited for; another is started. The lock sees to it that one serves. */
const SERVES_WITHIN_MS = 5_000
/** One that is asked and has not answered after this may have been stopped; what can be seen without it is seen without it. */
const ANSWERS_WITHIN_MS = 5_000
/** A runner that is let go of hangs up within this, or it is stopped; what it was told lies in its socket all the same. */
const HANGS_UP_WITHIN_MS = 1_000
/** A runner of another protocol that has nothing to watch leaves within this. */
const STRANGER_LEAVES_WITHIN_MS = 8_000
/** Enough for a thousand attempts; the runner forks, and a small process forks fast. */
const RUNNER_HEAP_MB = 256
/** What an attempt needs is soon garbage. Left alone, their space doubles to several times this, and stays so. */
const RUNNER_YOUNG_MB = 4
/** The runner needs nothing of its starter's environment, and its jobs must not get any of it. */
const RUNNER_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What an executor needs. */
export type Ports = Readonly<{
  home: string
  homeId: string
  /** This boot's epoch: the runner obeys the highest. */
  epoch: number
  clock: Clock
  /** The identity of this build, for the runner's records. */
  build: string
  /** The runner's program (`runnerProgram`). */
  program: RunnerProgram
  /** What a job of a plan has written, without the secrets of that plan; as it is where there are none to be told of. */
  masked?: (plan: string, text: string) => string
  /** Called with every end, at least once for each attempt that was ensured or stopped. Must not throw. */
  report: (end: AttemptReport) => void
  /** Called when the runner begins to stop an attempt that has passed a limit; perhaps several times. Must not throw. */
  stopping: (attempt: AttemptRef, why: RunnerLimit) => void
  /**
   * Called once for each attempt that was asked for as `recovered` and had not ended, before its end. `pid` is null when it could not be
   * started. Must not throw.
   */
  found: (attempt: AttemptRef, how: Found, pid: number | null) => void
  /** Called when an attempt has lived for a second; perhaps several times, and not for one that is `begun` already. Must not throw. */
  begun: (attempt: AttemptRef, pid: number) => void
  /** Called once when the runner that serves will never obey: `RUNNER_MISMATCH`; `FENCED` when it obeys a newer daemon; `HOME_GONE`. */
  fail: (error: TenutoError) => void
  log: (level: 'info' | 'warn' | 'error', fields: Readonly<Record<string, unknown>>, message: string) => void
}>

/** Starts, adopts and stops attempts. Nothing here throws or waits but `live` and `close`. */
export type ProcessExecutor = Readonly<{
  /** Adopts the attempt, reads its end, or launches it, whichever its directory proves right. Idempotent. */
  ensure: (spec: Spec) => void
  /** Stops the attempt, or sees to it that it never starts. Idempotent; `graceMs: 0` cuts a running grace short. */
  stop: (order: StopOrder) => void
  /** Whether the attempt of this key is asked for and its end has not come. */
  awaits: (key: string) => boolean
  /** Whether that of any attempt of a plan is, also of one whose end was told before: the order is on its way to its folder. */
  awaitsPlan: (plan: string) => boolean
  /** Ends what ended attempts of a plan left behind. */
  sweepPlan: (plan: string) => void
  /** The attempts of this home whose processes live, of whatever plan. */
  live: () => Promise<readonly LiveAttempt[]>
  /** The keys of the attempts that the runner watches; undefined when there is none, or it does not answer. */
  watched: () => Promise<ReadonlySet<string> | undefined>
  /** Since when the runner has not answered what it was asked, epoch ms; undefined while it does, and where there is none. */
  silentSince: () => number | undefined
  /** Lets go of the runner; attempts go on. Nothing is reported afterwards. Idempotent. */
  close: () => Promise<void>
}>

/** What is asked of an attempt until its end has come. */
type Asked = Readonly<{ ref: AttemptRef; spec?: Spec; order?: StopOrder }>
type Connection = Readonly<{ socket: Socket; send: (message: ToRunner) => void }>
type Question = (attempts: readonly LiveAttempt[] | undefined) => void

/** Makes the executor of a home. It connects, and starts a runner, when it is first asked for something. */
export const processExecutor = (ports: Ports): ProcessExecutor => {
  const asked = new Map<string, Asked>()
  const sweeps = new Set<string>()
  const questions = new Map<number, Question>()
  let lastQuestion = 0
  let connection: Connection | undefined
  let connecting = false
  let closed = false
  let againMs: number = AGAIN_MS.min
  let cancelAgain: (() => void) | undefined
  let cancelSilence: (() => void) | undefined
  /** When it was asked what it has not answered; it may have been stopped. */
  let silentSince: number | undefined
  /** Keeps this process alive while something is asked, with a connection and without. */
  const hold = new MessageChannel().port1
  /** Since when a runner of another protocol has refused us. */
  let strangerSince: number | undefined
  let runner: Readonly<{ process: ChildProcess; startedAt: number }> | undefined
  /** Where the home is. One that has gone is not made again, and what is in its place is another's. */
  let place: HomePlace | undefined
  /** While there is no room, a runner ends every two seconds. */
  const trouble = seldom(ports.clock, ports.log)

  const ensure = (spec: Spec): void => {
    if (closed) return
    const before = asked.get(spec.key)
    asked.set(spec.key, { ...before, ref: spec, spec })
    say({ type: 'ensure', spec })
  }

  const stop = (order: StopOrder): void => {
    if (closed) return
    const before = asked.get(order.key)
    asked.set(order.key, { ref: order, ...before, order: bothStops(before?.order, order) })
    say({ type: 'stop', order })
  }

  const sweepPlan = (plan: string): void => {
    if (closed) return
    const prefix = planKeyPrefix(ports.homeId, plan)
    // No runner is started to find nothing.
    if (connection === undefined && markedProcesses(prefix).length === 0) return
    sweeps.add(prefix)
    say({ type: 'sweep', prefix })
  }

  const live = async (): Promise<readonly LiveAttempt[]> =>
    (await askLive()) ?? scanAttempts(ports.home, ports.homeId)

  const watched: ProcessExecutor['watched'] = async () => {
    const attempts = await askLive()
    return attempts && new Set(attempts.map(({ key }) => key))
  }

  /** What the runner says; undefined when it says nothing. */
  const askLive = async (): Promise<readonly LiveAttempt[] | undefined> => {
    const ask = connection
    if (ask === undefined || silentSince !== undefined) return undefined
    const askedAt = ports.clock.now()
    return await new Promise((resolve) => {
      lastQuestion += 1
      const id = lastQuestion
      const cancel = ports.clock.setTimeout(() => {
        fellSilent(askedAt)
        answer(id, undefined)
      }, ANSWERS_WITHIN_MS)
      questions.set(id, (attempts) => {
        cancel()
        resolve(attempts)
      })
      ask.send({ type: 'live', id })
      holdOpen()
    })
  }

  const fellSilent = (askedAt: number): void => {
    if (silentSince !== undefined) return
    silentSince = askedAt
    ports.log('warn', { attempts: asked.size }, 'the runner does not answer; is it stopped?')
  }

  const answer = (id: number, attempts: readonly LiveAttempt[] | undefined): void => {
    questions.get(id)?.(attempts)
    questions.delete(id)
    holdOpen()
  }

  const say = (message: ToRunner): void => {
    holdOpen()
    if (connection === undefined) connect()
    else connection.send(message)
  }

  const connect = (): void => {
    if (connecting || closed || connection !== undefined || cancelAgain !== undefined) return
    if (place?.look()) return homeGone()
    connecting = true
    let socket: Socket
    try {
      place ??= homePlace(ports.home)
      socket = createConnection(socketPath(ports.home, RUNNER_SOCKET))
    } catch (error) {
      connecting = false
      trouble.tell('error', { error }, 'the runner cannot be reached')
      return later()
    }
    // Followed by `close`, which decides.
    socket.on('error', () => {})
    socket.once('connect', () => connected(socket))
    socket.once('close', () => disconnected(socket))
  }

  const connected = (socket: Socket): void => {
    connecting = false
    if (closed) return void socket.destroy()
    connection = { socket, send: lineSender(socket) }
    silentSince = undefined
    socket.unref()
    onLines(socket, (line) => heard(line))
    const greetedAt = ports.clock.now()
    cancelSilence = ports.clock.setTimeout(() => fellSilent(greetedAt), ANSWERS_WITHIN_MS)
    connection.send({ type: 'hello', v: PROTOCOL_VERSION, epoch: ports.epoch, build: ports.build })
    for (const each of asked.values()) ask(connection, each)
    for (const prefix of sweeps) connection.send({ type: 'sweep', prefix })
  }

  /** An attempt that is to stop is not ensured: nobody knows what the runner before had heard, and it must not start now. */
  const ask = ({ send }: Connection, { spec, order }: Asked): void => {
    if (order !== undefined) send({ type: 'stop', order })
    else if (spec !== undefined) send({ type: 'ensure', spec })
  }

  const disconnected = (socket: Socket): void => {
    const served = connection?.socket === socket
    connecting = false
    if (served) {
      connection = undefined
      silentSince = undefined
      cancelSilence?.()
    }
    for (const id of [...questions.keys()]) answer(id, undefined)
    if (closed || (asked.size === 0 && sweeps.size === 0)) return
    if (!served) startRunner()
    else if (strangerSince === undefined)
      ports.log('warn', { attempts: asked.size }, 'the runner is gone; its attempts are asked for again')
    later()
  }

  const later = (): void => {
    cancelAgain = ports.clock.setTimeout(() => {
      cancelAgain = undefined
      connect()
    }, againMs)
    againMs = Math.min(againMs * 1.5, AGAIN_MS.max)
  }

  const startRunner = (): void => {
    if (runner !== undefined && ports.clock.monotonic() - runner.startedAt < SERVES_WITHIN_MS) return
    const flags = [
      `--max-old-space-size=${RUNNER_HEAP_MB}`,
      `--max-semi-space-size=${RUNNER_YOUNG_MB}`,
      '--disable-warning=ExperimentalWarning',
    ]
    let errors: number | undefined
    try {
      if (place?.look()) return homeGone()
      errors = openSync(join(ports.home, 'runner.log'), 'a', 0o600)
      const socket = socketPath(ports.home, RUNNER_SOCKET)
      const child = spawn(process.execPath, [...flags, ports.program(), ports.home, socket, ports.build], {
        cwd: '/',
        // A job may have started us: whoever stops it tells by the marker that this is nobody's attempt.
        env: { PATH: RUNNER_PATH, [MARKER]: runnerMark(ports.homeId) },
        detached: true,
        stdio: ['ignore', 'ignore', errors],
      })
      child.unref()
      runner = { process: child, startedAt: ports.clock.monotonic() }
      child.once('error', (error) => trouble.tell('error', { error }, 'the runner cannot be started'))
      child.once('exit', (code, signal) => {
        if (runner?.process === child) runner = undefined
        if (code !== 0) trouble.tell('error', { code, signal }, 'the runner ended; runner.log says more')
      })
    } catch (error) {
      trouble.tell('error', { error }, 'the runner cannot be started')
    } finally {
      if (errors !== undefined) closeSync(errors)
    }
  }

  const homeGone = (): void => {
    const gone = place?.look()
    if (closed || !gone) return
    ports.fail(new TenutoError('HOME_GONE', { home: ports.home, why: gone.why }))
    void close()
  }

  const heard = (line: string): void => {
    const message = readFromRunner(line)
    if (message === undefined)
      return ports.log('warn', { line: line.slice(0, 200) }, 'the runner was not understood')
    cancelSilence?.()
    silentSince = undefined
    if (message.type === 'welcome') welcomed(message)
    else if (message.type === 'refused') refused(message)
    else if (message.type === 'stopping') stopping(message)
    else if (message.type === 'ended') ended(message.record)
    else if (message.type === 'found') wasFound(message)
    else if (message.type === 'begun') hasBegun(message)
    else if (message.type === 'swept') sweeps.delete(message.prefix)
    else answer(message.id, message.attempts)
    holdOpen()
  }

  const welcomed = ({ pid, build }: Extract<FromRunner, { type: 'welcome' }>): void => {
    againMs = AGAIN_MS.min
    strangerSince = undefined
    if (trouble.over()) ports.log('info', { pid }, 'the runner serves')
    if (build !== ports.build) {
      const both = { pid, runner: build, build: ports.build }
      ports.log('warn', both, 'the runner is of another build and speaks our protocol')
    }
  }

  const refused = ({ why, message, v, build }: Extract<FromRunner, { type: 'refused' }>): void => {
    if (strangerSince === undefined) ports.log('error', { why, runner: build }, message)
    // A newer daemon is in command: this one has been replaced and must not come back.
    if (why === 'epoch') {
      if (!closed) ports.fail(new TenutoError('FENCED', { what: message }))
      return void close()
    }
    if (closed) return
    const now = ports.clock.monotonic()
    // One that still watches attempts will not leave soon.
    const stays = strangerSince === undefined && scanAttempts(ports.home, ports.homeId).length > 0
    strangerSince ??= now
    if (!stays && now - strangerSince < STRANGER_LEAVES_WITHIN_MS) return
    const named = { runner: shortHash(build ?? 'unknown'), found: v ?? 'another' }
    const ours = { build: shortHash(ports.build), spoken: PROTOCOL_VERSION }
    ports.fail(new TenutoError('RUNNER_MISMATCH', { home: ports.home, ...named, ...ours }))
    void close()
  }

  /** A stop that was ordered here has its own reason. */
  const stopping = ({ key, why }: Extract<FromRunner, { type: 'stopping' }>): void => {
    const found = asked.get(key)
    if (found !== undefined && found.order === undefined && !closed) ports.stopping(found.ref, why)
  }

  /** What is asked of a later runner is no longer asked after. */
  const wasFound = ({ key, how, pid }: Extract<FromRunner, { type: 'found' }>): void => {
    const before = asked.get(key)
    if (before === undefined || closed || !(before.spec?.recovered || before.order?.recovered)) return
    const { recovered: _, ...spec } = before.spec ?? {}
    const { recovered: __, ...order } = before.order ?? {}
    asked.set(key, {
      ref: before.ref,
      ...(before.spec === undefined ? {} : { spec: spec as Spec }),
      ...(before.order === undefined ? {} : { order: order as StopOrder }),
    })
    ports.found(before.ref, how, pid)
  }

  /** A later runner that finds nothing of it must know better. */
  const hasBegun = ({ key, pid }: Extract<FromRunner, { type: 'begun' }>): void => {
    const before = asked.get(key)
    if (before === undefined || closed) return
    asked.set(key, {
      ref: before.ref,
      ...(before.spec === undefined ? {} : { spec: { ...before.spec, begun: true } }),
      ...(before.order === undefined ? {} : { order: { ...before.order, begun: true } }),
    })
    ports.begun(before.ref, pid)
  }

  const ended = (record: AttemptReport['record']): void => {
    const found = asked.get(record.key)
    // The end of an attempt that an earlier daemon asked for; whoever wants it asks.
    if (found === undefined || closed) return
    asked.delete(record.key)
    const { key, plan, job, attempt, generation, dir } = found.ref
    const { outputs, warnings } = readOutputs(dir, (text) => ports.masked?.(plan, text) ?? text)
    const all = [...(record.warnings ?? []), ...warnings]
    ports.report({ key, plan, job, attempt, generation, dir, record, outputs, warnings: all })
  }

  const holdOpen = (): void => {
    if (!closed && asked.size + sweeps.size + questions.size > 0) hold.ref()
    else hold.unref()
  }

  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    cancelAgain?.()
    cancelSilence?.()
    hold.close()
    place?.close()
    const last = connection?.socket
    if (last === undefined || last.destroyed) return
    await new Promise<void>((resolve) => {
      last.ref()
      const cancel = ports.clock.setTimeout(() => last.destroy(), HANGS_UP_WITHIN_MS)
      last.once('close', () => {
        cancel()
        resolve()
      })
      // What was said in this turn goes out first; then the runner sees the end and hangs up too.
      setImmediate(() => last.end())
    })
  }

  const awaits = (key: string): boolean => asked.has(key)
  const awaitsPlan = (plan: string): boolean => {
    const prefix = planKeyPrefix(ports.homeId, plan)
    for (const key of asked.keys()) if (key.startsWith(prefix)) return true
    return false
  }

  return {
    ensure,
    stop,
    awaits,
    awaitsPlan,
    sweepPlan,
    live,
    watched,
    silentSince: () => silentSince,
    close,
  }
}

/** The attempts of a home whose processes live, found by their marker: also where no runner serves. */
export const scanAttempts = (home: string, homeId: string): readonly LiveAttempt[] => {
  const found = new Map<string, LiveAttempt>()
  for (const { key, pid } of markedProcesses(`${homeId}/`)) {
    const name = parseAttemptKey(key)
    if (name === undefined || found.has(key)) continue
    const { plan, job, attempt } = name
    const exit = join(attemptDir(home, plan, job, attempt), FILES.exit)
    // What an ended attempt left behind is no live attempt.
    if (statSync(exit, { throwIfNoEntry: false }) !== undefined) continue
    found.set(key, { key, plan, job, attempt, pid, startedAt: null })
  }
  return [...found.values()]
}

/** A little more than the limit is read, so that what lies past it is noticed. */
const readOutputs = (dir: string, masked: (text: string) => string): ParsedOutputs => {
  const path = join(dir, FILES.outputs)
  let file: number | undefined
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return NO_OUTPUTS
    // Without waiting for a writer, should the job have made a pipe of it.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    if (!fstatSync(file).isFile()) return { outputs: undefined, warnings: ['outputs: not a file'] }
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(file).size, OUTPUTS_LIMIT_BYTES + 1))
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(file, buffer, length, buffer.length - length, length)
    }
    return parseOutputs(buffer.subarray(0, length), masked)
  } catch (error) {
    return { outputs: undefined, warnings: [`outputs: cannot be read: ${(error as Error).message}`] }
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

const NO_OUTPUTS: ParsedOutputs = { outputs: undefined, warnings: [] }
