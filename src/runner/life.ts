/**
 * The life of one attempt, from the start of its main process until that is gone and its group is empty: bounds it, stops it, and
 * says how it ended.
 *
 * ```
 *   running ──> main process gone ──> ending: what it left behind is ended ──> exit record
 *      │ a stop, or a limit passed          ▲
 *      └──> stopping: TERM, grace, KILL ────┘
 * ```
 */
import {
  type AttemptRef,
  type ExitRecord,
  type Identity,
  type Limits,
  type Outcome,
  RECORD_VERSION,
  RUNNER_LIMITS,
  type RunnerLimit,
  type StopOrder,
  type StopRecord,
  type StopWhy,
} from '../attempt.ts'
import { wordsOf } from '../thrown.ts'
import type { Later } from './clock.ts'
import type { Child, Machine } from './machine.ts'
import type { Strays } from './strays.ts'
import type { Swept } from './sweep.ts'
import { watchLog } from './watched-log.ts'

/** Node's timers cannot wait longer. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** One that lives so long is told to have begun; shorter ones cost nobody a word. */
const BEGUN_AFTER_MS = 1_000

/** What a life needs. */
export type Ports = Readonly<{
  machine: Machine
  areLeft: Strays['areLeft']
  /** Time between two looks. */
  lookMs: number
  /** Called when it has passed a limit and begins to be stopped, and each time `tellStopping` asks again. */
  stopping: (key: string, why: RunnerLimit) => void
  /** Called when it is seen to have lived for a second, and each time `tellBegun` asks again. */
  begun: (key: string, pid: number) => void
  /** Calls what may fail, which then gives undefined. */
  guarded: <T>(act: () => T) => T | undefined
  log: (message: string) => void
}>

/** How a life begins, and what becomes of it. */
export type Course = Readonly<{
  /** It is to be stopped at once, before any limit of its own that may have passed meanwhile. */
  order: StopOrder | undefined
  isBegunTold: boolean
  /** Called once, when it is over. */
  ended: (record: ExitRecord) => void
}>

/** A main process that lives. */
export type Main = Readonly<{
  /** Undefined for one that an earlier runner started. */
  child: Child | undefined
  /** `start` is empty until the process is recorded. */
  identity: Identity
  /** Epoch milliseconds. */
  startedAt: number
  /** On the machine's monotonic clock. */
  startedMono: number
  limits: Limits
  /** How an earlier runner has begun to stop it. */
  stopped?: StopRecord | undefined
}>

/** An attempt whose main process lives, or lived until its group is empty. No method throws. */
export type Life = Readonly<{
  pid: () => number
  startedAt: number
  /** The first reason stands; a later order can only make it quicker. */
  stop: (order: Pick<StopOrder, 'why' | 'graceMs'>) => void
  /** Stops it with the grace of its own limits. */
  cancel: () => void
  /** Looks at its log, and at its process if an earlier runner started it; whether to look again soon. `fullBlock`: as of the machine. */
  look: (fullBlock: (dir: string) => number | undefined) => boolean
  /** Tells which limit it is stopped for, if that is why. */
  tellStopping: () => void
  /** Tells that it has begun, if it has. */
  tellBegun: () => void
}>

