/**
 * `tenuto run` and `tenuto resume`: a plan in this process, followed to its end.
 */
import { existsSync } from 'node:fs'
import { jobEnvironment } from '../config.ts'
import { badKey, type Definition } from '../definition.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { DAEMON, homeHeld } from '../holder.ts'
import type { HomeClient } from '../http/client.ts'
import type { Served, TcpOptions } from '../http/server.ts'
import { parseDuration } from '../plans/duration.ts'
import { operator } from '../process.ts'
import { isPlanEnd } from '../states.ts'
import type { StorageShape } from '../views/shapes.ts'
import { type DebuggerFlags, refuseDebugger } from './debugger.ts'
import { type Followed, follow } from './follow.ts'
import { type Given, givenSecrets, lackingTold } from './given.ts'
import {
  hasJournal,
  hasKeyEnded,
  hold,
  homeFlag,
  homeOf,
  type Runtime,
  readIn,
  refusePaused,
  sourceOf,
  submittedAs,
} from './home.ts'
import { type InspectFlags, inspectPortOf, withInspector } from './inspect.ts'
import { awaitLasting } from './lasting.ts'
import { tellOfMode } from './mode.ts'
import { loadWidths } from './paragraph.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { listenToSignals, type Signals } from './signals.ts'
import { followingHolder, named, running, unsettled } from './unheld.ts'
import { loadTable } from './views.ts'
import { counted, storageInWords } from './words.ts'

/** The flags of `run`. */
export type RunFlags = Globals &
  InspectFlags &
  DebuggerFlags &
  Readonly<{ key?: string; maxParallel?: string; timeout?: string; detach?: boolean }>

/** When several plans were followed, the first of these that happened is the exit code. */
const WORST_FIRST = [12, 1, 9, 10, 11, 8, 5, 0] as const

/** Runs a plan file; answers the exit code. */
export const run = (file: string, flags: RunFlags): Promise<number> => runBeside(file, flags, undefined)

/** Runs a plan file, where `quicker` has just taken the home that nobody held. */
const runBeside = async (file: string, flags: RunFlags, quicker: unknown): Promise<number> => {
  const on = screen(flags)
  // Whatever can be wrong with what was asked is told before anything is read or made.
  const timeoutMs = durationOf(flags.timeout)
  const maxParallel = parallelOf(flags.maxParallel)
  const refused = flags.key === undefined ? undefined : badKey(flags.key)
  if (refused) throw refused
  inspectPortOf(flags)
  const { readPlanFile } = await import('../plans/plan-file.ts')
  const read = await readPlanFile(file)
  const definition = maxParallel === undefined ? read.definition : { ...read.definition, maxParallel }
  const { formatPlanError } = await import('../plans/problem.ts')
  if (quicker === undefined)
    for (const warning of read.warnings) on.talk(`warning: ${formatPlanError(warning)}`)
  const home = homeOf(flags)
  const { secrets, lacking } = givenSecrets(definition, file)
  // Under a key the plan may be there, with the values it was given then; in a home that is not, there is none.
  if (lacking && (flags.key === undefined || !hasJournal(home))) throw lacking
  const holder = await awaitLasting(home)
  if (holder) {
    try {
      if (holder.holder.command === DAEMON) {
        if (flags.inspect) on.talk('the daemon runs it: to inspect it, start that with tenuto up --inspect')
        return await runThere(holder, { definition, base: read.base, secrets, lacking }, on, flags, timeoutMs)
      }
      // A foreground run takes no plan besides its own; one that is in the home already can be followed there.
      const known = await submittedAs(home, flags.key, definition)
      if (known === undefined) throw homeHeld(home, holder.holder)
      return await goOnThere(holder, known, true, on, flags, timeoutMs)
    } finally {
      holder.close()
    }
  }
  if (flags.detach) throw new TenutoError('NO_DAEMON', { home })
  refuseDebugger('tenuto run FILE', flags)
  const { key } = flags
  await refusePaused(home, async () => key !== undefined && hasJournal(home) && hasKeyEnded(home, key))
  const serve = await withInspector(await loadServing(on), flags, on)
  const signals = listenToSignals(on)
  let runtime: Runtime
  try {
    runtime = await hold(home, { resume: false, command: 'tenuto run' })
  } catch (error) {
    signals.leave()
    // Whoever was quicker is asked, as one that was there before; one that is there still when it was waited for serves nobody.
    if (!isTenutoError(error, 'HOME_HELD') || error.fields['holder'] === quicker) throw error
    return runBeside(file, flags, error.fields['holder'])
  }
  return holding(runtime, serve, on, signals, async () => {
    if (signals.asked.aborted) return [{ exit: 9, state: 'cancelled' }]
    const options = {
      base: read.base,
      environment: jobEnvironment(),
      by: operator(),
      secrets,
      ...(flags.key === undefined ? {} : { key: flags.key }),
    }
    const handle = await lackingTold(runtime.submit(definition, options), lacking)
    if (handle.replayed) on.talk(`${handle.id} has this key already`)
    return [
      await followHere(runtime, handle.id, on, signals, flags, timeoutMs, { fromStart: !handle.replayed }),
    ]
  })
}

