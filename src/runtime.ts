/**
 * The runtime: the one place that puts the parts together. It holds a home, takes plans in, and follows them to their end.
 */
import { isAbsolute, resolve } from 'node:path'
import { type AnalyticsPorts, analytics, noAnalytics } from './actors/analytics.ts'
import { type AttemptNews, type Attempts, NO_ATTEMPTS } from './actors/attempts.ts'
import { callAttempts, type Handler, type Needs } from './actors/calls.ts'
import { processExecutor } from './actors/executor.ts'
import { type Host, host } from './actors/host.ts'
import type { Inspector } from './actors/inspecting.ts'
import type { HostCounts } from './actors/memory.ts'
import { readNeeds } from './actors/needs.ts'
import type { StorageState } from './actors/outage.ts'
import { type Faults, type Part, part } from './actors/part.ts'
import { type ExecutorNews, processAttempts } from './actors/processes.ts'
import { NO_PROJECTOR, type Projector, projector } from './actors/projector.ts'
import { routedAttempts } from './actors/routed.ts'
import { runnerProgram } from './actors/runner-program.ts'
import { parseAddress, planAddress } from './address.ts'
import { alive } from './alive.ts'
import { attemptKey, type LiveAttempt } from './attempt.ts'
import { type Catalog, catalog } from './catalog.ts'
import { type Clock, systemClock } from './clock.ts'
import {
  type Command,
  type CommandOptions,
  type CommandReceipt,
  commandMessage,
  isSoAlready,
  type LetterOrder,
  wrongState,
} from './command.ts'
import { jobEnvironment } from './config.ts'
import { type Definition, definitionHash, type Need } from './definition.ts'
import { isTenutoError, TenutoError } from './errors.ts'
import { feed } from './feed.ts'
import type { FiguresQuery } from './guest.ts'
import type { HolderRecord } from './holder.ts'
import { homePaths } from './home.ts'
import { watchHome } from './home-place.ts'
import { planId, type Random, systemRandom } from './ids.ts'
import { storeError } from './journal/driver.ts'
import type { Journal, Opening, PlanHead } from './journal/journal.ts'
import { type Hold, holdHome } from './journal/lock.ts'
import { emptyReader, sqliteReader } from './journal/reader.ts'
import { restartingJournal } from './journal/restarting.ts'
import { type Durability, sqliteJournal } from './journal/sqlite.ts'
import { type OpenLog, openLog } from './log.ts'
import { meets } from './machines/board.ts'
import { wordsOf } from './observer.ts'
import { checkDefinition } from './plans/define-plan.ts'
import { bootId } from './process.ts'
import { type GcOptions, type RetentionOptions, retention } from './retention.ts'
import { type RunningBuild, runningBuild } from './running-build.ts'
import {
  checkCallable,
  checkCommand,
  checkEventsQuery,
  checkOptions,
  checkPlanRef,
  checkSubmitOptions,
} from './runtime-options.ts'
import { isJobEnd, isPlanEnd, UNSETTLED } from './states.ts'
import { reasonText } from './supervisor/index.ts'
import { SWEEP_MS, sweeper } from './sweep.ts'
import { runtimeTree, treeShape } from './tree.ts'
import {
  type AnalyticsShape,
  type BuildShape,
  buildShape,
  type EventShape,
  eventShape,
  type GcShape,
  iso,
  type JobShape,
  type StateShape,
  type StorageShape,
  type SweepShape,
  type TreeShape,
} from './views/shapes.ts'

export { scanAttempts } from './actors/executor.ts'
export type { Catalog } from './catalog.ts'
export type { Command, CommandOptions, CommandReceipt, LetterOrder } from './command.ts'
export { diagrams } from './machines/diagram.ts'
export type { GcOptions, RetentionOptions } from './retention.ts'

