/**
 * The attempts of one home: starts or adopts them, and tells their ends. An attempt directory decides everything; what is kept
 * in memory is only what is being watched (`life.ts`).
 *
 * ```
 *   ensure ──> claim won ──> log made ──> started ────> main process gone ──> group empty ──> exit record ──> told
 *      │                                  │ stop: TERM, grace, KILL  ▲         and nobody else has its marker
 *      └─────> claim there ──> judged ──> adopted ───────────────────┘
 *                                └──────> exit record read, or written by the ruling ──────────────────────> told
 * ```
 */
import {
  type AttemptRef,
  attemptVariables,
  bothStops,
  type Claim,
  type ExitRecord,
  type Found,
  type Identity,
  isSameAttempt,
  type Limits,
  type LiveAttempt,
  LOG_LIMITS,
  type Outcome,
  parseAttemptKey,
  type RunnerLimit,
  type Spec,
  type StopOrder,
} from '../attempt.ts'
import { wordsOf } from '../thrown.ts'
import type { Later } from './clock.ts'
import { exitRecords, unstarted } from './exits.ts'
import { type Life, type Ports as LifePorts, type Main, watchLife } from './life.ts'
import { type Child, type Machine, thisMachine } from './machine.ts'
import { isTransient, spawnFailure } from './spawn-failure.ts'

/** How often logs and adopted processes are looked at; also how exact `stall` is. */
const LOOK_MS = 250
/** So soon again while a log grows so fast that it would pass its limit before the next look. */
const LOOK_SOON_MS = 25
/** Starts in one turn of the event loop: between them ends, timeouts and stops have their turn. */
const STARTS_PER_TURN = 4
/** Time for a process that was forked and has not got its environment yet when its runner died. */
const FORKED_WITHIN_MS = 100
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

/** An attempt this runner is busy with. `life` is missing while it waits for its start or its directory is judged. */
type Entry = {
  readonly ref: AttemptRef
  spec: Spec | undefined
  order: StopOrder | undefined
  /** Whether somebody waits to hear what it is found to be. */
  isToBeFound: boolean
  /** Whether it is known to have begun, whatever its directory says. */
  hasBegun: boolean
  life: Life | undefined
}

