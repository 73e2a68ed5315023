/**
 * A home in a temporary folder with a real executor and a real runner, for tests. Everything it started is gone when it closes.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type ProcessExecutor, processExecutor } from '../../src/actors/executor.ts'
import { runnerProgram } from '../../src/actors/runner-program.ts'
import {
  type AttemptRef,
  type AttemptReport,
  attemptDir,
  attemptKey,
  type Found,
  LOG_LIMITS,
  type RunnerLimit,
  type Spec,
  type StopOrder,
} from '../../src/attempt.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { TenutoError } from '../../src/errors.ts'
import { groupMembers, markedProcesses } from '../../src/process.ts'
import { removeFolder } from '../support/folders.ts'

export type Home = Readonly<{
  home: string
  homeId: string
  /** A spec whose program is this shell text, in the home, with the PATH of the test. */
  shell: (text: string, more?: Partial<Spec>) => Spec
  ref: (job?: string, attempt?: number) => AttemptRef
  stopOf: (ref: AttemptRef, more?: Partial<StopOrder>) => StopOrder
  /** Another executor, as after a restart of the daemon. */
  executor: (epoch?: number, clock?: Clock, build?: string) => Driven
  /** The pid of the runner that serves; waits until there is one. */
  runnerPid: () => Promise<number>
  /** Pids that carry a marker of this home. */
  marked: (key?: string) => readonly number[]
  /** The pid of the main process of an attempt, once it bears its marker: what it starts bears that too, and may have a lower pid. */
  main: (key: string) => Promise<number>
  /** Ends and removes everything; done after the test in any case. */
  dispose: () => Promise<void>
}>

export type Driven = ProcessExecutor &
  Readonly<{
    reports: readonly AttemptReport[]
    /** What it was told of attempts that it had asked for as `recovered`, in order. */
    finds: readonly Readonly<{ key: string; how: Found; pid: number | null }>[]
    /** What it was told to have begun, in order. */
    begins: readonly Readonly<{ key: string; pid: number }>[]
    /** What the runner said it stops by itself, in order. */
    stops: readonly Readonly<{ key: string; why: RunnerLimit }>[]
    logs: readonly string[]
    /** Why it gave up. */
    failures: readonly TenutoError[]
    /** The next end of this attempt that was not asked for before. */
    ended: (key: string) => Promise<AttemptReport>
    /** The next time it is told what this attempt was found to be. */
    found: (key: string) => Promise<Readonly<{ how: Found; pid: number | null }>>
    /** The next time it is told that this attempt has begun. */
    begun: (key: string) => Promise<number>
    /** The next time it is told that this attempt is being stopped. */
    stopping: (key: string) => Promise<RunnerLimit>
    /** Ensures, and waits for the end. */
    run: (spec: Spec) => Promise<AttemptReport>
  }>