/** Submits a plan to the daemon of the home, and follows it there. */
const runThere = async (
  holder: HomeClient,
  { definition, base, secrets, lacking }: Readonly<{ definition: Definition; base: string }> & Given,
  on: Screen,
  flags: RunFlags,
  timeoutMs: number | undefined,
): Promise<number> => {
  const submitted = holder.submit(definition, {
    base,
    environment: jobEnvironment(),
    secrets,
    ...(flags.key === undefined ? {} : { key: flags.key }),
  })
  const { id, replayed } = await lackingTold(submitted, lacking)
  return goOnThere(holder, id, replayed, on, flags, timeoutMs)
}

/** Follows a plan that its holder has, or, to leave it there, says where it is. */
const goOnThere = async (
  holder: HomeClient,
  id: string,
  replayed: boolean,
  on: Screen,
  flags: RunFlags,
  timeoutMs: number | undefined,
): Promise<number> => {
  if (replayed) on.talk(`${id} has this key already`)
  if (!flags.detach) return (await followThere(holder, id, on, flags, timeoutMs, !replayed)).exit
  const { state } = await holder.catalog.plan(id)
  on.answer(on.json ? JSON.stringify({ type: 'submitted', plan: id, state, replayed }) : id)
  on.talk(leftInWords(id, state, homeFlag(flags)))
  if (!isPlanEnd(state)) tellOfMode(on, flags)
  return 0
}

/** Where a plan is that was submitted and is left, and how it is followed; of one that has ended, why it did so and how it is tried again. */
const leftInWords = (id: string, state: string, flag: string): string => {
  if (!isPlanEnd(state)) return `${id} ${state}.  follow: tenuto resume ${id}${flag}`
  return state === 'succeeded'
    ? `${id} ${state}.  how: tenuto show ${id}${flag}`
    : `${id} ${state}.  why: tenuto explain ${id}${flag}  try again what did not succeed: tenuto retry ${id} --failed${flag}`
}

/** Takes up what has not ended; answers the exit code. Who was quicker is followed. */
export const resume = async (ref: string | undefined, flags: RunFlags): Promise<number> => {
  for (let quicker: unknown; ; ) {
    try {
      return await resumeOnce(ref, flags)
    } catch (error) {
      // One that is there still when it was waited for serves nobody.
      if (!isTenutoError(error, 'HOME_HELD') || error.fields['holder'] === quicker) throw error
      quicker = error.fields['holder']
    }
  }
}

const resumeOnce = async (ref: string | undefined, flags: RunFlags): Promise<number> => {
  const on = screen(flags)
  const timeoutMs = durationOf(flags.timeout)
  const home = homeOf(flags)
  const holder = await awaitLasting(home)
  if (holder) {
    try {
      const { catalog } = holder
      const plans =
        ref === undefined
          ? (await unsettled(catalog)).map(({ id }) => id)
          : [(await catalog.resolve(ref)).plan]
      if (plans.length === 0) return nothingToDo(home, on)
      const ends: Followed[] = []
      for (const plan of plans) {
        const followed = await followThere(holder, plan, on, flags, timeoutMs)
        ends.push(followed)
        if (followed.left) break
      }
      return worst(ends)
    } finally {
      holder.close()
    }
  }
  // What is not there is not made to say that nothing is in it.
  if (!hasJournal(home)) {
    if (ref !== undefined) await readIn(home, (catalog) => catalog.resolve(ref))
    return nothingToDo(home, on)
  }
  refuseDebugger('tenuto resume', flags)
  await refusePaused(home, () =>
    readIn(home, async (catalog) => {
      if (ref === undefined) return (await unsettled(catalog)).length === 0
      return isPlanEnd((await catalog.plan((await catalog.resolve(ref)).plan)).state)
    }),
  )
  const serve = await loadServing(on)
  const signals = listenToSignals(on)
  const runtime = await hold(home, { resume: false, command: 'tenuto resume' }).catch((error: unknown) => {
    signals.leave()
    throw error
  })
  return holding(runtime, serve, on, signals, async () => {
    const plans =
      ref === undefined
        ? (await unsettled(runtime.catalog)).map(({ id }) => id)
        : [(await runtime.catalog.resolve(ref)).plan]
    if (plans.length === 0) {
      nothingToDo(home, on)
      return []
    }
    const taken = ref === undefined ? await takeUpAll(runtime, plans, on) : plans
    if (ref !== undefined) for (const plan of plans) await runtime.takeUp(plan)
    return Promise.all(
      taken.map((plan) =>
        followHere(runtime, plan, plans.length > 1 ? { ...on, live: false } : on, signals, flags, timeoutMs, {
          besides: plans,
        }),
      ),
    )
  })
}