/** How a runtime is made. */
export type RuntimeOptions = Readonly<{
  /** The folder that holds everything of this runtime; default `.tenuto`. Made when it is not there. */
  home?: string
  /** Attempts at once, across all plans; default unlimited (each plan has a limit of its own). At least 1. */
  maxParallel?: number
  /** `full` (default): every commit is on the medium before anybody hears of it. `normal`: a power cut may lose the last moments. */
  durability?: Durability
  /** Whether plans of the home that have not ended are taken up at once; default true. */
  resume?: boolean
  /** Whether attempts are started; default true. Without, plans can be changed and stopped, and nothing new begins. */
  starts?: boolean
  /**
   * How often it looks for what messages have missed, in milliseconds; default 5000, 0 never. What is younger than twice that is left
   * alone. Nothing depends on it: a repair is a defect that was caught.
   */
  sweepMs?: number
  /** What is kept of plans that have ended: for how long, how many, how much; and how often that is looked at. */
  retention?: RetentionOptions
  /** Whether a process of its own counts what happens; default false. Nothing depends on it. */
  analytics?: boolean
  /** The handlers of `call` jobs, by name. */
  handlers?: Readonly<Record<string, Handler>>
  /** Hears the inspection events of every live actor, from the first on; as `inspect` of the runtime. */
  inspect?: Inspector
  /** What this process calls itself in `daemon.json`; default `a program`. */
  command?: string
  /** Other ports, for tests: a clock that is moved, a journal in memory, attempts that follow a script. */
  ports?: Partial<Ports>
}>

/** The ports a runtime stands on. */
export type Ports = Readonly<{
  clock: Clock
  random: Random
  journal: () => Promise<Journal>
  attempts: (tell: (plan: string, job: string, news: AttemptNews) => void) => Attempts
  /** Makes an actor or a part fail. */
  faults: Faults
  /** Another program of analytics, and other limits for it. */
  analytics: Pick<AnalyticsPorts, 'program' | 'limits'>
}>

/** How a plan is submitted. */
export type SubmitOptions = Readonly<{
  /** Idempotency key, of 1 to 200 characters: the same plan submitted again under it is the same plan. */
  key?: string
  /** The folder its jobs run in; default the working folder of this process. */
  base?: string
  /** The environment its jobs get, before what the plan says; default this process's, by the allow-list. */
  environment?: Readonly<Record<string, string>>
}>

/** How a plan ended. */
export type Settled = Readonly<{
  state: 'succeeded' | 'failed' | 'cancelled'
  reason: string | null
  jobs: Readonly<Record<string, JobShape>>
}>

/** A plan of this home. */
export type PlanHandle = Readonly<{
  id: string
  /** Whether `submit` found it under its key instead of making it. */
  replayed: boolean
  /** Resolves when the plan has ended. Rejects when the runtime stops first. */
  settled: () => Promise<Settled>
  cancel: (options?: CommandOptions) => Promise<void>
}>

/** Which events to follow. */
export type EventsQuery = Readonly<{
  /** Starts after this position; 0 starts at the beginning. */
  after?: number
  plan?: string
  /** Whether to go on with what is still to come; default true. */
  follow?: boolean
  signal?: AbortSignal
}>

