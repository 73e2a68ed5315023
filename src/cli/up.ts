/**
 * The daemon in its plain form: `up` holds a home and serves its socket until it is told to stop, `down` tells it, `status` says who
 * serves. Attempts are processes of their own: stopping a daemon leaves them running, and the next one adopts them.
 */
import type { Identity } from '../attempt.ts'
import { lookAtHolder } from '../audit/holder.ts'
import { pause, systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { DAEMON, noAnswer, parentOf } from '../holder.ts'
import type { HomeClient } from '../http/client.ts'
import { modeInWords } from '../mode.ts'
import { identityOf, isAlive, sendSignal } from '../process.ts'
import { UNSETTLED } from '../states.ts'
import type { Sections } from '../views/state.ts'
import { type BackgroundFlags, startInBackground } from './background.ts'
import { plain } from './cells.ts'
import { drain } from './draining.ts'
import { awaitHolder, hold, homeFlag, homeOf, isHeldBy, readingOf } from './home.ts'
import { inspectPortOf, withInspector } from './inspect.ts'
import { type ParentLine, parentLine } from './parent-line.ts'
import { loadServing, parallelOf } from './run.ts'
import { type Globals, screen } from './screen.ts'
import { checkTcp, tcpOf, tellOfUrl, urlOf } from './tcp.ts'
import { watchdogLog } from './watchdog-log.ts'
import { counted, duration, storageInWords } from './words.ts'

/** The flags of `up`. */
export type UpFlags = BackgroundFlags &
  Readonly<{
    detach?: boolean
    /** Started by a parent, which is told how it is. */
    worker?: true | 'again'
  }>

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** A daemon finishes a commit and lets go of its home within this. */
const STOPS_WITHIN_MS = 30_000
const LOOK_MS = 20
const INTERRUPTED = 9

/** Serves a home until a signal comes, or its parent goes; answers the exit code. */
export const up = async (flags: UpFlags): Promise<number> => {
  const line = flags.worker ? parentLine(watchdogLog(homeOf(flags))) : undefined
  try {
    return await serving(flags, line)
  } catch (error) {
    line?.failed(error)
    throw error
  }
}

const serving = async (flags: UpFlags, line: ParentLine | undefined): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const tcp = tcpOf(flags)
  const maxParallel = parallelOf(flags.maxParallel)
  inspectPortOf(flags)
  if (flags.detach) return startInBackground(home, flags, on)
  await checkTcp(home, tcp)
  const stop = Promise.race([signalled(), ...(line ? [line.gone] : [])]).then(() => line?.stopping())
  const serveAt = await loadServing(on)
  const serve = await withInspector((runtime) => serveAt(runtime, tcp), flags, on)
  const runtime = await hold(home, {
    command: DAEMON,
    analytics: true,
    restarted: flags.worker === 'again',
    ...(maxParallel === undefined ? {} : { maxParallel }),
  })
  runtime.onStorage((storage) => on.talk(storageInWords(storage)))
  try {
    if (line) runtime.describe({ parent_pid: line.pid, ...startOf(line.pid) })
    const served = await serve(runtime)
    try {
      const open = await runtime.catalog.plans({ states: UNSETTLED, limit: 1_000 })
      const live = (await runtime.live()).length
      line?.serves(runtime.counts)
      on.tell(
        on.json
          ? JSON.stringify({
              pid: process.pid,
              parent_pid: line?.pid ?? null,
              home,
              sock: served.path,
              url: served.url,
              plans: open.length,
              attempts: live,
            })
          : `serving ${home} as pid ${process.pid}`,
      )
      if (open.length > 0) on.talk(`${counted(open.length, 'plan')} taken up; ${running(live)}`)
      tellOfUrl(served.url, flags, on)
      on.talk(`run plans in it: tenuto run FILE${homeFlag(flags)}  stop it: tenuto down${homeFlag(flags)}`)
      const failure = await Promise.race([stop, runtime.failed.then((error) => ({ error }))])
      if (failure) throw failure.error
      const left = (await runtime.live()).length
      if (left > 0)
        on.talk(
          `${counted(left, 'attempt')} ${left === 1 ? 'runs' : 'run'} on; the next tenuto up, or resume, adopts what it finds`,
        )
      return 0
    } finally {
      await served.close()
    }
  } finally {
    await runtime.stop()
  }
}

const running = (attempts: number): string =>
  `${counted(attempts, 'attempt')} still ${attempts === 1 ? 'runs' : 'run'}`

const startOf = (pid: number): Readonly<{ parent_start?: string }> => {
  const start = identityOf(pid)?.start
  return start === undefined ? {} : { parent_start: start }
}

/** The first signal stops in order; one that comes when nobody listens any more ends the process as signals do. */
const signalled = (): Promise<void> =>
  new Promise((resolve) => {
    const heard = (): void => {
      for (const signal of STOP_SIGNALS) process.off(signal, heard)
      resolve()
    }
    for (const signal of STOP_SIGNALS) process.on(signal, heard)
  })

