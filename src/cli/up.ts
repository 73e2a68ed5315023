/**
 * The daemon in its plain form: `up` holds a home and serves its socket until it is told to stop. Attempts are processes of their own:
 * stopping a daemon leaves them running, and the next one adopts them.
 */
import { availableParallelism } from 'node:os'
import { DAEMON } from '../holder.ts'
import { identityOf } from '../process.ts'
import { UNSETTLED } from '../states.ts'
import { type BackgroundFlags, startInBackground } from './background.ts'
import { dailyBackup } from './daily-backup.ts'
import { hold, homeFlag, homeOf } from './home.ts'
import { inspectPortOf, withInspector } from './inspect.ts'
import { tellOfMode } from './mode.ts'
import { type ParentLine, parentLine } from './parent-line.ts'
import { loadServing, parallelOf } from './run.ts'
import { screen } from './screen.ts'
import { checkTcp, tcpOf, tellOfUrl } from './tcp.ts'
import { watchdogLog } from './watchdog-log.ts'
import { counted, storageInWords } from './words.ts'

/** The flags of `up`. */
export type UpFlags = BackgroundFlags &
  Readonly<{
    detach?: boolean
    /** Started by a parent, which is told how it is. */
    worker?: true | 'again'
  }>

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Attempts at once across all plans, where nobody says how many: most jobs are bound by a core, and few cores still make some wait. */
const SLOTS_PER_CORE = 2
const SLOTS_LEAST = 4

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
  const maxParallel =
    parallelOf(flags.maxParallel) ?? Math.max(SLOTS_LEAST, SLOTS_PER_CORE * availableParallelism())
  inspectPortOf(flags)
  // Before a home is made.
  await checkTcp(home, tcp)
  if (flags.detach) return startInBackground(home, flags, on)
  const stop = Promise.race([signalled(), ...(line ? [line.gone] : [])]).then(() => line?.stopping())
  const serveAt = await loadServing(on)
  const serve = await withInspector((runtime) => serveAt(runtime, tcp), flags, on)
  const runtime = await hold(home, {
    command: DAEMON,
    analytics: true,
    restarted: flags.worker === 'again',
    maxParallel,
  })
  runtime.onStorage((storage) => on.talk(storageInWords(storage)))
  try {
    if (line) runtime.describe({ parent_pid: line.pid, ...startOf(line.pid) })
    const served = await serve(runtime)
    const endBackups = dailyBackup({
      home,
      steps: () => runtime.counts().steps,
      tell: (why) => on.talk(`warning: no backup of the journal was made today: ${why}`),
    })
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
      tellOfMode(on, flags)
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
      await endBackups()
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
