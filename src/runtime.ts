/**
 * The runtime: the one place that puts the parts together. It holds a home, takes plans in, and follows them to their end.
 */
import { isAbsolute, resolve } from 'node:path'
import { type AnalyticsPorts, analytics, noAnalytics } from './actors/analytics.ts'
import type { AttemptNews, Attempts } from './actors/attempts.ts'
import { callAttempts, type Handler, type Needs } from './actors/calls.ts'
import { processExecutor } from './actors/executor.ts'
import { type Host, host } from './actors/host.ts'
import type { HostCounts } from './actors/memory.ts'
import { readNeeds } from './actors/needs.ts'
import { type ExecutorNews, processAttempts } from './actors/processes.ts'
import { projector } from './actors/projector.ts'
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
  wrongState,
} from './command.ts'
import { jobEnvironment } from './config.ts'
import { type Definition, definitionHash, type Need } from './definition.ts'
import { TenutoError } from './errors.ts'
import { feed } from './feed.ts'
import type { FiguresQuery } from './guest.ts'
import { homePaths } from './home.ts'
import { planId, type Random, systemRandom } from './ids.ts'
import { storeError } from './journal/driver.ts'
import type { Journal, PlanHead } from './journal/journal.ts'
import { type Hold, type HolderRecord, holdHome } from './journal/lock.ts'
import { emptyReader, sqliteReader } from './journal/reader.ts'
import { type Durability, sqliteJournal } from './journal/sqlite.ts'
import { openLog } from './log.ts'
import { meets } from './machines/board.ts'
import { checkDefinition } from './plans/define-plan.ts'
import { bootId } from './process.ts'
import { type GcOptions, type RetentionOptions, retention, retentionLimits } from './retention.ts'
import { type RunningBuild, runningBuild } from './running-build.ts'
import { isJobEnd, isPlanEnd, UNSETTLED } from './states.ts'
import { SWEEP_MS, sweeper } from './sweep.ts'
import {
  type AnalyticsShape,
  type BuildShape,
  buildShape,
  type EventShape,
  eventShape,
  type GcShape,
  type JobShape,
  type StateShape,
  type SweepShape,
} from './views/shapes.ts'

export { scanAttempts } from './actors/executor.ts'
export type { Catalog } from './catalog.ts'
export type { Command, CommandOptions, CommandReceipt } from './command.ts'
export { readHolder } from './journal/lock.ts'
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
  /** Hears the inspection events of every live actor, after the commit they belong to; what it throws is dropped with it. */
  inspect?: Parameters<Host['inspect']>[0]
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
  /** Resolves when the plan is durable. Submits made together share a commit. */
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
   * @throws {TenutoError} `WRONG_STATE`, `REF_NOT_FOUND`.
   */
  command: (
    plan: string,
    job: string | null,
    command: Command,
    options?: CommandOptions,
  ) => Promise<CommandReceipt>
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
  /** The highest position that retention has removed; 0 when it has removed none. Who stands before it has missed something. */
  prunedTo: () => Promise<number>
  catalog: Catalog
  /** What this process calls itself. */
  calledAs: string
  /** How analytics is, and its numbers if it gives them within two seconds. Never rejects. */
  analytics: (query?: FiguresQuery) => Promise<AnalyticsShape>
  /** What holds the home, and what it holds. */
  state: () => Promise<StateShape>
  counts: () => HostCounts
  /** Resolves when every message has been taken that can be taken now, and what came of it is durable. */
  idle: () => Promise<void>
  /** Which build this process runs, and whether the code on disk still is that. */
  build: () => BuildShape
  /** Processes of this home that live now, of whatever plan. */
  live: () => Promise<readonly LiveAttempt[]>
  /** Says more about this holder in `daemon.json`. */
  describe: Hold['describe']
  /** Resolves with the error when the runtime can do nothing more: it was replaced, or its store is broken. */
  failed: Promise<unknown>
  /** Finishes the commit in flight and gives the home up; attempts in processes go on. Idempotent. */
  stop: () => Promise<void>
}>

const KEY_MAX = 200
const STATE_SCHEMA = '1'

type Parts = Readonly<{
  journal: Journal
  hold: Hold | null
  log: Awaited<ReturnType<typeof openLog>>
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
    const log = await openLog({ level: 'silent' })
    // A runtime that is virtual in all leaves nothing on the disk.
    const program = options.ports?.attempts ? '' : runnerProgram(home)
    return { journal: await given(), hold: null, log, program }
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
  try {
    const log = await openLog({ file: paths.log, level: 'info' })
    const program = runnerProgram(home)
    if (stale !== null) log.warn({ build, stale }, 'this build is stale')
    const booted = stale === null ? build : `${build}+stale`
    const boot = { bootId: record.boot_id, pid: process.pid, build: booted, at: clock.now() }
    const journal = await sqliteJournal({
      file: paths.journal,
      boot,
      durability: options.durability ?? 'full',
    })
    return { journal, hold, log, program }
  } catch (error) {
    hold.release()
    throw storeError(paths.home, error)
  }
}

/**
 * Takes a home and begins to run it.
 * @throws {TenutoError} `HOME_HELD` when another process has it; `SCHEMA_NEWER`, `STORE_CORRUPT`, `STORE_BROKEN`.
 * @example
 * const runtime = await createRuntime({ home: '.tenuto', handlers: { thumb: async ({ input }) => ({ made: input }) } })
 * const plan = await runtime.submit(definePlan({ name: 'thumbs', jobs: { a: { call: 'thumb', with: 1 } } }))
 * await plan.settled()
 * await runtime.stop()
 */