/** A home that is held, and its plans. It keeps the process alive while a plan is open or somebody waits, until `stop`. */
export type Runtime = Readonly<{
  home: string
  /**
   * Resolves when the plan is durable. Submits made together share a commit. One that is found under its key is taken up.
   * @throws {TenutoError} `KEY_CONFLICT`, `UNKNOWN_HANDLER`, `PLAN_INVALID`; `STORE_FULL`: there is no such plan, and will be none.
   */
  submit: (definition: Definition, options?: SubmitOptions) => Promise<PlanHandle>
  /**
   * A plan of this home, by id, name or prefix, or by the key it was submitted with.
   * @throws {TenutoError} `REF_NOT_FOUND`, `REF_AMBIGUOUS`.
   */
  plan: (ref: string | Readonly<{ key: string }>) => Promise<PlanHandle>
  /** Committed steps, in order, without a gap; ends when the runtime stops or the signal is aborted. */
  events: (query?: EventsQuery) => AsyncIterable<EventShape>
  /**
   * Asks something of a plan, or of one of its jobs. Resolves after the commit that took it. Idempotent.
   * @throws {TenutoError} `WRONG_STATE`, `REF_NOT_FOUND`; `STORE_FULL`: it was not done, and is not later.
   */
  command: (
    plan: string,
    job: string | null,
    command: Command,
    options?: CommandOptions,
  ) => Promise<CommandReceipt>
  /**
   * Lets a dead letter be delivered again, or go; what was decided is on record with its plan. Resolves after the commit.
   * @throws {TenutoError} `LETTER_NOT_FOUND`; `WRONG_STATE` when its plan must hear what it says, or is not there.
   */
  settleLetter: (id: number, order: LetterOrder, options?: CommandOptions) => Promise<CommandReceipt>
  /**
   * Takes up a plan that has not ended; false when there is no such plan.
   * @throws {TenutoError} `UNKNOWN_HANDLER` when it calls handlers that this program does not have; it is left as it is.
   */
  takeUp: (plan: string) => Promise<boolean>
  /** Looks now for what messages have missed, however young, and leads on from it; each repair is on record. Idempotent. */
  sweep: () => Promise<SweepShape>
  /**
   * Removes what is kept no longer of plans that have ended, or says what that would be. A key goes with its plan: submitted again
   * under it, the plan runs again. Idempotent.
   */
  gc: (options?: GcOptions) => Promise<GcShape>
  /**
   * Hears what every live actor does, in order, after the commit it belongs to; those that live already come first. One that throws,
   * whose promise rejects, or that falls too far behind is dropped, and `dropped` hears why. The answer ends it.
   */
  inspect: Host['inspect']
  /** The highest position that retention has removed; 0 when it has removed none. Who stands before it has missed something. */
  prunedTo: () => Promise<number>
  catalog: Catalog
  /** What this process calls itself. */
  calledAs: string
  /** How analytics is, and its numbers if it gives them within two seconds. Never rejects. */
  analytics: (query?: FiguresQuery) => Promise<AnalyticsShape>
  /** What holds the home, and what it holds. */
  state: () => Promise<StateShape>
  /** Whether commits can be made, and since when not. */
  storage: () => StorageShape
  /** Tells when commits can be made no more, and when they can be made again; returns how to be told no more. */
  onStorage: (told: (storage: StorageShape) => void) => () => void
  counts: () => HostCounts
  /** The supervision tree: every part, what has happened to it, and the actors that are in memory. */
  tree: () => TreeShape
  /** Resolves when every message has been taken that can be taken now, and what came of it is durable. */
  idle: () => Promise<void>
  /** Which build this process runs, and whether the code on disk still is that. */
  build: () => BuildShape
  /** Processes of this home that live now, of whatever plan. */
  live: () => Promise<readonly LiveAttempt[]>
  /** Says more about this holder in `daemon.json`. */
  describe: Hold['describe']
  /** Resolves with the error when the runtime can do nothing more: it was replaced, its store is broken, or its home is gone. */
  failed: Promise<unknown>
  /** Finishes the commit in flight and gives the home up; attempts in processes go on. Idempotent. */
  stop: () => Promise<void>
}>

const STATE_SCHEMA = '1'

type Parts = Readonly<{
  journal: Journal
  /** Goes on with the epoch of the journal on a connection of its own. */
  reopen: (again: Opening) => Promise<Journal>
  hold: Hold | null
  opened: OpenLog
  /** Of the runner. */
  program: string
}>

const openParts = async (home: string, options: RuntimeOptions, running: RunningBuild): Promise<Parts> => {
  const { stale } = running.comparison()
  const build = running.build.sourceHash
  const clock = options.ports?.clock ?? systemClock
  const paths = homePaths(home)
  const given = options.ports?.journal
  if (given) {
    const opened = await openLog({ level: 'silent' })
    // A runtime that is virtual in all leaves nothing on the disk.
    const program = options.ports?.attempts ? '' : runnerProgram(home)
    const journal = await given()
    return { journal, reopen: async () => journal, hold: null, opened, program }
  }
  const record: HolderRecord = {
    pid: process.pid,
    parent_pid: null,
    command: options.command ?? 'a program',
    started_at: new Date(clock.now()).toISOString(),
    boot_id: bootId(),
    url: null,
    sock: null,
    build,
    ...(stale === null ? {} : { stale }),
  }
  const hold = holdHome(home, record)
  let opened: OpenLog | undefined
  try {
    opened = await openLog({ file: paths.log, level: 'info' })
    const program = runnerProgram(home)
    if (stale !== null) opened.log.warn({ build, stale }, 'this build is stale')
    const booted = stale === null ? build : `${build}+stale`
    const boot = { bootId: record.boot_id, pid: process.pid, build: booted, at: clock.now() }
    const file = { file: paths.journal, boot, durability: options.durability ?? 'full' }
    const journal = await sqliteJournal(file)
    return { journal, reopen: (again) => sqliteJournal({ ...file, again }), hold, opened, program }
  } catch (error) {
    await opened?.close()
    hold.release()
    throw storeError(paths.home, error)
  }
}