/** Takes up what can be; a plan that calls handlers of another program is named, and left to it. */
const takeUpAll = async (
  runtime: Runtime,
  plans: readonly string[],
  on: Screen,
): Promise<readonly string[]> => {
  const taken: string[] = []
  for (const plan of plans) {
    try {
      await runtime.takeUp(plan)
      taken.push(plan)
    } catch (error) {
      if (!isTenutoError(error, 'UNKNOWN_HANDLER')) throw error
      on.talk(`${plan} calls handlers of the program that submitted it; resume it from there`)
    }
  }
  return taken
}

/** Says why there is nothing to do; a home that is not there is named, because another one may have been meant. */
const nothingToDo = (home: string, on: Screen): number => {
  on.talk(
    hasJournal(home)
      ? 'nothing to resume: every plan of this home has ended'
      : `nothing to resume: there is no ${existsSync(home) ? `journal in ${home}` : `home ${home}`}; --home DIR names another one`,
  )
  return 0
}

const worst = (ends: readonly Followed[]): number =>
  WORST_FIRST.find((code) => ends.some(({ exit }) => exit === code)) ?? 0

type Serve = (runtime: Runtime, tcp?: TcpOptions) => Promise<Served>

/**
 * Loads what this process needs later besides the runtime, before a plan is touched: from then on the files of this build may change
 * or go away. (Node asks the disk even for a module it has, when another file imports it late.)
 */
export const loadServing = async (on: Screen): Promise<Serve> => {
  loadWidths()
  if (on.live) await loadTable()
  const { loadServer, serveHome } = await import('../http/server.ts')
  await loadServer()
  return serveHome
}

/** Serves the home while something is followed in this process, and lets go of it in the end. */
const holding = async (
  runtime: Runtime,
  serve: Serve,
  on: Screen,
  signals: Signals,
  act: () => Promise<readonly Followed[]>,
): Promise<number> => {
  // Other commands can wait for the socket a moment longer than the plan for its first attempt.
  const serving = serve(runtime)
  serving.catch((error: unknown) =>
    on.talk(
      `warning: other commands cannot reach this one: ${isTenutoError(error) ? error.message : String(error)}`,
    ),
  )
  const broken = runtime.failed.then((error) => {
    throw error
  })
  runtime.onStorage((storage) => on.talk(storageInWords(storage)))
  try {
    return worst(await Promise.race([act(), broken]))
  } finally {
    signals.over()
    broken.catch(() => {})
    await serving.then(
      ({ close }) => close(),
      () => {},
    )
    await runtime.stop()
  }
}

/** Follows a plan that runs in this process: signals cancel it, and its end is this command's answer. */
const followHere = async (
  runtime: Runtime,
  plan: string,
  on: Screen,
  signals: Signals,
  flags: RunFlags,
  timeoutMs: number | undefined,
  { fromStart = false, besides = [] }: Readonly<{ fromStart?: boolean; besides?: readonly string[] }> = {},
): Promise<Followed> => {
  const asking = new AbortController()
  signals.cancels((urgent) => {
    const { error } = runtime.storage()
    if (error !== null) on.talk(`${plan} is cancelled as soon as there is room: ${error.message}`)
    // Nobody gives a signal again because a disk was full when it came.
    const by = { by: 'signal', waits: true }
    runtime
      .command(plan, null, { do: 'cancel', ...(urgent ? { now: true } : {}) }, by)
      .then(() => asking.abort())
      .catch((error: unknown) => {
        if (!isTenutoError(error, 'WRONG_STATE') && !isTenutoError(error, 'STOPPED')) on.talk(String(error))
      })
  })
  await nameOthers(runtime, [plan, ...besides], on, flags)
  const options = {
    here: true,
    living: async () =>
      runtime.storage().error === null
        ? undefined
        : (await runtime.live()).filter((attempt) => attempt.plan === plan).length,
    homeFlag: homeFlag(flags),
    fromStart,
    asking: asking.signal,
    ...bound(timeoutMs),
  }
  return answered(await follow(sourceOf(runtime), plan, on, options), plan, on)
}

