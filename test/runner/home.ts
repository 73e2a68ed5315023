/**
 * A home in a temporary folder with a real executor and a real runner, for tests. Everything it started is gone when it closes.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type ProcessExecutor, processExecutor } from '../../src/actors/executor.ts'
import { runnerProgram } from '../../src/actors/runner-program.ts'
import {
  type AttemptRef,
  type AttemptReport,
  attemptDir,
  attemptKey,
  LOG_LIMITS,
  type Spec,
  type StopOrder,
} from '../../src/attempt.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { TenutoError } from '../../src/errors.ts'
import { markedProcesses } from '../../src/process.ts'

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
}>

export type Driven = ProcessExecutor &
  Readonly<{
    reports: readonly AttemptReport[]
    logs: readonly string[]
    /** Why it gave up. */
    failures: readonly TenutoError[]
    /** The next end of this attempt that was not asked for before. */
    ended: (key: string) => Promise<AttemptReport>
    /** Ensures, and waits for the end. */
    run: (spec: Spec) => Promise<AttemptReport>
  }>

export const openHome = (): Home => {
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
    const logs: string[] = []
    const failures: TenutoError[] = []
    const taken = new Map<string, number>()
    const waiting: (() => void)[] = []
    const made = processExecutor({
      home,
      homeId,
      epoch,
      clock,
      build,
      program: runnerProgram(home),
      fail: (error) => failures.push(error),
      report: (report) => {
        reports.push(report)
        for (const wake of waiting.splice(0)) wake()
      },
      log: (level, fields, message) => logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
    })
    const ended = async (key: string): Promise<AttemptReport> => {
      const index = taken.get(key) ?? 0
      taken.set(key, index + 1)
      for (;;) {
        const found = reports.filter((report) => report.record.key === key)[index]
        if (found !== undefined) return found
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    }
    const run = (spec: Spec) => {
      made.ensure(spec)
      return ended(spec.key)
    }
    const driven = { ...made, reports, logs, failures, ended, run }
    executors.push(driven)
    return driven
  }

  const runnerPids = () => pidsOf((line) => line.includes('runner/main.ts') && line.includes(home))
  const runnerPid = async (): Promise<number> => {
    for (;;) {
      const [pid] = existsSync(join(home, 'runner.sock')) ? runnerPids() : []
      if (pid !== undefined) return pid
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const marked = (key?: string) =>
    markedProcesses(key ?? `${homeId}/`)
      .filter((one) => key === undefined || one.key === key)
      .map(({ pid }) => pid)

  onTestFinished(async () => {
    await Promise.all(executors.map((each) => each.close()))
    rmSync(home, { recursive: true, force: true })
    for (const pid of [...runnerPids(), ...marked()]) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It went by itself.
      }
    }
    rmSync(home, { recursive: true, force: true })
  })
  return { home, homeId, shell, ref, stopOf, executor, runnerPid, marked }
}

/** Resolves when the file exists: how the shell texts of these tests say where they are. Its folder need not exist yet. */
export const fileThere = async (path: string): Promise<void> => {
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Resolves when the process is gone. */
export const processGone = async (pid: number): Promise<void> => {
  while (existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(statusOf(pid))) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The pids whose command line fits, without this process. */
export const pidsOf = (fits: (commandLine: string) => boolean): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => fits(readOr(`/proc/${name}/cmdline`, '').replaceAll('\0', ' ')))
    .map(Number)

const statusOf = (pid: number): string => readOr(`/proc/${pid}/status`, 'State: Z')

const readOr = (path: string, otherwise: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