/**
 * Takes a home and begins to run it.
 * @throws {TenutoError} `USAGE` with every mistake in the options; `HOME_HELD` when another process has it; `SCHEMA_NEWER`,
 * `STORE_CORRUPT`, `STORE_BROKEN`.
 * @example
 * const runtime = await createRuntime({ home: '.tenuto', handlers: { thumb: async ({ input }) => ({ made: input }) } })
 * const plan = await runtime.submit(definePlan({ name: 'thumbs', jobs: { a: { call: 'thumb', with: 1 } } }))
 * await plan.settled()
 * await runtime.stop()
 */
export const createRuntime = async (options: RuntimeOptions = {}): Promise<Runtime> => {
  checkOptions(options)
  const home = resolve(options.home ?? '.tenuto')
  const { maxParallel = Number.POSITIVE_INFINITY, handlers = {} } = options
  const clock = options.ports?.clock ?? systemClock
  const random = options.ports?.random ?? systemRandom
  const running = runningBuild()
  const parts = await openParts(home, options, running)
  const { hold, opened, program } = parts
  const faults = options.ports?.faults
  const writer = restartingJournal(parts.journal, parts.reopen, () =>
    faults?.({ part: 'journal', call: 'commit' }),
  )
  const { journal } = writer
  const { log } = opened
  const unwatch = running.watch(clock, ({ stale }) => {
    if (stale === null) log.info({}, 'the code on disk is again what this process runs')
    else log.warn({ stale }, 'the code on disk is not what this process runs')
  })
  const homeId = journal.opening.home
  const projecting = part<Projector>({
    name: 'projector',
    make: () => projector((error) => log.warn({ error: wordsOf(error) }, 'a listener threw and was dropped')),
    idle: NO_PROJECTOR,
    tell: async () => steps.again(),
    faults,
  })
  const shown = projecting.port
  const steps = feed(journal, shown)
  const staying = alive()
  const calledAs = options.command ?? 'a program'
  const startedAt = new Date(clock.now()).toISOString()
  const reading = catalog(journal, home)
  const needs = (ref: Parameters<typeof readNeeds>[1]): Promise<Needs> => readNeeds(journal, ref)
  let executor: Part<Attempts> | undefined
  /** Handlers of this program are no part of it: nothing could take them over from one that failed. */
  const executing = (make: () => Attempts): Attempts => {
    executor = part<Attempts>({
      name: 'executor',
      make,
      idle: NO_ATTEMPTS,
      tell: () => actors.tellAgain('executor'),
      drop: (failed) => void failed.close(),
      faults,
    })
    return executor.port
  }
  let liveAttempts: () => Promise<readonly LiveAttempt[]> = async () => []

  const realAttempts: Ports['attempts'] = (tell) => {
    const calls = callAttempts({
      handlers,
      clock,
      keyOf: (plan, job, attempt) => attemptKey(homeId, plan, job, attempt),
      needs,
      tell,
      warn: (fields, message) => log.warn(fields, message),
    })
    const executor = (news: ExecutorNews) => {
      const made = processExecutor({
        home,
        homeId,
        epoch: journal.opening.epoch,
        clock,
        build: running.build.sourceHash,
        program,
        fail: (error) => broken(error),
        ...news,
        log: (level, fields, message) => log[level](fields, message),
      })
      liveAttempts = made.live
      return made
    }
    const { bootedSince } = journal.opening
    const processes = executing(() =>
      processAttempts({ home, homeId, bootedSince, clock, executor, needs, tell }),
    )
    return routedAttempts(processes, calls)
  }

  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve
  })
  const broken = (error: unknown): void => {
    // A commit that waited for a writer when it was told to stop.
    if (isTenutoError(error, 'STOPPED')) return
    log.error({ error: String(error) }, 'the runtime can do nothing more')
    fail(error)
    steps.close()
    staying.because('plans', false)
  }
  const listeners = new Set<(storage: StorageShape) => void>()
  const stored = (): void => {
    for (const told of listeners) {
      try {
        told(storage())
      } catch (error) {
        listeners.delete(told)
        log.warn({ error: String(error) }, 'a listener threw and was dropped')
      }
    }
  }
  const storage = (): StorageShape =>
    storageShape(actors.storage(), actors.counts().failedCommits, clock.now())
  const actors = host({
    journal,
    clock,
    random,
    attempts: (tell) => {
      const given = options.ports?.attempts
      return starting(options.starts ?? true, given ? executing(() => given(tell)) : realAttempts(tell))
    },
    maxParallel: (options.starts ?? true) ? maxParallel : 0,
    log,
    show: shown.show,
    occupied: (some) => staying.because('plans', some),
    stored,
    fail: broken,
    failed: (actor) => tree.failed(actor),
    forgotten: (address) => tree.forget(address),
    faults,
  })
  if (options.inspect) actors.inspect(options.inspect)
  /** Plans whose end somebody in this process waits for, or is about to read. */
  const awaited = new Map<string, number>()
  const retain = await retention(
    {
      home,
      journal,
      clock,
      log,
      between: actors.between,
      isBusy: (id) => actors.residents.has(id) || awaited.has(id),
    },
    options.retention ?? {},
    options.starts ?? true,
  )
  let stopping: Promise<void> | null = null
  let halting: Promise<void> | null = null
  // What is done in a home that is gone, nobody would find: nothing is taken any more, and no end of an attempt is heard.
  const unwatchHome =
    hold &&
    watchHome(hold, clock, ({ why }) => {
      broken(new TenutoError('HOME_GONE', { home, why }))
      halting = actors.stop()
    })

  // Plans.

  const keyed = new Map<string, Promise<PlanHandle>>()
  const admit = async (given: Definition, options: SubmitOptions): Promise<PlanHandle> => {
    const definition = checkDefinition(given)
    checkHandlers(definition, handlers)
    const hash = definitionHash(definition)
    if (options.key !== undefined) {
      const known = await journal.planByKey(options.key)
      if (known) return replay(known, hash, options.key)
    }
    let id = planId(definition.name, random)
    while ((await journal.plan(id)) !== undefined || actors.residents.has(id) || retain.isUsed(id))
      id = planId(definition.name, random)
    const base = options.base ?? process.cwd()
    const row = {
      id,
      name: definition.name,
      key: options.key ?? null,
      hash,
      inputs: '{}',
      environment: JSON.stringify(options.environment ?? jobEnvironment()),
      base: isAbsolute(base) ? base : resolve(base),
      submittedAt: clock.now(),
    }
    await actors.submit({ row, definition })
    return handle(id, false)
  }
  const replay = async (known: PlanHead, hash: string, key: string): Promise<PlanHandle> => {
    if (known.hash !== hash) throw new TenutoError('KEY_CONFLICT', { key, plan: known.id })
    // Who submits it wants it to go on, also where nothing was taken up at the start.
    if (!isPlanEnd(known.state) && !actors.residents.has(known.id)) await actors.takeUp(known.id)
    return handle(known.id, true)
  }
  const submit = async (definition: Definition, options: SubmitOptions = {}): Promise<PlanHandle> => {
    checkSubmitOptions(options)
    const { key } = options
    if (key === undefined) return staying.until(admit(definition, options))
    // Two submits under one key take turns, so that the second finds what the first made.
    const turn = (keyed.get(key) ?? Promise.resolve()).then(
      () => admit(definition, options),
      () => admit(definition, options),
    )
    keyed.set(key, turn)
    const leave = (): void => {
      if (keyed.get(key) === turn) keyed.delete(key)
    }
    turn.then(leave, leave)
    return staying.until(turn)
  }

  const settled = async (id: string): Promise<Settled> => {
    const own = planAddress(id)
    const end = await steps.until(
      ({ address, to }) => address === own && isPlanEnd(to),
      async () => {
        const { state, reason } = await reading.plan(id)
        return isPlanEnd(state) ? { state, reason } : undefined
      },
    )
    if (!end) throw new TenutoError('STOPPED')
    return { ...end, jobs: Object.fromEntries((await reading.jobs(id)).map((job) => [job.name, job])) }
  }
  const handle = (id: string, replayed: boolean): PlanHandle => ({
    id,
    replayed,
    settled: () => {
      awaited.set(id, (awaited.get(id) ?? 0) + 1)
      const leave = (): void => {
        const others = (awaited.get(id) ?? 1) - 1
        if (others > 0) awaited.set(id, others)
        else awaited.delete(id)
      }
      return staying.until(settled(id).finally(leave))
    },
    cancel: async (by) => {
      await command(id, null, { do: 'cancel' }, by)
    },
  })

  // Events.

  async function* follow({ after = 0, follow = true, ...query }: EventsQuery): AsyncGenerator<EventShape> {
    const pages = steps.pages({ ...query, after, follow })
    try {
      for (;;) {
        const { done, value: page } = await staying.until(pages.next())
        if (done) return
        for (const step of page) {
          yield eventShape(step)
          if (stopping || query.signal?.aborted) return
        }
      }
    } finally {
      await pages.return(undefined)
    }
  }

  // Commands.

  const command = async (
    plan: string,
    job: string | null,
    asked: Command,
    { waits = false, ...by }: CommandOptions = {},
  ): Promise<CommandReceipt> => {
    checkCommand(asked)
    const before = job === null ? await reading.plan(plan) : await reading.job(plan, job)
    const { address, event } = commandMessage(plan, job, asked, before.state)
    const receipt = await staying.until(actors.offer(address, { ...event, at: clock.now(), ...by }, waits))
    if (receipt.taken) return { position: receipt.position, changed: true }
    const aside = (await journal.plan(plan))?.aside
    if (typeof aside === 'string') throw new TenutoError('PLAN_DAMAGED', { plan, why: aside })
    const now = job === null ? await reading.plan(plan) : await reading.job(plan, job)
    const unmet = asked.do === 'retry' && 'needs' in now ? await unmetNeed(now) : undefined
    // An ended job of a live plan was opened again before, and has not heard of it yet.
    const reopened =
      asked.do === 'retry' &&
      isJobEnd(now.state) &&
      unmet === undefined &&
      ['running', 'paused'].includes((await reading.plan(plan)).state)
    if (reopened || isSoAlready(asked, now)) return { position: receipt.position, changed: false }
    throw wrongState(job === null ? plan : `${plan}/${job}`, asked, now.state, unmet)
  }

  /** Why an ended job would only be skipped again, in words. */
  const unmetNeed = async ({ plan, state, needs }: JobShape): Promise<string | undefined> => {
    if (!isJobEnd(state)) return undefined
    for (const [name, need] of Object.entries(needs)) {
      const other = await reading.job(plan, name)
      if (isJobEnd(other.state) && !meets(need as Need, other.state)) return `${name} is ${other.state}`
    }
    return undefined
  }

  /** Plans that are left to another program. */
  const foreign = new Set<string>()
  /** A plan whose handlers this program does not have is left to the one that has them. */
  const takeUp = async (plan: string): Promise<boolean> => {
    const head = await journal.plan(plan)
    if (head && head.aside === null && !isPlanEnd(head.state)) {
      // What cannot be read is set aside by the host, which says why.
      const definition = await reading.definition(plan).catch(() => undefined)
      try {
        if (definition) checkHandlers(definition, handlers)
      } catch (error) {
        foreign.add(plan)
        throw error
      }
    }
    return staying.until(actors.takeUp(plan))
  }

  const takesUp = (options.resume ?? true) && (options.starts ?? true)
  const isForeign = (plan: string): boolean => foreign.has(plan)
  const guestPorts = { home, homeId, journal, shown, clock, random, log, ...options.ports?.analytics }
  const guest = options.analytics ? analytics(guestPorts) : noAnalytics
  const net = sweeper(
    { journal, clock, host: actors, takesUp, isForeign, faults },
    options.sweepMs ?? SWEEP_MS,
  )

  const tree = runtimeTree(
    {
      // What all others stand on is stopped after the tree: a failed incarnation that is stopped must not take it along.
      journal: { start: writer.start },
      slots: actors.parts.slots,
      timers: actors.parts.timers,
      executor: { start: (exit) => executor?.start(exit) },
      sweeper: net,
      retention: retain,
      projector: { start: projecting.start },
      analytics: { start: guest.begin, stop: guest.stop },
    },
    { clock, random, log },
  )
  void tree.ended.then((reason) => {
    if (!stopping) broken(new TenutoError('RUNTIME_GIVEN_UP', { why: reasonText(reason) }))
  })
  await tree.start()

  const runtime: Runtime = {
    home,
    submit,
    plan: async (ref) => {
      checkPlanRef(ref)
      if (typeof ref === 'string') return handle((await reading.resolve(ref)).plan, false)
      const known = await journal.planByKey(ref.key)
      if (!known) throw new TenutoError('REF_NOT_FOUND', { ref: `key ${ref.key}` })
      return handle(known.id, true)
    },
    events: (query = {}) => {
      checkEventsQuery(query)
      return follow(query)
    },
    command,
    settleLetter: async (id, order, by = {}) => ({
      position: await staying.until(actors.settleLetter(id, order, by)),
      changed: true,
    }),
    sweep: () => staying.until(net.now()),
    gc: (asked) => staying.until(retain.gc(asked)),
    prunedTo: async () => (await journal.pruned()).last,
    takeUp,
    catalog: reading,
    calledAs,
    analytics: (query) => staying.until(guest.numbers(query)),
    state: async () => {
      const { plans, jobs, deadLetters, deadLettersEver } = await journal.totals()
      const journalNow = storage()
      const section = guest.section()
      return {
        schema_version: STATE_SCHEMA,
        generated_at: new Date(clock.now()).toISOString(),
        position: (await journal.head()).position,
        degraded: journalNow.status !== 'ok' || section.status === 'unavailable',
        build: buildShape(running.build, running.comparison().stale),
        daemon: { boot_id: bootId(), pid: process.pid, started_at: startedAt, command: calledAs },
        counts: {
          plans,
          jobs,
          attempts_live: (await liveAttempts()).length,
          sweep_repairs: actors.counts().repairs,
          dead_letters: deadLetters,
          dead_letters_ever: deadLettersEver,
          duplicates: actors.counts().duplicates,
        },
        sections: { journal: journalNow, analytics: section },
      }
    },
    inspect: (inspector, dropped) => {
      checkCallable('the inspector', inspector)
      if (dropped !== undefined) checkCallable('dropped', dropped)
      return actors.inspect(inspector, dropped)
    },
    storage,
    onStorage: (told) => {
      checkCallable('the listener', told)
      listeners.add(told)
      return () => void listeners.delete(told)
    },
    counts: actors.counts,
    tree: () => treeShape(tree.show(), actors, guest.section(), clock.now()),
    idle: actors.idle,
    build: () => buildShape(running.build, running.comparison().stale),
    live: () => liveAttempts(),
    describe: (more) => hold?.describe(more),
    failed,
    stop: () => {
      stopping ??= (async () => {
        unwatch()
        unwatchHome?.()
        try {
          await halting
          // Nothing may wait for a writer that nobody starts any more.
          writer.refuse()
          steps.close()
          await tree.stop()
          await actors.stop()
          await writer.stop(halting === null)
        } finally {
          staying.end()
          hold?.release()
          await opened.close()
        }
      })()
      return stopping
    },
  }
  if (options.resume ?? true) {
    const open = (await journal.plans({ states: UNSETTLED })).map(({ id }) => id)
    // An ended plan may have mail: it was on its way to a job that ended first.
    const addressed = (await journal.addressed()).map((address) => parseAddress(address).plan)
    // One plan that cannot be read must not keep the others from going on.
    for (const id of new Set([...open, ...addressed])) {
      await takeUp(id).catch((error: unknown) => {
        log.error({ plan: id, error: String(error) }, 'the plan cannot be taken up')
      })
    }
  }
  net.ready()
  return runtime
}