/** Watches a main process. */
export const watchLife = (ports: Ports, ref: AttemptRef, main: Main, course: Course): Life => {
  const { machine, guarded } = ports
  const { machineMs, wallMs, later, cancelLater, identityOf, isAlive, sendSignal, writeProcess, writeStop } =
    machine
  const { isGroupEmpty, sweepGroup, sweepMarked, familyOf, sweepFamily } = machine
  const { child, startedAt, startedMono, limits } = main
  const { key, dir } = ref
  const warnings: string[] = []
  /** Who descended from it when it was stopped, by pid: who has left its group and dropped its marker is known by nothing else. */
  const family = new Map<number, Identity>()
  const owed: NodeJS.Signals[] = []
  let { identity } = main
  let phase: 'running' | 'stopping' | 'ending' = 'running'
  let decided: StopWhy | undefined
  let killAt = Number.POSITIVE_INFINITY
  let hurry = false
  let limitTimer: Later | undefined
  let killTimer: Later | undefined
  let { isBegunTold } = course

  const say = (message: string): void => ports.log(`${key}: ${message}`)

  const log = watchLog({
    ...{ machine, dir, limits, guarded, everyMs: ports.lookMs, log: say },
    warn: (warning) => void warnings.push(warning),
    overLimit: (why) => {
      if (decided === undefined) warnings.push(why)
      if (phase === 'running') stopOverdue('log-limit')
    },
  })

  const armLimits = (): void => {
    const { timeoutMs = Number.POSITIVE_INFINITY, deadlineMs = Number.POSITIVE_INFINITY } = limits
    const left = Math.min(timeoutMs, deadlineMs) - (machineMs() - startedMono)
    if (left === Number.POSITIVE_INFINITY || phase !== 'running') return
    if (left <= 0) return stopOverdue(deadlineMs < timeoutMs ? 'deadline' : 'timeout')
    limitTimer = later(armLimits, Math.min(Math.ceil(left), TIMER_MS_MAX))
  }

  const stopOverdue = (why: RunnerLimit): void => {
    stop({ why, graceMs: limits.graceMs })
    tellStopping()
  }

  /** What somebody ordered is not told: they know, and their reason is the one that counts. */
  const tellStopping = (): void => {
    const why = RUNNER_LIMITS.find((limit) => limit === decided)
    if (why !== undefined) ports.stopping(key, why)
  }

  const tellBegun = (): void => {
    if (machineMs() - startedMono < BEGUN_AFTER_MS) return
    isBegunTold = true
    ports.begun(key, identity.pid)
  }

  const stop: Life['stop'] = ({ why, graceMs }) => {
    if (graceMs <= 0) hurry = true
    if (phase === 'ending') return
    const isFirst = phase === 'running'
    phase = 'stopping'
    decided ??= why
    if (isFirst && graceMs > 0) {
      noteFamily()
      signalMain('SIGTERM')
      // A stopped process takes no TERM before it is continued.
      signalMain('SIGCONT')
      const termMono = machineMs()
      // Where the disk does not take it, the grace begins anew with another runner.
      guarded(() => writeStop(dir, { key, why, graceMs, termMono }))
    }
    killAt = Math.min(killAt, machineMs() + graceMs)
    cancelLater(killTimer)
    killWhenDue()
  }

  /** It was asked to end by a runner that is gone: the first reason stands, and the time that has passed counts. */
  const goOnStopping = ({ why, graceMs, termMono }: StopRecord): void => {
    phase = 'stopping'
    decided = why
    killAt = termMono + graceMs
    noteFamily()
    killWhenDue()
  }

  const killWhenDue = (): void => {
    const left = killAt - machineMs()
    if (left <= 0) {
      // Whoever came during the grace.
      noteFamily()
      return signalMain('SIGKILL')
    }
    killTimer = later(killWhenDue, Math.min(Math.ceil(left), TIMER_MS_MAX))
  }

  const noteFamily = (): void => {
    guarded(() => {
      const main = identity.start === '' ? identityOf(identity.pid) : identity
      if (main === undefined) return
      for (const each of familyOf([main, ...family.values()], key)) family.set(each.pid, each)
    })
  }

  /**
   * Our child's pid cannot pass to a stranger before we saw its end; of an adopted one it could. While nobody can say, the signal is
   * owed: it is sent at the first look that says more.
   */
  const signalMain = (signal: NodeJS.Signals): void => {
    const lives = child !== undefined || guarded(() => isAlive(identity))
    if (lives === undefined) owed.push(signal)
    else if (lives) sendSignal(-identity.pid, signal)
  }

  const look: Life['look'] = (fullBlock) => {
    if (phase === 'ending') return false
    noteFull(fullBlock)
    if (identity.start === '') guarded(recordProcess)
    const isSoon = guarded(lookAtLog) === true
    if (!isBegunTold) tellBegun()
    // What cannot be looked at is not gone.
    const lives = child !== undefined || guarded(() => isAlive(identity))
    if (lives === false) void mainGone(null, null)
    else if (lives) for (const signal of owed.splice(0)) sendSignal(-identity.pid, signal)
    return isSoon
  }

  const noteFull = (fullBlock: (dir: string) => number | undefined): void => {
    const block = guarded(() => fullBlock(dir))
    if (block !== undefined) log.noteFull(block)
  }

  /**
   * Only when a process has lived until somebody looked: most are gone by then. Before that its marker tells the next runner what
   * it is.
   */
  const recordProcess = (): void => {
    const found = identityOf(identity.pid)
    if (found === undefined) return
    // On a full disk it is tried again at the next look.
    writeProcess(dir, key, found, startedAt, startedMono)
    identity = found
  }

  const lookAtLog = (): boolean => {
    const { silentMs, isNearLimit } = log.look()
    if (phase === 'running' && silentMs >= (limits.stallMs ?? Number.POSITIVE_INFINITY)) stopOverdue('stall')
    return isNearLimit
  }

  /** The main process is gone: ends its family, bounds its log, says how it ended. Never rejects. */
  const mainGone = async (code: number | null, signal: NodeJS.Signals | null): Promise<void> => {
    const endedAt = wallMs()
    const durationMs = child === undefined ? null : Math.round(machineMs() - startedMono)
    cancelLater(limitTimer)
    cancelLater(killTimer)
    phase = 'ending'
    const leftovers = await sweepLeft()
    const unbound = await log.boundAtEnd()
    if (unbound !== undefined && decided !== 'log-limit') warnings.push(unbound)
    noteFull(machine.fullBlock)
    course.ended({
      v: RECORD_VERSION,
      key,
      outcome: decided ?? (child === undefined ? 'lost' : outcomeOf(code, signal)),
      code,
      signal,
      startedAt,
      endedAt,
      durationMs,
      pid: identity.pid,
      leftovers,
      log: log.record(),
      ...(warnings.length > 0 ? { warnings } : {}),
    })
  }

  /** Ends what the main process has left behind; how many that were. */
  const sweepLeft = async (): Promise<number> => {
    const isHurried = () => hurry
    let found = 0
    const swept = async (isNeeded: () => boolean | Promise<boolean>, sweep: () => Promise<Swept>) => {
      try {
        const needed = isNeeded()
        if (needed === false || !(await needed)) return
        const { found: more, left } = await sweep()
        found += more
        if (left > 0) warnings.push(`${left} processes could not be ended`)
      } catch (error) {
        warnings.push(`leftovers could not be looked for: ${wordsOf(error)}`)
      }
    }
    const { pid } = identity
    // The number of an adopted attempt's group may belong to strangers by now.
    if (child !== undefined)
      await swept(
        () => !isGroupEmpty(pid),
        () => sweepGroup(pid, isHurried),
      )
    await swept(
      () => decided !== undefined || child === undefined || ports.areLeft({ key, pid, startedMono }),
      () => sweepMarked((other) => other === key, isHurried),
    )
    await swept(
      () => family.size > 0,
      () => sweepFamily([...family.values()], key, isHurried),
    )
    return found
  }

  child?.on('error', (error) => say(error.message))
  // Never `close`: that waits for everybody who inherited a descriptor.
  child?.once('exit', (code, signal) => void mainGone(code, signal))
  if (main.stopped !== undefined) goOnStopping(main.stopped)
  if (course.order !== undefined) stop(course.order)
  armLimits()
  return {
    ...{ pid: () => identity.pid, startedAt, stop, look, tellStopping, tellBegun },
    cancel: () => stop({ why: 'cancelled', graceMs: limits.graceMs }),
  }
}

/** An end nobody saw is never a success. */
const outcomeOf = (code: number | null, signal: string | null): Outcome =>
  signal !== null ? 'signal' : code === null ? 'lost' : code === 0 ? 'succeeded' : 'exit'