export const createRuntime = async (options: RuntimeOptions = {}): Promise<Runtime> => {
  const home = resolve(options.home ?? '.tenuto')
  const { maxParallel = Number.POSITIVE_INFINITY, handlers = {} } = options
  if (!(maxParallel >= 1))
    throw new TenutoError('USAGE', { what: `maxParallel is ${maxParallel}; it must be 1 or more` })
  retentionLimits(options.retention ?? {})
  const clock = options.ports?.clock ?? systemClock
  const random = options.ports?.random ?? systemRandom
  const running = runningBuild()
  const { journal, hold, log, program } = await openParts(home, options, running)
  const unwatch = running.watch(clock, ({ stale }) => {
    if (stale === null) log.info({}, 'the code on disk is again what this process runs')
    else log.warn({ stale }, 'the code on disk is not what this process runs')
  })
  const homeId = journal.opening.home
  const shown = projector((error) => log.warn({ error: String(error) }, 'a listener threw and was dropped'))
  const steps = feed(journal, shown)
  const staying = alive()
  const calledAs = options.command ?? 'a program'
  const startedAt = new Date(clock.now()).toISOString()
  const reading = catalog(journal, home)
  const needs = (ref: Parameters<typeof readNeeds>[1]): Promise<Needs> => readNeeds(journal, ref)
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
    const processes = processAttempts({ home, homeId, bootedSince, clock, executor, needs, tell })
    return routedAttempts(processes, calls)
  }

  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve
  })
  const broken = (error: unknown): void => {
    log.error({ error: String(error) }, 'the runtime can do nothing more')
    fail(error)
    steps.close()
    staying.because('plans', false)
  }
  const actors = host({
    journal,
    clock,
    random,
    attempts: (tell) => starting(options.starts ?? true, (options.ports?.attempts ?? realAttempts)(tell)),
    maxParallel: (options.starts ?? true) ? maxParallel : 0,
    log,
    show: shown.show,
    occupied: (some) => staying.because('plans', some),
    fail: broken,
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
  const replay = (known: PlanHead, hash: string, key: string): PlanHandle => {
    if (known.hash !== hash) throw new TenutoError('KEY_CONFLICT', { key, plan: known.id })
    return handle(known.id, true)
  }
  const submit = (definition: Definition, options: SubmitOptions = {}): Promise<PlanHandle> => {
    const { key } = options
    if (key === undefined) return staying.until(admit(definition, options))
    if (typeof key !== 'string' || key === '' || key.length > KEY_MAX) {
      const what = `key is ${JSON.stringify(key)}; it must be a text of 1 to ${KEY_MAX} characters`
      return Promise.reject(new TenutoError('USAGE', { what }))
    }
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

  async function* events({
    after = 0,
    follow = true,
    ...query
  }: EventsQuery = {}): AsyncGenerator<EventShape> {
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
    by: CommandOptions = {},
  ): Promise<CommandReceipt> => {
    const before = job === null ? await reading.plan(plan) : await reading.job(plan, job)
    const { address, event } = commandMessage(plan, job, asked, before.state)
    const receipt = await staying.until(actors.offer(address, { ...event, at: clock.now(), ...by }))
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
  const net = sweeper({ journal, clock, host: actors, log, takesUp, isForeign }, options.sweepMs ?? SWEEP_MS)

  const runtime: Runtime = {
    home,
    submit,
    plan: async (ref) => {
      if (typeof ref === 'string') return handle((await reading.resolve(ref)).plan, false)
      const known = await journal.planByKey(ref.key)
      if (!known) throw new TenutoError('REF_NOT_FOUND', { ref: `key ${ref.key}` })
      return handle(known.id, true)
    },
    events,
    command,
    sweep: () => staying.until(net.now()),
    gc: (asked) => staying.until(retain.gc(asked)),
    prunedTo: async () => (await journal.pruned()).last,
    takeUp,
    catalog: reading,
    calledAs,
    analytics: (query) => staying.until(guest.numbers(query)),
    state: async () => {
      const section = guest.section()
      const { plans, jobs, deadLetters } = await journal.totals()
      return {
        schema_version: STATE_SCHEMA,
        generated_at: new Date(clock.now()).toISOString(),
        position: (await journal.head()).position,
        degraded: section.status === 'unavailable',
        build: buildShape(running.build, running.comparison().stale),
        daemon: { boot_id: bootId(), pid: process.pid, started_at: startedAt, command: calledAs },
        counts: {
          plans,
          jobs,
          attempts_live: (await liveAttempts()).length,
          sweep_repairs: actors.counts().repairs,
          dead_letters: deadLetters,
        },
        sections: { analytics: section },
      }
    },
    counts: actors.counts,
    idle: actors.idle,
    build: () => buildShape(running.build, running.comparison().stale),
    live: () => liveAttempts(),
    describe: (more) => hold?.describe(more),
    failed,
    stop: () => {
      stopping ??= (async () => {
        net.stop()
        retain.stop()
        const guestGone = guest.stop()
        unwatch()
        steps.close()
        await actors.stop()
        await guestGone
        await journal.stop(true).finally(() => {
          staying.end()
          hold?.release()
        })
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
  net.begin()
  guest.begin()
  return runtime
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