const storageShape = (state: StorageState, failedCommits: number, now: number): StorageShape => {
  const outage = state.status === 'ok' ? null : state
  const error = outage?.error ?? null
  return {
    status: state.status,
    as_of: iso(now),
    age_ms: 0,
    error: error && { code: error.code, message: error.message, hint: error.hint },
    data: {
      since: outage && iso(outage.since),
      tries: outage?.tries ?? 0,
      next_try_at: outage && iso(outage.nextTryAt),
      failed_commits: failedCommits,
    },
  }
}

/** Attempts that are only ever stopped, where nothing may start. */
const starting = (starts: boolean, attempts: Attempts): Attempts =>
  starts ? attempts : { ...attempts, ensure: () => {}, look: () => 'awaited' }

const checkHandlers = (definition: Definition, handlers: Readonly<Record<string, Handler>>): void => {
  for (const [job, { kind, call = '' }] of Object.entries(definition.jobs)) {
    if (kind === 'call' && !Object.hasOwn(handlers, call))
      throw new TenutoError('UNKNOWN_HANDLER', { job, handler: call })
  }
}

/** Reads a home without holding it. A home or journal that is not there reads as empty and is not made. */
export const readHome = async (home: string): Promise<Catalog> => {
  const paths = homePaths(home)
  return catalog(await sqliteReader(paths.journal), paths.home)
}

/** The catalog of a home that does not exist. */
export const emptyCatalog = (home: string): Catalog => catalog(emptyReader, home)
