/**
 * The attempts of one home: starts, watches, stops and records them. An attempt directory decides everything; what is kept
 * in memory is only what is being watched.
 *
 * ```
 *   ensure ──> claim won ──> log made ──> started ────> main process gone ──> group empty ──> exit record ──> told
 *      │                                  │ stop: TERM, grace, KILL  ▲         and nobody else has its marker
 *      └─────> claim there ──> judged ──> adopted ───────────────────┘
 *                                └──────> exit record read, or written by the ruling ──────────────────────> told
 * ```
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  type AttemptRef,
  attemptVariables,
  type Claim,
  type ExitRecord,
  type Found,
  type Identity,
  type Limits,
  type LiveAttempt,
  LOG_LIMITS,
  type Outcome,
  parseAttemptKey,
  RECORD_VERSION,
  RUNNER_LIMITS,
  type RunnerLimit,
  type Spec,
  type StopOrder,
  type StopWhy,
} from '../attempt.ts'
import { codeOf, wordsOf } from '../thrown.ts'
import type { Later } from './clock.ts'
import { type Child, type Machine, thisMachine } from './machine.ts'
import type { Swept } from './sweep.ts'

/** How often logs and adopted processes are looked at; also how exact `stall` is. */
const LOOK_MS = 250
/** So soon again while a log grows so fast that it would pass its limit before the next look. */
const LOOK_SOON_MS = 25
/** Starts in one turn of the event loop: between them ends, timeouts and stops have their turn. */
const STARTS_PER_TURN = 4
/** Time for a process that was forked and has not got its environment yet when its runner died. */
const FORKED_WITHIN_MS = 100
/** Node's timers cannot wait longer. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** One that lives so long is told to have begun; shorter ones cost nobody a word. */
const BEGUN_AFTER_MS = 1_000
/** Looks after which a log that stays above its limit although it is punched is given up. */
const OVER_LIMIT_LOOKS_MAX = 40

/** What ran out, not what the job did: the attempt may be tried again freely. */
const TRANSIENT = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'])

/** What the attempts of a home need. */
export type Ports = Readonly<{
  /** The identity of this runner. */
  self: Identity
  /** The epoch of the daemon in command. */
  epoch: () => number
  /** Called when an attempt that has passed a limit begins to be stopped, and again each time it is ensured before its end. */
  stopping: (key: string, why: RunnerLimit) => void
  /** Called once for each time an attempt was asked for as `recovered`, unless it has ended. */
  found: (key: string, how: Found, pid: number | null) => void
  /** Called once when an attempt has lived for a second, and again when it is ensured and its `begun` is not known. */
  begun: (key: string, pid: number) => void
  /** Called with every end, also of one that was recorded before; at least once for each ensured or stopped attempt. */
  ended: (record: ExitRecord) => void
  log: (message: string) => void
}>

/** The attempts of a home. No method throws. */
export type Attempts = Readonly<{
  /** Sees to it that the attempt is under way or its end is told. Idempotent. */
  ensure: (spec: Spec) => void
  /** Sees to it that the attempt ends, or never starts. Idempotent; a shorter grace takes over. */
  stop: (order: StopOrder) => void
  /** Ends what ended attempts whose keys begin so have left behind; resolves with how many that were. */
  sweep: (prefix: string) => Promise<number>
  live: () => readonly LiveAttempt[]
  /** Whether there is nothing to wait for. */
  isIdle: () => boolean
  /** The home is gone: ends everything, writes nothing more, and tells nobody of ends that nobody asked for and no file will show. */
  abandon: () => void
}>

/** An attempt whose main process lives, or lived until its group is empty. */
type Live = {
  readonly ref: AttemptRef
  readonly limits: Limits
  /** `start` is empty until the process is recorded. */
  identity: Identity
  /** Undefined for one that an earlier runner started. */
  readonly child: Child | undefined
  readonly startedAt: number
  readonly startedMono: number
  readonly warnings: string[]
  phase: 'running' | 'stopping' | 'ending'
  decided: StopWhy | undefined
  killAt: number
  hurry: boolean
  limitTimer: Later | undefined
  killTimer: Later | undefined
  logInode: number | undefined
  logBytes: number
  silentMs: number
  lookedAt: number
  punching: Promise<void> | undefined
  looksOverLimit: number
  isBegunTold: boolean
  isCutShort: boolean
}

