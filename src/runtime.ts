/**
 * The runtime: the one place that puts the parts together. It holds a home, takes plans in, and follows them to their end.
 */
import { resolve } from 'node:path'
import { analytics, noAnalytics } from './actors/analytics.ts'
import type { Needs } from './actors/calls.ts'
import type { Host } from './actors/contract.ts'
import { host } from './actors/host.ts'
import { readNeeds } from './actors/needs.ts'
import { part } from './actors/part.ts'
import { NO_PROJECTOR, type Projector, projector } from './actors/projector.ts'
import { parseAddress } from './address.ts'
import { alive } from './alive.ts'
import { catalog } from './catalog.ts'
import { systemClock } from './clock.ts'
import { isTenutoError, TenutoError } from './errors.ts'
import { explaining } from './explaining.ts'
import { feed } from './feed.ts'
import { homePaths } from './home.ts'
import { watchHome } from './home-place.ts'
import { systemRandom } from './ids.ts'
import { inspecting, nodeAt } from './inspecting.ts'
import type { Hold } from './journal/lock.ts'
import { restartingJournal } from './journal/restarting.ts'
import { type ModeReceipt, modeInWords, modes } from './mode.ts'
import { bootId } from './process.ts'
import { retention } from './retention.ts'
import { runningBuild } from './running-build.ts'
import { commanding } from './runtime/commanding.ts'
import type { Runtime, RuntimeOptions } from './runtime/contract.ts'
import { executing } from './runtime/executing.ts'
import { following } from './runtime/following.ts'
import { hiding } from './runtime/hiding.ts'
import { living } from './runtime/living.ts'
import { loopLag } from './runtime/loop-lag.ts'
import { counting, timedJournal } from './runtime/metrics.ts'
import { openHome } from './runtime/opening.ts'
import { checkCallable, checkEventsQuery, checkOptions, checkOrder, checkPlanRef } from './runtime/options.ts'
import { recording } from './runtime/recording.ts'
import { salvaged } from './runtime/salvaging.ts'
import { looksOf, stateDocument } from './runtime/state.ts'
import { storageNews, storageShape } from './runtime/storage.ts'
import { checkHandlers, submitting } from './runtime/submitting.ts'
import { tracing } from './runtime/tracing.ts'
import { vault } from './secrets.ts'
import { isPlanEnd, UNSETTLED } from './states.ts'
import { reasonText } from './supervisor/index.ts'
import { SWEEP_MS, sweeper } from './sweep.ts'
import { wordsOf } from './thrown.ts'
import { runtimeTree, treeShape } from './tree.ts'
import { modeFacts } from './unserved.ts'
import { type Holding, NOT_HELD } from './views/evidence.ts'
import { buildShape, type GcShape, iso, type SweepShape } from './views/shapes.ts'
import type { SectionData } from './views/state.ts'