/** Tells the daemon of a home to stop, and sees it go; answers the exit code. */
export const down = async (flags: Globals & Readonly<{ drain?: boolean }>): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = await awaitHolder(home)
  if (!holder) {
    refuseUnserved(home)
    // One whose worker has just died is about to start it again.
    const parent = parentOf(home)
    if (parent !== undefined) await stopParent(parent, home)
    on.tell(on.json ? JSON.stringify({ home, stopped: null }) : `nobody serves ${home}`)
    return 0
  }
  const { pid, command } = holder.holder
  if (command !== DAEMON) {
    holder.close()
    throw new TenutoError('WRONG_STATE', {
      ref: home,
      state: `held by pid ${pid} (${command})`,
      what: 'that is no daemon',
      remedy: '`tenuto cancel REF` stops its plan',
    })
  }
  if (flags.drain) {
    const drained = await drain(home, holder, on)
    if (drained === 'interrupted') {
      on.talk(
        `it goes on draining, and is not stopped.  stop it now: tenuto down${homeFlag(flags)}  let all go on: tenuto daemon resume${homeFlag(flags)}`,
      )
      return INTERRUPTED
    }
    // Whoever answers now may be another than the one that was asked first.
    return down({ ...flags, drain: false })
  }
  const left = await liveAttempts(holder)
  const url = urlOf(home, pid)
  holder.close()
  const parent = parentOf(home)
  // Told by its parent it is not started again, even if it hears nothing and must be ended.
  sendSignal(parent?.pid ?? pid, 'SIGTERM')
  const began = systemClock.monotonic()
  while (isHeldBy(home, pid) || (parent && isAlive(parent))) {
    if (systemClock.monotonic() - began > STOPS_WITHIN_MS) throw noAnswer(home)
    await pause(LOOK_MS)
  }
  on.tell(
    on.json
      ? JSON.stringify({ home, stopped: pid, url, attempts: left })
      : `stopped pid ${pid}, which served ${home}${url === null ? '' : ` and ${url}`}`,
  )
  if (left > 0)
    on.talk(
      `${counted(left, 'attempt')} ${left === 1 ? 'runs' : 'run'} on; adopt ${left === 1 ? 'it' : 'them'}: tenuto up${homeFlag(flags)}, or tenuto resume${homeFlag(flags)}`,
    )
  return 0
}

const stopParent = async (parent: Identity, home: string): Promise<void> => {
  sendSignal(parent.pid, 'SIGTERM')
  const began = systemClock.monotonic()
  while (isAlive(parent)) {
    if (systemClock.monotonic() - began > STOPS_WITHIN_MS) throw noAnswer(home)
    await pause(LOOK_MS)
  }
}

const liveAttempts = async (holder: HomeClient): Promise<number> => {
  const { counts } = await holder.state()
  return counts.attempts_live
}

/** The lock is the truth: a home that is held by somebody whose socket cannot be reached is not one that nobody serves. */
const refuseUnserved = (home: string): void => {
  if (lookAtHolder(home).held) throw noAnswer(home)
}

/** Says who serves a home and what is in it; answers the exit code. */
export const status = async (flags: Globals): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = await awaitHolder(home)
  if (!holder) refuseUnserved(home)
  if (holder) {
    const state = await holder.state()
    const url = urlOf(home, state.daemon.pid)
    holder.close()
    if (on.json) {
      on.answer(JSON.stringify({ home, url, ...state }))
      return 0
    }
    const { daemon, build, counts } = state
    // A holder of an earlier build does not say.
    const { sections } = state as Partial<typeof state>
    const since = duration(systemClock.now() - Date.parse(daemon.started_at))
    on.tell(`${home}: pid ${daemon.pid} (${daemon.command}), up ${since}`)
    if (url !== null) on.tell(`url       ${url}`)
    // A holder of an earlier build does not say.
    if (daemon.mode !== undefined && daemon.mode !== 'running')
      on.tell(`mode      ${plain(modeInWords(daemon))}; go on: tenuto daemon resume${homeFlag(flags)}`)
    on.tell(`build     ${build.version} ${build.source_hash.slice(0, 12)}${build.stale ? ' (stale)' : ''}`)
    on.tell(`plans     ${inWords(counts.plans)}`)
    on.tell(`jobs      ${inWords(counts.jobs)}`)
    on.tell(`attempts  ${counts.attempts_live} live`)
    for (const line of storageLines(state.sections.journal)) on.tell(line)
    if (counts.dead_letters > 0) on.tell(`dead      ${counted(counts.dead_letters, 'letter')}`)
    if (counts.sweep_repairs > 0)
      on.tell(`repaired  ${counted(counts.sweep_repairs, 'time')}: tenuto events${homeFlag(flags)}`)
    if (sections?.analytics.status === 'unavailable')
      on.tell(plain(sections.analytics.error?.message ?? 'analytics is not there'))
    return 0
  }
  const reading = await readingOf(home)
  const open = await reading.plans({ states: UNSETTLED, limit: 1_000 })
  await reading.close()
  const remedy = `start a daemon: tenuto up${homeFlag(flags)}`
  if (on.json) on.answer(JSON.stringify({ home, daemon: null, unsettled: open.length }))
  else {
    on.tell(`nobody serves ${home}`)
    if (open.length > 0)
      on.tell(`${counted(open.length, 'plan')} ${open.length === 1 ? 'has' : 'have'} not ended`)
    on.talk(remedy)
  }
  return 5
}

/** What a journal that cannot be written keeps waiting; nothing where it can. */
const storageLines = ({ status, error, data }: Sections['journal']): readonly string[] => {
  if (status === 'ok' || error === null || !data?.since) return []
  const ago = (at: string): string => duration(Math.max(0, systemClock.now() - Date.parse(at)))
  const next = data.next_try_at === null ? 0 : Math.max(0, Date.parse(data.next_try_at) - systemClock.now())
  return [
    `journal   unavailable for ${ago(data.since)}: ${error.message}`,
    `          tried ${counted(data.tries, 'time')}, again in ${duration(next)}; requests are refused, attempts run on`,
  ]
}

const inWords = (counts: Readonly<Record<string, number>>): string => {
  const parts = Object.entries(counts).map(([state, count]) => `${count} ${state}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}