/** An attempt this runner is busy with. `live` is missing while it waits for its start or its directory is judged. */
type Entry = {
  readonly ref: AttemptRef
  spec: Spec | undefined
  order: StopOrder | undefined
  /** Whether somebody waits to hear what it is found to be. */
  isToBeFound: boolean
  /** Whether it is known to have begun, whatever its directory says. */
  hasBegun: boolean
  live: Live | undefined
}

/** Watches the attempts of one home. */
export const watchAttempts = (ports: Ports, machine: Machine = thisMachine): Attempts => {
  const { takeClaim, claimOf, writeNeeds, openLog, closeLog, mayHaveStarted, logOf, punchOut, fullBlock } =
    machine
  const { writeProcess, processOf, writeExit, exitOf } = machine
  const { bootId, identityOf, isAlive, groupMembers, markedProcesses, sendSignal } = machine
  const { isGroupEmpty, sweepGroup, sweepMarked } = machine
  const { wallMs, machineMs, later, cancelLater, pause, soon } = machine
  const entries = new Map<string, Entry>()
  const waiting: Entry[] = []
  /** Ends that could not be written yet, as on a full disk. */
  const unwritten = new Map<string, Readonly<{ dir: string; record: ExitRecord }>>()
  const { started, areLeft } = machine.strays()
  let lookTimer: Later | undefined
  let sweeping = 0
  let abandoned = false

  const ensure = (spec: Spec): void => {
    const entry = entries.get(spec.key)
    if (entry !== undefined) {
      heed(entry, spec)
      if (entry.live === undefined) entry.spec ??= spec
      else {
        tellFound(entry, 'adopted', entry.live.identity.pid)
        // Who asks may have missed it.
        tellStopping(entry.live)
        if (!spec.begun) tellBegun(entry.live)
      }
      return
    }
    if (toldUnwritten(spec.key)) return
    const fresh: Entry = { ...unasked(spec), spec }
    heed(fresh, spec)
    entries.set(spec.key, fresh)
    if (waiting.push(fresh) === 1) soon(startSome)
  }

  const startSome = (): void => {
    for (const entry of waiting.splice(0, STARTS_PER_TURN)) begin(entry)
    if (waiting.length > 0) soon(startSome)
  }

  const stop = (order: StopOrder): void => {
    const entry = entries.get(order.key)
    if (entry !== undefined) heed(entry, order)
    if (entry?.live !== undefined) {
      tellFound(entry, 'adopted', entry.live.identity.pid)
      return stopLive(entry.live, order.why, order.graceMs)
    }
    if (entry !== undefined) {
      entry.order = order
      return
    }
    if (toldUnwritten(order.key)) return
    const fresh: Entry = { ...unasked(order), order }
    heed(fresh, order)
    entries.set(order.key, fresh)
    begin(fresh)
  }

  const heed = (entry: Entry, { recovered, begun }: Pick<Spec, 'recovered' | 'begun'>): void => {
    entry.isToBeFound ||= recovered === true
    entry.hasBegun ||= begun === true
  }

  /** Tries to be the one who decides; whoever was first is obeyed. */
  const begin = (entry: Entry): void => {
    const { ref, spec, order } = entry
    const starts = spec !== undefined && order === undefined && !isUnproven(entry)
    let isLogged: boolean
    let mine: boolean
    try {
      // A log without its claim: the claim has been removed, and not what it led to.
      isLogged = mayHaveStarted(ref.dir)
      const by = starts || isLogged ? 'runner' : order !== undefined ? 'cancel' : 'sweep'
      const at = wallMs()
      const limits = starts ? { limits: limitsOf(spec) } : {}
      mine = takeClaim(ref, { by, holder: ports.self, epoch: ports.epoch(), at, ...limits })
    } catch (error) {
      if (!isUnproven(entry)) return ruled(entry, 'never-started', wordsOf(error))
      mine = false
      isLogged = false
    }
    // One that was made now may stand in the place of one that was removed: processes are looked for before anything is ruled.
    if (!mine || isLogged || isUnproven(entry))
      return void judge(entry).catch((error: unknown) => judgeLater(entry, error))
    // Who could not even make the claim, as on a full disk, has recorded an end, and it may have been heard.
    const recorded = guarded(() => exitOf(ref.dir))
    if (recorded !== undefined) return tell(entry, recorded)
    if (starts) return launch(entry, spec)
    ruled(entry, (order as StopOrder).why)
  }

  /** Whether a directory that says nothing proves nothing. */
  const isUnproven = ({ spec, hasBegun }: Entry): boolean => hasBegun || spec?.rebooted === true

  const launch = (entry: Entry, spec: Spec): void => {
    const { dir, key } = spec
    let log: number
    try {
      writeNeeds(dir, spec.needs ?? '{}')
      log = openLog(dir)
    } catch (error) {
      return ruled(entry, 'never-started', wordsOf(error))
    }
    const failed = (error: Error) => {
      const transient = TRANSIENT.has(codeOf(error) ?? '')
      if (!transient) tellFound(entry, 'requeued', null)
      ruled(entry, transient ? 'never-started' : 'spawn-error', spawnMessage(spec, error))
    }
    const startedAt = wallMs()
    const startedMono = machineMs()
    let child: Child
    try {
      const env = { ...spec.env, ...attemptVariables(spec) }
      child = machine.start(spec.argv, { cwd: spec.cwd, env, log })
    } catch (error) {
      return failed(error as Error)
    } finally {
      closeLog(log)
    }
    const { pid } = child
    if (pid === undefined) return void child.once('error', failed)
    child.on('error', (error) => ports.log(`${key}: ${error.message}`))
    started({ key, pid, startedMono })
    const identity = { pid, start: '', boot: ports.self.boot }
    const live = watch(entry, { child, identity, startedAt, startedMono, limits: limitsOf(spec) })
    // Never `close`: that waits for everybody who inherited a descriptor.
    child.once('exit', (code, signal) => void mainGone(live, code, signal))
  }

  const watch = (
    entry: Entry,
    started: Pick<Live, 'child' | 'identity' | 'startedAt' | 'startedMono' | 'limits'>,
  ): Live => {
    const live: Live = {
      ref: entry.ref,
      ...started,
      warnings: [],
      phase: 'running',
      decided: undefined,
      killAt: Number.POSITIVE_INFINITY,
      hurry: false,
      limitTimer: undefined,
      killTimer: undefined,
      logInode: undefined,
      logBytes: 0,
      silentMs: 0,
      lookedAt: machineMs(),
      punching: undefined,
      looksOverLimit: 0,
      isBegunTold: entry.hasBegun,
      isCutShort: false,
    }
    entry.live = live
    tellFound(entry, live.child === undefined ? 'adopted' : 'requeued', live.identity.pid)
    // What it may read of its needs can be long.
    entry.spec = undefined
    // An order comes before a limit that may have passed meanwhile.
    if (entry.order !== undefined) stopLive(live, entry.order.why, entry.order.graceMs)
    armLimits(live)
    lookTimer ??= later(look, LOOK_MS)
    return live
  }

  /**
   * The claim was there: adopt, read the end, or rule. In this order and no other: claim, then processes, then exit record; a
   * record read before the processes may appear in between, and a lost ruling would contradict it.
   */
  const judge = async (entry: Entry): Promise<void> => {
    const { ref } = entry
    const claim = claimOf(ref.dir)
    if (claim !== undefined && claim.key !== ref.key) {
      return tell(entry, unstarted(ref, 'spawn-error', `${ref.dir} belongs to ${claim.key}`))
    }
    const isDenied = claim !== undefined && claim.by !== 'runner'
    if (isDenied) {
      const recorded = exitOf(ref.dir)
      if (recorded !== undefined) return tell(entry, recorded)
      if (claim.by === 'cancel' && !entry.hasBegun) return ruled(entry, 'cancelled')
      if (!isUnproven(entry)) return ruled(entry, 'lost')
    }
    if (claim !== undefined && isOtherRunner(claim)) return judgeLater(entry)
    if (claim !== undefined && claim.holder.boot !== bootId()) return ruleFromFiles(entry, true)
    const found = await findMain(entry)
    if (found !== undefined) return adopt(entry, claim, found)
    const swept = await sweepMarked(
      (key) => key === ref.key,
      () => entry.order?.graceMs === 0,
    )
    ruleFromFiles(entry, isDenied || (claim === undefined && isUnproven(entry)), swept.found)
  }

  /** A living runner that is not this one holds the claim: leave the attempt alone and come back. */
  const isOtherRunner = ({ holder }: Claim): boolean =>
    !(holder.pid === ports.self.pid && holder.start === ports.self.start) && isAlive(holder)

  const judgeLater = (entry: Entry, error?: unknown): void => {
    if (error !== undefined) ports.log(`${entry.ref.key}: ${wordsOf(error)}`)
    later(() => void judge(entry).catch((again: unknown) => judgeLater(entry, again)), LOOK_MS)
  }

  /** `unknown`: nothing that these files lack has to have been missing. */
  const ruleFromFiles = (entry: Entry, unknown: boolean, leftovers = 0): void => {
    const { ref, hasBegun } = entry
    const recorded = exitOf(ref.dir)
    if (recorded !== undefined) return tell(entry, recorded)
    const isThere = mayHaveStarted(ref.dir) || processOf(ref.dir) !== undefined
    const outcome = unknown || hasBegun || leftovers > 0 || isThere ? 'lost' : 'never-started'
    const gone = isThere ? undefined : hasBegun ? FOLDER_GONE : unknown ? FOLDER_UNSEEN : undefined
    finish(entry, { ...unstarted(ref, outcome, gone), leftovers })
  }

  const findMain = async (entry: Entry) => {
    const { ref } = entry
    const recorded = processOf(ref.dir)
    if (recorded?.key === ref.key) {
      return isAlive(recorded) ? { identity: recorded as Identity, ...recorded } : undefined
    }
    if (!mayHaveStarted(ref.dir)) return isUnproven(entry) ? leaderOf(ref.key) : undefined
    const found = leaderOf(ref.key)
    if (found !== undefined) return found
    await pause(FORKED_WITHIN_MS)
    return leaderOf(ref.key)
  }

  /** The oldest group leader that carries the marker: the main process of a runner that died before it recorded it. */
  const leaderOf = (key: string) => {
    const leaders = markedProcesses(key)
      .filter((marked) => marked.key === key)
      .flatMap(({ pid }) => groupMembers(pid).filter((member) => member.pid === pid))
      .sort((a, b) => Number(a.start) - Number(b.start))
    const first = leaders[0]
    if (first === undefined) return undefined
    const identity: Identity = { pid: first.pid, start: first.start, boot: bootId() }
    return { identity, startedAt: undefined, startedMono: undefined }
  }

  const adopt = (
    entry: Entry,
    claim: Claim | undefined,
    found: Readonly<{ identity: Identity; startedAt: number | undefined; startedMono: number | undefined }>,
  ): void => {
    const at = claim?.at ?? wallMs()
    watch(entry, {
      child: undefined,
      identity: found.identity,
      startedAt: found.startedAt ?? at,
      startedMono: found.startedMono ?? machineMs() - Math.max(0, wallMs() - at),
      limits: claim?.limits ?? (entry.spec === undefined ? WITHOUT_LIMITS : limitsOf(entry.spec)),
    })
    ports.log(`${entry.ref.key}: adopted process ${found.identity.pid}`)
  }

  const armLimits = (live: Live): void => {
    const { timeoutMs = Number.POSITIVE_INFINITY, deadlineMs = Number.POSITIVE_INFINITY } = live.limits
    const left = Math.min(timeoutMs, deadlineMs) - (machineMs() - live.startedMono)
    if (left === Number.POSITIVE_INFINITY || live.phase !== 'running') return
    if (left <= 0) return stopOverdue(live, deadlineMs < timeoutMs ? 'deadline' : 'timeout')
    live.limitTimer = later(() => armLimits(live), Math.min(Math.ceil(left), TIMER_MS_MAX))
  }

  const stopOverdue = (live: Live, why: RunnerLimit): void => {
    stopLive(live, why, live.limits.graceMs)
    tellStopping(live)
  }

  const tellFound = (entry: Entry, how: Found, pid: number | null): void => {
    if (entry.isToBeFound) ports.found(entry.ref.key, how, pid)
    entry.isToBeFound = false
  }

  const tellBegun = (live: Live): void => {
    if (machineMs() - live.startedMono < BEGUN_AFTER_MS) return
    live.isBegunTold = true
    ports.begun(live.ref.key, live.identity.pid)
  }

  /** What somebody ordered is not told: they know, and their reason is the one that counts. */
  const tellStopping = ({ ref, decided }: Live): void => {
    const why = RUNNER_LIMITS.find((limit) => limit === decided)
    if (why !== undefined) ports.stopping(ref.key, why)
  }

  /** The first reason stands; a later order can only make it quicker. */
  const stopLive = (live: Live, why: StopWhy, graceMs: number): void => {
    if (graceMs <= 0) live.hurry = true
    if (live.phase === 'ending') return
    const first = live.phase === 'running'
    live.phase = 'stopping'
    live.decided ??= why
    if (first && graceMs > 0) {
      signalMain(live, 'SIGTERM')
      // A stopped process takes no TERM before it is continued.
      signalMain(live, 'SIGCONT')
    }
    live.killAt = Math.min(live.killAt, machineMs() + graceMs)
    cancelLater(live.killTimer)
    killWhenDue(live)
  }

  const killWhenDue = (live: Live): void => {
    const left = live.killAt - machineMs()
    if (left <= 0) return signalMain(live, 'SIGKILL')
    live.killTimer = later(() => killWhenDue(live), Math.min(Math.ceil(left), TIMER_MS_MAX))
  }

  /** Our child's pid cannot pass to a stranger before we saw its end; of an adopted one it could. */
  const signalMain = (live: Live, signal: NodeJS.Signals): void => {
    if (live.child === undefined && guarded(() => isAlive(live.identity)) !== true) return
    sendSignal(-live.identity.pid, signal)
  }

  /** The main process is gone: ends its family, bounds its log, records its end. Never rejects. */
  const mainGone = async (live: Live, code: number | null, signal: NodeJS.Signals | null): Promise<void> => {
    const endedAt = wallMs()
    const durationMs = live.child === undefined ? null : Math.round(machineMs() - live.startedMono)
    cancelLater(live.limitTimer)
    cancelLater(live.killTimer)
    live.phase = 'ending'
    const leftovers = await sweepFamily(live)
    await boundLogAtEnd(live)
    const block = guarded(() => fullBlock(live.ref.dir))
    if (block !== undefined) noteCutShort(live, block)
    const entry = entries.get(live.ref.key)
    if (entry === undefined) return
    const log = guarded(() => logRecord(live, machine)) ?? { bytes: live.logBytes }
    finish(entry, {
      v: RECORD_VERSION,
      key: live.ref.key,
      outcome: live.decided ?? outcomeOf(live, code, signal),
      code,
      signal,
      startedAt: live.startedAt,
      endedAt,
      durationMs,
      pid: live.identity.pid,
      leftovers,
      log,
      ...(live.warnings.length > 0 ? { warnings: live.warnings } : {}),
    })
  }

  /** Ends what the main process has left behind; how many that were. */
  const sweepFamily = async (live: Live): Promise<number> => {
    const hurry = () => live.hurry
    const isMarked = (key: string) => key === live.ref.key
    let found = 0
    const swept = async (isNeeded: () => boolean | Promise<boolean>, sweep: () => Promise<Swept>) => {
      try {
        const needed = isNeeded()
        if (needed === false || !(await needed)) return
        const { found: more, left } = await sweep()
        found += more
        if (left > 0) live.warnings.push(`${left} processes could not be ended`)
      } catch (error) {
        live.warnings.push(`leftovers could not be looked for: ${wordsOf(error)}`)
      }
    }
    const { pid } = live.identity
    // The number of an adopted attempt's group may belong to strangers by now.
    if (live.child !== undefined)
      await swept(
        () => !isGroupEmpty(pid),
        () => sweepGroup(pid, hurry),
      )
    await swept(
      () =>
        live.decided !== undefined ||
        live.child === undefined ||
        areLeft({ key: live.ref.key, pid, startedMono: live.startedMono }),
      () => sweepMarked(isMarked, hurry),
    )
    return found
  }

  /** Logs and adopted processes, while there are attempts. Pauses of the runner itself count at most as two looks. */
  const look = (): void => {
    let soon = false
    let block: number | undefined | null = null
    for (const entry of entries.values()) {
      const { live } = entry
      if (live === undefined || live.phase === 'ending') continue
      // All lie on one disk.
      if (block === null) block = guarded(() => fullBlock(live.ref.dir))
      if (block !== undefined) noteCutShort(live, block)
      if (live.identity.start === '') guarded(() => recordProcess(live))
      if (guarded(() => lookAt(live)) === true) soon = true
      if (!live.isBegunTold) tellBegun(live)
      // What cannot be looked at is not gone.
      if (live.child === undefined && guarded(() => isAlive(live.identity)) === false)
        void mainGone(live, null, null)
    }
    for (const { dir, record } of [...unwritten.values()]) write(dir, record)
    lookTimer =
      entries.size > 0 || unwritten.size > 0 ? later(look, soon ? LOOK_SOON_MS : LOOK_MS) : undefined
  }

  /**
   * Only when a process has lived until somebody looked: most are gone by then. Before that its marker tells the next runner what
   * it is.
   */
  const recordProcess = (live: Live): void => {
    const { ref, startedAt, startedMono } = live
    const identity = identityOf(live.identity.pid)
    if (identity === undefined) return
    // On a full disk it is tried again at the next look.
    writeProcess(ref.dir, ref.key, identity, startedAt, startedMono)
    live.identity = identity
  }

  /** Whether to look again soon. */
  const lookAt = (live: Live): boolean => {
    const now = machineMs()
    const watchedMs = Math.min(now - live.lookedAt, 2 * LOOK_MS)
    live.lookedAt = now
    const log = logOf(live.ref.dir)
    const grown = log !== undefined && log.bytes !== live.logBytes ? log.bytes - live.logBytes : 0
    live.silentMs = grown === 0 ? live.silentMs + watchedMs : 0
    live.logBytes = log?.bytes ?? live.logBytes
    if (live.phase === 'running' && live.silentMs >= (live.limits.stallMs ?? Number.POSITIVE_INFINITY)) {
      stopOverdue(live, 'stall')
    }
    if (log === undefined) return false
    live.logInode ??= log.inode
    // Another file in its place, as a job may put there, is none of ours to punch.
    if (live.logInode === log.inode) boundLog(live, log)
    const perLook = (grown / Math.max(1, watchedMs)) * LOOK_MS
    return log.diskBytes + perLook > live.limits.logLimitBytes
  }

  /**
   * The process writes its log itself, and nobody hears what a full disk did not take. But a write that was cut off fills its last
   * block, and a log that does not end with a block has lost nothing.
   */
  const noteCutShort = (live: Live, block: number): void => {
    if (live.isCutShort) return
    const bytes = guarded(() => logOf(live.ref.dir))?.bytes
    if (bytes === undefined || bytes % block !== 0) return
    live.isCutShort = true
    live.warnings.push(`log: the disk was full; what it wrote from byte ${bytes} on may be missing`)
  }

  const boundLog = (live: Live, log: Readonly<{ bytes: number; diskBytes: number }>): void => {
    if (live.punching !== undefined) return
    if (log.diskBytes <= live.limits.logLimitBytes) {
      live.looksOverLimit = 0
      return
    }
    live.looksOverLimit += 1
    live.punching = punch(live, log.bytes)
      .then((why) => {
        live.punching = undefined
        if (why === undefined) return
        if (live.decided === undefined) live.warnings.push(why)
        if (live.phase === 'running') stopOverdue(live, 'log-limit')
      })
      .catch((error: unknown) => ports.log(`${live.ref.key}: ${wordsOf(error)}`))
  }

  /** Why the log cannot be kept within its limit; undefined when it can. */
  const punch = async (live: Live, bytes: number): Promise<string | undefined> => {
    try {
      if (!(await punchOut(live.ref.dir, bytes, live.limits))) {
        return 'the middle of the log could not be punched out on this file system'
      }
      return live.looksOverLimit > OVER_LIMIT_LOOKS_MAX
        ? 'punching out the log frees no disk space'
        : undefined
    } catch (error) {
      // A full disk or a directory that is gone; the next look tries again.
      ports.log(`${live.ref.key}: ${wordsOf(error)}`)
      return undefined
    }
  }

  /** A job can write much and end before anybody looks. */
  const boundLogAtEnd = async (live: Live): Promise<void> => {
    await live.punching
    const log = guarded(() => logOf(live.ref.dir))
    if (log === undefined || log.diskBytes <= live.limits.logLimitBytes) return
    if (live.logInode !== undefined && live.logInode !== log.inode) return
    const why = await punch(live, log.bytes)
    if (why !== undefined && live.decided !== 'log-limit') live.warnings.push(why)
  }

  const unstarted = (ref: AttemptRef, outcome: Outcome, error?: string): ExitRecord =>
    unstartedAt(wallMs(), ref, outcome, error)

  const ruled = (entry: Entry, outcome: Outcome, error?: string): void =>
    finish(entry, unstarted(entry.ref, outcome, error))

  /** Records the end, tells it, and forgets the attempt. */
  const finish = (entry: Entry, record: ExitRecord): void => {
    entries.delete(entry.ref.key)
    const recorded = write(entry.ref.dir, record)
    if (!abandoned) ports.ended(recorded)
  }

  /** Tells an end that stands in the directory already, or must not stand there. */
  const tell = (entry: Entry, record: ExitRecord): void => {
    entries.delete(entry.ref.key)
    ports.ended(record)
  }

  /** What is on record then: a record is never changed, and another runner may have been first. */
  const write = (dir: string, record: ExitRecord): ExitRecord => {
    if (abandoned) {
      unwritten.clear()
      return record
    }
    try {
      const recorded = exitOf(dir)
      // One that names another attempt's directory must not be put there.
      if (recorded === undefined && (claimOf(dir)?.key ?? record.key) === record.key) writeExit(dir, record)
      unwritten.delete(record.key)
      return recorded?.key === record.key ? recorded : record
    } catch (error) {
      if (!unwritten.has(record.key)) ports.log(`${record.key}: its end cannot be written: ${wordsOf(error)}`)
      unwritten.set(record.key, { dir, record })
      lookTimer ??= later(look, LOOK_MS)
      return record
    }
  }

  const toldUnwritten = (key: string): boolean => {
    const known = unwritten.get(key)
    if (known !== undefined) ports.ended(known.record)
    return known !== undefined
  }

  const sweep = async (prefix: string): Promise<number> => {
    sweeping += 1
    try {
      const swept = await sweepMarked(
        (key) => key.startsWith(prefix) && !entries.has(key),
        () => false,
      )
      return swept.found
    } finally {
      sweeping -= 1
    }
  }

  const live = (): readonly LiveAttempt[] =>
    [...entries.values()].flatMap(({ live: one, ref: { key } }) => {
      const name = parseAttemptKey(key)
      if (one === undefined || name === undefined) return []
      const { plan, job, attempt } = name
      return [{ key, plan, job, attempt, pid: one.identity.pid, startedAt: one.startedAt }]
    })

  const abandon = (): void => {
    abandoned = true
    unwritten.clear()
    waiting.length = 0
    for (const [key, { live: one }] of entries) {
      if (one === undefined) entries.delete(key)
      else stopLive(one, 'cancelled', one.limits.graceMs)
    }
  }

  /** One attempt's trouble never becomes another's. */
  const guarded = <T>(act: () => T): T | undefined => {
    try {
      return act()
    } catch (error) {
      ports.log(wordsOf(error))
      return undefined
    }
  }

  const isIdle = () => entries.size === 0 && unwritten.size === 0 && sweeping === 0
  return { ensure, stop, sweep, live, isIdle, abandon }
}