/** Makes a home; its runner is `program` where one is given. */
export const openHome = ({ program }: Readonly<{ program?: string }> = {}): Home => {
  const home = mkdtempSync(join(tmpdir(), 'tenuto-'))
  const homeId = randomBytes(6).toString('hex')
  const executors: Driven[] = []
  let jobs = 0

  const ref = (job = `job-${(jobs += 1)}`, attempt = 1): AttemptRef => ({
    key: attemptKey(homeId, 'plan', job, attempt),
    plan: 'plan',
    job,
    attempt,
    generation: 1,
    dir: attemptDir(home, 'plan', job, attempt),
  })
  const shell = (text: string, more: Partial<Spec> = {}): Spec => ({
    ...ref(),
    argv: ['sh', '-eu', '-c', text],
    cwd: home,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    graceMs: 10_000,
    ...LOG_LIMITS,
    ...more,
  })
  const stopOf = ({ key, plan, job, attempt, generation, dir }: AttemptRef, more: Partial<StopOrder> = {}) =>
    ({ key, plan, job, attempt, generation, dir, graceMs: 10_000, why: 'cancelled', ...more }) as const

  const executor = (epoch = 1, clock = systemClock, build = 'test'): Driven => {
    const reports: AttemptReport[] = []
    const stops: { key: string; why: RunnerLimit }[] = []
    const finds: { key: string; how: Found; pid: number | null }[] = []
    const begins: { key: string; pid: number }[] = []
    const logs: string[] = []
    const taken = new Map<unknown, Map<string, number>>()
    const failures: TenutoError[] = []
    const waiting: (() => void)[] = []
    const wakeAll = () => {
      for (const wake of waiting.splice(0)) wake()
    }
    const made = processExecutor({
      home,
      homeId,
      epoch,
      clock,
      build,
      program: program === undefined ? runnerProgram(home) : () => program,
      fail: (error) => failures.push(error),
      report: (report) => {
        reports.push(report)
        wakeAll()
      },
      stopping: ({ key }, why) => {
        stops.push({ key, why })
        wakeAll()
      },
      found: ({ key }, how, pid) => {
        finds.push({ key, how, pid })
        wakeAll()
      },
      begun: ({ key }, pid) => {
        begins.push({ key, pid })
        wakeAll()
      },
      log: (level, fields, message) => logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
    })
    /** The next of these about this attempt that nobody has asked for before. */
    const next = async <T extends Readonly<{ key: string }>>(
      heard: readonly T[],
      key: string,
    ): Promise<T> => {
      const counts = taken.get(heard) ?? new Map<string, number>()
      taken.set(heard, counts)
      const index = counts.get(key) ?? 0
      counts.set(key, index + 1)
      for (;;) {
        const found = heard.filter((one) => one.key === key)[index]
        if (found !== undefined) return found
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    }
    const ended = (key: string) => next(reports, key)
    const found = (key: string) => next(finds, key)
    const begun = async (key: string) => (await next(begins, key)).pid
    const stopping = async (key: string) => (await next(stops, key)).why
    const run = (spec: Spec) => {
      made.ensure(spec)
      return ended(spec.key)
    }
    const heard = { reports, finds, begins, stops, logs, failures }
    const driven = { ...made, ...heard, ended, found, begun, stopping, run }
    executors.push(driven)
    return driven
  }

  const runnerPids = () => pidsOf((line) => line.includes('runner/main') && line.includes(home))
  const runnerPid = (): Promise<number> => {
    const socket = join(home, 'runner.sock')
    return seen(socket, () => (existsSync(socket) ? runnerPids()[0] : undefined))
  }
  const marked = (key?: string) =>
    markedProcesses(key ?? `${homeId}/`)
      .filter((one) => key === undefined || one.key === key)
      .map(({ pid }) => pid)
  const main = async (key: string): Promise<number> => {
    for (;;) {
      const leader = marked(key).find((pid) => groupMembers(pid).some((member) => member.pid === pid))
      if (leader !== undefined) return leader
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  const dispose = async (): Promise<void> => {
    await Promise.all(executors.map((each) => each.close()))
    removeFolder(home)
    for (const pid of [...runnerPids(), ...marked()]) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It went by itself.
      }
    }
    removeFolder(home)
  }
  onTestFinished(dispose)
  return { home, homeId, shell, ref, stopOf, executor, runnerPid, marked, main, dispose }
}

/** What a job of `openStanding` does when it is ready for what comes. */
export const STANDS = ': > "$TENUTO_ARTIFACTS/stands"'

/** A home whose runner lets no time of a job pass, and asks it nothing, before the job has done `STANDS`. */
export const openStanding = (): Home => {
  const opened = openHome({ program: fileURLToPath(new URL('main-killed.ts', import.meta.url)) })
  writeFileSync(join(opened.home, 'kill-at'), 'held spawn sh\n')
  return opened
}

/** Resolves when the file exists: how the shell texts of these tests say where they are. Its folder need not exist yet. */
export const fileThere = async (path: string): Promise<void> => {
  await seen(path, () => existsSync(path) || undefined)
}

/** Resolves when the file exists and has this text in it. */
export const textThere = async (path: string, text: string): Promise<void> => {
  await seen(path, () => readOr(path, '').includes(text) || undefined)
}

/** What `look` finds about a file. It looks again at every change in the nearest folder around it that exists. */
const seen = async <T>(path: string, look: () => T | undefined): Promise<T> => {
  for (;;) {
    const folder = folderAround(path)
    // Watched before it is looked at, so that no change falls between.
    const watcher = watch(folder, { persistent: false })
    try {
      const changed = once(watcher, 'change')
      const found = look()
      if (found !== undefined) return found
      // One that was made nearer to the file before this one was watched is where the file will come.
      if (folderAround(path) === folder) await changed
    } finally {
      watcher.close()
    }
  }
}

/** The nearest folder around a file that exists. */
const folderAround = (path: string): string => {
  const folder = dirname(path)
  return existsSync(folder) ? folder : folderAround(folder)
}

const GONE_LOOKS_MAX = 2_000

/**
 * Resolves when the process is gone. Its parent alone hears of its end, and that is not this process, so it can only be looked at
 * again, for about twenty seconds.
 */
export const processGone = async (pid: number): Promise<void> => {
  for (let looks = 0; existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(statusOf(pid)); looks += 1) {
    if (looks === GONE_LOOKS_MAX) throw new Error(`process ${pid} still lives`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The pids whose command line fits, without this process. */
export const pidsOf = (fits: (commandLine: string) => boolean): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => fits(readOr(`/proc/${name}/cmdline`, '').replaceAll('\0', ' ')))
    .map(Number)

/** The pids of what was started with this folder among its arguments or variables: a runner, and the jobs of a home in it. */
export const pidsAbout = (folder: string): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((name) =>
      ['cmdline', 'environ'].some((file) => readOr(`/proc/${name}/${file}`, '').includes(folder)),
    )
    .map(Number)

const statusOf = (pid: number): string => readOr(`/proc/${pid}/status`, 'State: Z')

/** The text of a file, or something else where there is none. */
export const readOr = (path: string, otherwise: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