export { scanAttempts } from './actors/executor.ts'
export type { Catalog } from './catalog.ts'
export type { Command, CommandOptions, CommandReceipt, LetterOrder } from './command.ts'
export { diagrams } from './machines/diagram.ts'
export type { GcOptions, RetentionOptions } from './retention.ts'
export type {
  EventsQuery,
  PlanHandle,
  Ports,
  Runtime,
  RuntimeOptions,
  Settled,
  SubmitOptions,
} from './runtime/contract.ts'
export type { Metrics } from './runtime/metrics.ts'

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
  const parts = await openHome(home, options, running)
  const { hold, opened, program } = parts
  const faults = options.ports?.faults
  const writer = restartingJournal(parts.journal, parts.reopen, () =>
    faults?.({ part: 'journal', call: 'commit' }),
  )
  const { journal, seconds: commitSeconds } = timedJournal(writer.journal, clock)
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
    tell: async () => {
      steps.again()
      live.again()
      spans.again()
    },
    faults,
  })
  const shown = projecting.port
  const steps = feed(journal, shown)
  const live = await living(journal, shown)
  const spans = tracing({ journal, shown, clock, log })
  let cause: unknown
  const staying = alive(() => cause)
  const calledAs = options.command ?? 'a program'
  const startedAt = new Date(clock.now()).toISOString()
  const mode = modes(hold && homePaths(home).mode, clock)
  /** Where the end of a drain cannot be written, the next start drains, and says so. */
  const endDrain = (): void => {
    try {
      mode.stopped()
    } catch (error) {
      log.warn({ error: String(error) }, 'the drain for this stop could not be ended')
    }
  }
  // The holder that was to drain is gone, and this is none that was started in its place.
  if ((options.starts ?? true) && !(options.restarted ?? false)) endDrain()
  const reading = catalog(journal, home, () => mode.now().mode)
  const secrets = vault(home)
  const hidden = hiding({ vault: secrets, reading, residents: () => actors.residents })
  const needs = (ref: Parameters<typeof readNeeds>[1]): Promise<Needs> => readNeeds(journal, ref)
  const execution = executing({
    home,
    clock,
    log,
    opening: journal.opening,
    build: running.build.sourceHash,
    program,
    handlers,
    needs,
    secrets: hidden.of,
    masked: hidden.written,
    given: options.ports?.attempts,
    starts: options.starts ?? true,
    again: () => actors.tellAgain('executor'),
    fail: (error) => broken(error),
    faults,
  })

  /** Why nothing goes on; undefined while something does. */
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve
  })
  const broken = (error: unknown): void => {
    // A commit that waited for a writer when it was told to stop.
    if (isTenutoError(error, 'STOPPED')) return
    log.error({ error: String(error) }, 'the runtime can do nothing more')
    cause ??= error
    fail(error)
    steps.close()
    staying.because('plans', false)
  }
  const stored = storageNews(
    () => storageShape(actors.storage(), actors.counts().failedCommits, clock.now()),
    log,
  )
  const actors = host({
    journal,
    clock,
    random,
    attempts: (tell) => execution.attempts(hidden.telling(tell)),
    maxParallel: (options.starts ?? true) ? maxParallel : 0,
    mayStart: () => mode.now().mode === 'running',
    log,
    show: shown.show,
    occupied: (some) => staying.because('plans', some),
    stored: stored.tell,
    fail: broken,
    failed: (actor) => tree.failed(actor),
    forgotten: (address) => tree.forget(address),
    faults,
  })
  let inspectors = 0
  const inspect: Host['inspect'] = (inspector, dropped) => {
    inspectors += 1
    let left = false
    const leave = (): void => {
      if (!left) inspectors -= 1
      left = true
    }
    const end = actors.inspect(inspector, (why) => {
      leave()
      dropped?.(why)
    })
    return () => {
      leave()
      end()
    }
  }
  if (options.inspect) inspect(options.inspect)
  const retain = await retention(
    {
      home,
      journal,
      clock,
      log,
      between: actors.between,
      isBusy: (id) =>
        actors.residents.has(id) || actors.isAside(id) || plans.isAwaited(id) || execution.awaits(id),
    },
    options.retention ?? {},
    options.starts ?? true,
  )
  let stopping: Promise<void> | null = null
  let halting: Promise<void> | null = null
  // What is done in a home that is gone, nobody would find: nothing is taken any more, and no end of an attempt is heard.
  const lookAtHome = (holding: Hold): ReturnType<Hold['look']> => {
    if (holding.renew()) log.warn({}, 'daemon.json was gone and is written again')
    return holding.look()
  }
  /** What was committed is brought to safety when nothing more can be, unless the journal was only the first of a home to go. */
  const leaveJournal = async (holding: Hold): Promise<void> => {
    await actors.stop()
    const gone = holding.look()
    broken(
      gone === null
        ? salvaged(journal, home, clock.now())
        : new TenutoError('HOME_GONE', { home, why: gone.why }),
    )
  }
  const unwatchHome =
    hold &&
    watchHome({ look: () => lookAtHome(hold) ?? journal.displaced() }, clock, (gone) => {
      if (typeof gone === 'string') {
        halting = leaveJournal(hold)
        return
      }
      broken(new TenutoError('HOME_GONE', { home, why: gone.why }))
      halting = actors.stop()
    })

  const command = commanding({
    journal,
    host: actors,
    reading,
    staying,
    clock,
    masked: hidden.masked,
    asker: hidden.asker,
    checkSecrets: async (plan) => void secrets.masking(plan, await reading.definition(plan)),
  })
  const plans = submitting({
    work: homePaths(home).work,
    journal,
    host: actors,
    reading,
    steps,
    staying,
    clock,
    random,
    handlers,
    isUsed: retain.isUsed,
    refuseNew: () => {
      const now = mode.now()
      if (now.mode === 'draining') throw new TenutoError('DRAINING', { home, mode: modeInWords(now) })
    },
    command,
    vault: secrets,
    asker: hidden.asker,
  })
  const { submit, handle } = plans

  const follow = following(steps, staying, () => stopping !== null)

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
      executor: execution.part,
      sweeper: net,
      retention: retain,
      projector: { start: projecting.start },
      analytics: { start: guest.begin, stop: guest.stop },
    },
    { clock, random, log },
  )
  void tree.ended.then((reason) => {
    if (stopping) return
    broken(new TenutoError('RUNTIME_GIVEN_UP', { why: reasonText(reason) }))
    // Nobody would answer what is asked of it from now on, nor what was asked before.
    writer.refuse()
    halting = actors.stop()
  })
  await tree.start()
  const lag = loopLag(clock)
  const count = counting(journal, clock)
  let server: (() => SectionData['http']) | undefined
  const state = stateDocument(
    {
      clock,
      build: () => buildShape(running.build, running.comparison().stale),
      holder: { boot_id: bootId(), pid: process.pid, started_at: startedAt, command: calledAs },
      mode: mode.now,
      lag,
      live,
      counts: () => ({ ...actors.counts(), restarts: tree.restarts() }),
      check: () => {
        if (cause !== undefined) throw new TenutoError('CORE_GONE', { why: wordsOf(cause) }, cause)
      },
    },
    looksOf({
      journal,
      host: actors,
      live,
      maxParallel,
      attempts: execution.live,
      storage: stored.now,
      tree,
      sweep: net,
      sweeps: (options.sweepMs ?? SWEEP_MS) > 0,
      analytics: guest.section,
      inspectors: () => inspectors,
      http: () => server?.(),
    }),
  )

  const record = await recording({ journal, host: actors, mode })
  const explain = explaining(journal, reading, clock)
  const look = inspecting(journal, reading, home)
  /** Plans that hold slots, those that hold most first. */
  const heldSlots = (): Holding['held'] => {
    const held = new Map<string, number>()
    for (const { plan } of live.now().running.values()) held.set(plan, (held.get(plan) ?? 0) + 1)
    return [...held].map(([plan, slots]) => ({ plan, slots })).toSorted((a, b) => b.slots - a.slots)
  }

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
      position: await staying.until(actors.settleLetter(id, order, hidden.asker(by))),
      changed: true,
    }),
    giveSecrets: (plan, values, { by } = {}) => {
      const give = async () => {
        const secrets = await hidden.give(plan, values)
        const names = Object.keys(values)
        const asker = hidden.asker(by === undefined ? {} : { by })
        if (names.length > 0) await record.given(plan, (await reading.plan(plan)).state, asker, names)
        return secrets
      }
      return staying.until(give())
    },
    masked: hidden.masked,
    sweep: (asker = {}) => {
      const act = async (): Promise<SweepShape> => {
        const report = await net.now()
        const { plans: looked, repaired } = report
        await record.asked('sweep.requested', hidden.asker(asker), {
          plans: looked,
          repaired: repaired.length,
        })
        return report
      }
      return staying.until(act())
    },
    gc: ({ by, why, ...asked } = {}) => {
      const act = async (): Promise<GcShape> => {
        const report = await retain.gc(asked)
        const { plans: gone, attempts, bytes } = report
        const asker = { ...(by === undefined ? {} : { by }), ...(why === undefined ? {} : { why }) }
        if (!report.dry_run)
          await record.asked('gc.requested', hidden.asker(asker), { plans: gone.length, attempts, bytes })
        return report
      }
      return staying.until(act())
    },
    prunedTo: async () => (await journal.pruned()).last,
    takeUp,
    catalog: reading,
    calledAs,
    analytics: (query) => staying.until(guest.numbers(query)),
    inspection: async (plan, job) => {
      const found = await look(plan, job)
      return { ...found, live: nodeAt(runtime.tree(), found.path) }
    },
    explain: (plan, job) => {
      const silentSince = execution.silentSince()
      return explain(plan, job, {
        ...NOT_HELD,
        holder: 'running',
        pid: process.pid,
        slots: Number.isFinite(maxParallel) ? maxParallel : null,
        held: heldSlots(),
        storage: stored.now(),
        runnerSilentSince: silentSince === undefined ? null : iso(silentSince),
        ...modeFacts(mode.now()),
      })
    },
    state,
    metrics: async () => ({
      history: await count(),
      state: await state(),
      commitSeconds,
      lag: lag.total(),
      fellBehind: steps.fellBehind(),
    }),
    tellOfServer: (look) => {
      server = look
      return () => {
        if (server === look) server = undefined
      }
    },
    mode: mode.now,
    order: (given) => {
      checkOrder(given)
      const asked = hidden.asker(given)
      const act = async (): Promise<ModeReceipt> => {
        const receipt = mode.order(asked)
        if (receipt.changed) log.info({ ...receipt }, 'a person has ordered another mode')
        // What was decided before the order is done; what is decided after it obeys. A store that is away decides nothing.
        if (receipt.changed) await record.ordered(asked)
        else await actors.between(async () => {}).catch(() => {})
        return receipt
      }
      return staying.until(act())
    },
    inspect: (inspector, dropped) => {
      checkCallable('the inspector', inspector)
      if (dropped !== undefined) checkCallable('dropped', dropped)
      return inspect(inspector, dropped)
    },
    storage: stored.now,
    onStorage: (told) => {
      checkCallable('the listener', told)
      return stored.on(told)
    },
    counts: actors.counts,
    tree: () => treeShape(tree.show(), actors, guest.section(), clock.now()),
    idle: actors.idle,
    build: () => buildShape(running.build, running.comparison().stale),
    live: execution.live,
    describe: (more) => hold?.describe(more),
    failed,
    stop: () => {
      stopping ??= (async () => {
        unwatch()
        unwatchHome?.()
        lag.stop()
        try {
          await halting
          // Nothing may wait for a writer that nobody starts any more.
          writer.refuse()
          steps.close()
          await tree.stop()
          await actors.stop()
          await spans.stop()
          await writer.stop(halting === null)
          if (halting === null && (options.starts ?? true)) endDrain()
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
        // What is wrong with the whole journal is no plan's own trouble: nobody would take it up later.
        if (isOfTheStore(error)) broken(error)
      })
    }
  }
  await record.found()
  net.ready()
  return runtime
}

const isOfTheStore = (error: unknown): boolean =>
  isTenutoError(error, 'STORE_BROKEN') ||
  (isTenutoError(error, 'STORE_CORRUPT') && !('address' in error.fields))