/** The holder of a home as something to follow, a daemon or a foreground run; that it waits for its journal is said in one line, and that it does no more. */
export const telling = (holder: HomeClient, on: Pick<Screen, 'talk'>): ReturnType<typeof sourceOf> => {
  const { command, pid } = holder.holder
  const who = command === DAEMON ? 'the daemon' : `${command} (pid ${pid})`
  let last: StorageShape['status'] = 'ok'
  const storage = (now: StorageShape): void => {
    // A stream that was opened again says it again.
    if (now.status !== last) on.talk(storageInWords(now, who))
    last = now.status
  }
  return { ...sourceOf(holder), events: (query) => holder.events({ ...query, storage }) }
}

/** Follows a plan of another process: Ctrl-C only lets go of it, and says where it was then. */
const followThere = async (
  holder: HomeClient,
  plan: string,
  on: Screen,
  flags: RunFlags,
  timeoutMs: number | undefined,
  fromStart = false,
): Promise<Followed & Readonly<{ left: boolean }>> => {
  const gone = new AbortController()
  const leave = (): void => {
    on.talk(
      `${plan} goes on.  follow: tenuto resume ${plan}${homeFlag(flags)}  cancel: tenuto cancel ${plan}${homeFlag(flags)}`,
    )
    gone.abort()
  }
  process.once('SIGINT', leave)
  try {
    const options = {
      here: false,
      homeFlag: homeFlag(flags),
      signal: gone.signal,
      asking: gone.signal,
      fromStart,
      ...bound(timeoutMs),
    }
    const followed = await followingHolder(homeOf(flags), () =>
      follow(telling(holder, on), plan, on, options),
    )
    return { ...answered(followed, plan, on), left: gone.signal.aborted }
  } catch (error) {
    // The error is about the home.
    if (isTenutoError(error, 'NO_DAEMON') || isTenutoError(error, 'UNHELD'))
      on.talk(
        `${plan} is not followed any more; what runs goes on.  take it up: tenuto resume ${plan}${homeFlag(flags)}`,
      )
    throw error
  } finally {
    process.off('SIGINT', leave)
  }
}

const bound = (timeoutMs: number | undefined) => (timeoutMs === undefined ? {} : { timeoutMs })

const answered = (followed: Followed, plan: string, on: Screen): Followed => {
  on.answer(
    on.json
      ? JSON.stringify({ type: 'result', plan, state: followed.state, exit: followed.exit })
      : `${plan} ${followed.state}`,
  )
  return followed
}

/** Attempts of plans that this process does not take up that still live in this home are named, so that nobody forgets them. */
const nameOthers = async (
  runtime: Runtime,
  plans: readonly string[],
  on: Screen,
  flags: RunFlags,
): Promise<void> => {
  const others = (await unsettled(runtime.catalog)).map(({ id }) => id).filter((id) => !plans.includes(id))
  if (others.length === 0) return
  const living = (await runtime.live()).filter((attempt) => !plans.includes(attempt.plan))
  on.talk(
    `${counted(others.length, 'other plan')} of this home ${others.length === 1 ? 'has' : 'have'} not ended (${named(others)}), ${running(living.length)}; go on: tenuto resume${homeFlag(flags)}`,
  )
}

/**
 * What `--max-parallel` says; undefined when it is not given.
 * @throws {TenutoError} `USAGE` when it is no whole number of 1 or more.
 */
export const parallelOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1)
    throw new TenutoError('USAGE', { what: `--max-parallel ${text}: it must be a whole number of 1 or more` })
  return value
}

const durationOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms === undefined)
    throw new TenutoError('USAGE', { what: `--timeout ${text}: a duration has a unit, as in 30s or 10m` })
  return ms
}
