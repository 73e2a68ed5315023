/**
 * `tenuto up`: a small process that starts the daemon, starts it again when it dies, and ends it when its loop is stuck. It holds nothing
 * of the home and loads next to nothing, so that there is little in it that could fail. Signals are passed on; the daemon has a session of
 * its own, so that a terminal does not tell it twice.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fstatSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pause, systemClock } from '../clock.ts'
import { homeDir } from '../config.ts'
import { TenutoError } from '../errors.ts'
import { isServedByDaemon } from '../holder.ts'
import { homePaths } from '../home.ts'
import { systemRandom } from '../ids.ts'
import { kernelState } from '../process.ts'
import { heartbeat } from './heartbeat.ts'
import type { Beat, Said } from './parent-line.ts'
import { PERIOD_MS, restarts, type WorkerEnd } from './restarts.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { noteIn, watchdogLog } from './watchdog-log.ts'

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** States of the kernel in which somebody has stopped a process: by a signal, or as a debugger. */
const STOPPED: ReadonlySet<string> = new Set(['T', 't'])

/** Starts the daemon as `up` was called, and again when it dies; answers the exit code. */
export const parent = async (flags: Globals): Promise<number> => {
  const on = screen(flags)
  const { home, log } = homePaths(homeDir(flags.home))
  const stopping = new AbortController()
  let worker: ChildProcess | undefined
  const told = (signal: NodeJS.Signals): void => {
    stopping.abort()
    worker?.kill(signal)
  }
  for (const signal of STOP_SIGNALS) process.on(signal, told)
  const decide = restarts(systemClock, systemRandom)
  for (let again = false; ; again = true) {
    worker = start(again)
    const end = await lived(worker, home, stopping.signal, on)
    const verdict = decide(end)
    if (verdict.do === 'end') return verdict.exit
    if (verdict.do === 'give-up') {
      const error = new TenutoError('DAEMON_GIVEN_UP', {
        home,
        times: verdict.times,
        period: `${PERIOD_MS / 1_000}s`,
        how: inWords(end),
        path: deathsIn(home, log, process.stderr.fd),
      })
      if (verdict.exit === error.exit) throw error
      on.talk(`${error.message}; ${error.hint}`)
      return verdict.exit
    }
    const why =
      verdict.waitsFor === 'program'
        ? `the daemon cannot be started, its program may be being built (${inWords(end)})`
        : verdict.waitsFor === 'home'
          ? `the daemon cannot be started, somebody else has the home (${inWords(end)})`
          : `the daemon of ${home} ended: ${inWords(end)}`
    on.talk(`${why}; started again in ${(verdict.afterMs / 1_000).toFixed(1)}s; what runs goes on`)
    await pause(verdict.afterMs, stopping.signal)
    if (stopping.signal.aborted) return 0
  }
}

/** Where it is said how daemons died: in the log, and before that in what is written to `fd`, where that is `daemon.out`. */
export const deathsIn = (home: string, log: string, fd: number): string => {
  const path = join(home, 'daemon.out')
  const out = statSync(path, { throwIfNoEntry: false })
  const { dev, ino } = fstatSync(fd)
  return out?.ino === ino && out.dev === dev ? `${path} and ${log}` : log
}

/** The same command, as a worker: the program is read from the disk anew. */
const start = (again: boolean): ChildProcess =>
  spawn(
    process.execPath,
    [
      ...process.execArgv,
      process.argv[1] ?? '',
      ...process.argv.slice(2),
      '--worker',
      ...(again ? ['again'] : []),
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true },
  )

const inWords = ({ code, signal, why }: WorkerEnd): string =>
  `${signal ?? `exit ${code}`}${why === null ? '' : ` (${why})`}`

/** Watches a worker to its end. */
const lived = (worker: ChildProcess, home: string, stopping: AbortSignal, on: Screen): Promise<WorkerEnd> =>
  new Promise((resolve, reject) => {
    let end = { hello: false, served: false, why: null as string | null, stopping: false, replaced: false }
    let last: Beat | null = null
    const { pid } = worker
    const stuck = (silentMs: number): void => {
      if (pid === undefined) return
      const silent = `${(silentMs / 1_000).toFixed(1)}s`
      const path = watchdogLog(home)
      noteIn(path, {
        at: new Date(systemClock.now()).toISOString(),
        pid,
        silent_ms: silentMs,
        last,
        ...look(pid),
      })
      on.talk(`the daemon's loop has been stuck for ${silent}; it is ended. why: ${path}`)
      worker.kill('SIGKILL')
    }
    const beats = heartbeat(
      systemClock,
      () => pid !== undefined && STOPPED.has(kernelState(pid) ?? ''),
      stuck,
    )
    worker.on('message', (message) => {
      const said = message as Said
      switch (said.type) {
        case 'hello':
          end = { ...end, hello: true }
          break
        case 'stopping':
          end = { ...end, stopping: true }
          break
        case 'failed':
          end = { ...end, why: said.code }
          break
        case 'beat':
          last = said.beat
          end = { ...end, served: end.served || said.beat.doing !== null }
      }
      beats.heard(end.served)
    })
    worker.once('error', (error) => {
      beats.stop()
      // It was there when this process began.
      if (worker.pid === undefined) resolve({ ...end, code: 127, signal: null, why: error.message })
      else reject(error)
    })
    worker.once('exit', (code, signal) => {
      beats.stop()
      const replaced = isServedByDaemon(home)
      resolve({ ...end, code, signal, stopping: end.stopping || stopping.aborted, replaced })
    })
  })

/** What can be seen of a process from outside. Linux only. */
const look = (pid: number): Readonly<Record<string, string>> => {
  const seen: Record<string, string> = {}
  for (const [name, path] of [
    ['status', `/proc/${pid}/status`],
    ['waits_in', `/proc/${pid}/wchan`],
    ['stat', `/proc/${pid}/stat`],
  ] as const) {
    try {
      seen[name] = readFileSync(path, 'utf8')
    } catch {
      // Not here, or not for this user.
    }
  }
  const { status, ...rest } = seen
  const lines = status
    ?.split('\n')
    .filter((line) => /^(State|VmRSS|VmSwap|Threads|.*ctxt_switches):/.test(line))
  return lines === undefined ? rest : { ...rest, status: lines.join('; ').replaceAll('\t', ' ') }
}