const FOLDER_GONE = 'the folder of an attempt that had begun is gone'
const FOLDER_UNSEEN =
  'it was asked for before the machine was booted or a backup restored, and its folder says nothing'

/** An attempt before anybody has said what is to become of it. */
const unasked = (ref: AttemptRef): Entry => ({
  ref,
  spec: undefined,
  order: undefined,
  isToBeFound: false,
  hasBegun: false,
  live: undefined,
})

const WITHOUT_LIMITS: Limits = { graceMs: 10_000, ...LOG_LIMITS }

const limitsOf = (spec: Spec): Limits => {
  const { timeoutMs, stallMs, deadlineMs, graceMs, logLimitBytes, headBytes } = spec
  return {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(stallMs === undefined ? {} : { stallMs }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    graceMs,
    logLimitBytes,
    headBytes,
  }
}

/** An end nobody saw is never a success. */
const outcomeOf = (live: Live, code: number | null, signal: string | null): Outcome => {
  if (live.child === undefined || (code === null && signal === null)) return 'lost'
  return signal !== null ? 'signal' : code === 0 ? 'succeeded' : 'exit'
}

const unstartedAt = (endedAt: number, ref: AttemptRef, outcome: Outcome, error?: string): ExitRecord => ({
  v: RECORD_VERSION,
  key: ref.key,
  outcome,
  code: null,
  signal: null,
  startedAt: null,
  endedAt,
  durationMs: null,
  pid: null,
  leftovers: 0,
  log: { bytes: 0 },
  ...(error === undefined ? {} : { error }),
})

const logRecord = ({ ref, limits }: Live, { logOf, holeOf }: Machine): ExitRecord['log'] => {
  const bytes = logOf(ref.dir)?.bytes ?? 0
  // Only a log longer than its head can have been punched.
  const hole = bytes > limits.headBytes ? holeOf(ref.dir) : undefined
  return hole === undefined ? { bytes } : { bytes, hole }
}

/** Node says ENOENT for a missing program, a missing folder and a missing interpreter alike. */
const spawnMessage = (spec: Spec, error: Error): string => {
  const program = spec.argv[0] as string
  const code = codeOf(error)
  const folder = statSync(spec.cwd, { throwIfNoEntry: false })
  if (folder === undefined) return `the folder ${spec.cwd} does not exist`
  if (!folder.isDirectory()) return `${spec.cwd} is no folder`
  if (
    code === 'ENOENT' &&
    program.includes('/') &&
    statSync(resolve(spec.cwd, program), { throwIfNoEntry: false })
  ) {
    return `${program} names an interpreter that does not exist`
  }
  if (code === 'ENOENT') return `the program ${program} was not found`
  if (code === 'EACCES') return `${program} may not be executed, or ${spec.cwd} may not be entered`
  return `${program} could not be started: ${error.message}`
}