/** Watches the attempts of one home. */
export const watchAttempts = (ports: Ports, machine: Machine = thisMachine): Attempts => {
  const {
    takeClaim,
    claimOf,
    writeNeeds,
    openLog,
    closeLog,
    mayHaveStarted,
    fullBlock,
    noteMain,
    mainOf,
    processOf,
    stopOf,
    exitOf,
  } = machine
  const { bootId, isAlive, groupMembers, markedProcesses, sweepMarked } = machine
  const { wallMs, machineMs, later, pause, soon } = machine
  const entries = new Map<string, Entry>()
  const waiting: Entry[] = []
  const { started, areLeft } = machine.strays()
  let lookTimer: Later | undefined
  let sweeping = 0
  let abandoned = false

  const lookLater = (): void => {
    lookTimer ??= later(look, LOOK_MS)
  }

  const exits = exitRecords({ machine, unwritten: lookLater, log: ports.log })

  const ensure = (spec: Spec): void => {
    const entry = entries.get(spec.key)
    if (entry !== undefined) {
      heed(entry, spec)
      const { life } = entry
      if (life === undefined) entry.spec ??= spec
      else {
        tellFound(entry, 'adopted', life.pid())
        // Who asks may have missed it.
        life.tellStopping()
        if (!spec.begun) life.tellBegun()
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
    if (entry?.life !== undefined) {
      tellFound(entry, 'adopted', entry.life.pid())
      return entry.life.stop(order)
    }
    if (entry !== undefined) {
      entry.order = bothStops(entry.order, order)
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
    const recorded = guarded(() => recordOf(ref))
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
      const again = isTransient(error)
      if (!again) tellFound(entry, 'requeued', null)
      ruled(entry, again ? 'never-started' : 'spawn-error', spawnFailure(spec, error))
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
    guarded(() => noteMain(dir, pid))
    started({ key, pid, startedMono })
    const identity = { pid, start: '', boot: ports.self.boot }
    watch(entry, { child, identity, startedAt, startedMono, limits: limitsOf(spec) })
  }

  const watch = (entry: Entry, main: Main): void => {
    const { ref, order } = entry
    tellFound(entry, main.child === undefined ? 'adopted' : 'requeued', main.identity.pid)
    const ended = (record: ExitRecord) => finish(entry, record)
    entry.life = watchLife(ofLives, ref, main, { order, isBegunTold: entry.hasBegun, ended })
    // What it may read of its needs can be long.
    entry.spec = undefined
    lookLater()
  }

  /**
   * The claim was there: adopt, read the end, or rule. In this order and no other: claim, then processes, then exit record; a
   * record read before the processes may appear in between, and a lost ruling would contradict it.
   */
  const judge = async (entry: Entry): Promise<void> => {
    const { ref } = entry
    const claim = claimOf(ref.dir)
    if (claim !== undefined && !isSameAttempt(claim.key, ref.key)) {
      return tell(entry, unstarted(ref, 'spawn-error', wallMs(), `${ref.dir} belongs to ${claim.key}`))
    }
    const isDenied = claim !== undefined && claim.by !== 'runner'
    if (isDenied) {
      const recorded = recordOf(ref)
      if (recorded !== undefined) return tell(entry, recorded)
      if (claim.by === 'cancel' && !entry.hasBegun) return ruled(entry, 'cancelled')
      if (!isUnproven(entry)) return ruled(entry, 'lost')
    }
    // It was made in the home that this one was copied from: whoever it names, and whatever lives, belongs there.
    if (claim !== undefined && claim.key !== ref.key) return ruleFromFiles(entry, true)
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
    const recorded = recordOf(ref)
    if (recorded !== undefined) return tell(entry, recorded)
    const isThere = mayHaveStarted(ref.dir) || processOf(ref.dir) !== undefined
    const outcome = unknown || hasBegun || leftovers > 0 || isThere ? 'lost' : 'never-started'
    const gone = isThere ? undefined : hasBegun ? FOLDER_GONE : unknown ? FOLDER_UNSEEN : undefined
    finish(entry, { ...unstarted(ref, outcome, wallMs(), gone), leftovers })
  }

  const findMain = async (entry: Entry) => {
    const { ref } = entry
    const recorded = processOf(ref.dir)
    if (recorded?.key === ref.key) {
      return isAlive(recorded) ? { identity: recorded as Identity, ...recorded } : undefined
    }
    const noted = mainOf(ref.dir)
    if (!mayHaveStarted(ref.dir)) return isUnproven(entry) ? leaderOf(ref.key, noted) : undefined
    const found = leaderOf(ref.key, noted)
    if (found !== undefined) return found
    await pause(FORKED_WITHIN_MS)
    return leaderOf(ref.key, mainOf(ref.dir))
  }

  /**
   * The main process of a runner that died before it recorded it: the group leader with the marker that was noted; where none was, the
   * oldest.
   */
  const leaderOf = (key: string, noted: number | undefined) => {
    const leaders = markedProcesses(key)
      .filter((marked) => marked.key === key && (noted === undefined || marked.pid === noted))
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
    const { ref } = entry
    const at = claim?.at ?? wallMs()
    const stopped = stopOf(ref.dir)
    watch(entry, {
      stopped: stopped?.key === ref.key ? stopped : undefined,
      child: undefined,
      identity: found.identity,
      startedAt: found.startedAt ?? at,
      startedMono: found.startedMono ?? machineMs() - Math.max(0, wallMs() - at),
      limits: claim?.limits ?? (entry.spec === undefined ? WITHOUT_LIMITS : limitsOf(entry.spec)),
    })
    ports.log(`${ref.key}: adopted process ${found.identity.pid}`)
  }

  const tellFound = (entry: Entry, how: Found, pid: number | null): void => {
    if (entry.isToBeFound) ports.found(entry.ref.key, how, pid)
    entry.isToBeFound = false
  }

  /** Logs and adopted processes, while there are attempts. */
  const look = (): void => {
    let isSoon = false
    let block: number | undefined | null = null
    const blockOfAll = (dir: string): number | undefined => {
      // All lie on one disk.
      if (block === null) block = guarded(() => fullBlock(dir))
      return block
    }
    for (const { life } of entries.values()) if (life?.look(blockOfAll)) isSoon = true
    exits.again()
    lookTimer =
      entries.size > 0 || !exits.areWritten() ? later(look, isSoon ? LOOK_SOON_MS : LOOK_MS) : undefined
  }

  const ruled = (entry: Entry, outcome: Outcome, error?: string): void =>
    finish(entry, unstarted(entry.ref, outcome, wallMs(), error))

  /** The end on record, also one that was recorded before this home was copied from another. */
  const recordOf = ({ dir, key }: AttemptRef): ExitRecord | undefined => {
    const recorded = exitOf(dir)
    return recorded !== undefined && isSameAttempt(recorded.key, key) ? { ...recorded, key } : recorded
  }

  /** Records the end, tells it, and forgets the attempt. */
  const finish = (entry: Entry, record: ExitRecord): void => {
    entries.delete(entry.ref.key)
    const recorded = exits.write(entry.ref.dir, record)
    if (!abandoned) ports.ended(recorded)
  }

  /** Tells an end that stands in the directory already, or must not stand there. */
  const tell = (entry: Entry, record: ExitRecord): void => {
    entries.delete(entry.ref.key)
    ports.ended(record)
  }

  const toldUnwritten = (key: string): boolean => {
    const known = exits.unwritten(key)
    if (known !== undefined) ports.ended(known)
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
    [...entries.values()].flatMap(({ life, ref: { key } }) => {
      const name = parseAttemptKey(key)
      if (life === undefined || name === undefined) return []
      const { plan, job, attempt } = name
      return [{ key, plan, job, attempt, pid: life.pid(), startedAt: life.startedAt }]
    })

  const abandon = (): void => {
    abandoned = true
    exits.abandon()
    waiting.length = 0
    for (const [key, { life }] of entries) {
      if (life === undefined) entries.delete(key)
      else life.cancel()
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

  const ofLives: LifePorts = { ...ports, machine, areLeft, guarded, lookMs: LOOK_MS }
  const isIdle = () => entries.size === 0 && exits.areWritten() && sweeping === 0
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
  life: undefined,
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
