/**
 * Attempts of `run` and `exec` jobs: what a job's definition says, as the runner takes it, and what the runner reports, as the job
 * takes it.
 */
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  type AttemptReport,
  attemptDir,
  attemptKey,
  FILES,
  LOG_LIMITS,
  type RunnerLimit,
  type Spec,
  type StopWhy,
} from '../attempt.ts'
import type { Clock } from '../clock.ts'
import type { JobDefinition } from '../definition.ts'
import type { SecretValues } from '../secrets.ts'
import type { StopReason } from '../states.ts'
import { type AttemptRef, type Attempts, type TellAttempt, unprepared } from './attempts.ts'
import type { Needs } from './calls.ts'
import type { Ports, ProcessExecutor } from './executor.ts'

/** What the executor has to tell. */
export type ExecutorNews = Pick<Ports, 'report' | 'stopping' | 'found' | 'begun'>

/** What process attempts need. */
export type ProcessPorts = Readonly<{
  home: string
  homeId: string
  /** What was asked for before this moment (epoch ms) was asked for before the machine was booted; null when nothing was. */
  bootedSince: number | null
  clock: Clock
  executor: (news: ExecutorNews) => ProcessExecutor
  needs: (ref: AttemptRef) => Promise<Needs>
  /** The values that a job gets of the secrets it names; throws when one is not there. */
  secrets: (ref: AttemptRef) => SecretValues
  tell: TellAttempt
  /** When the end of an attempt was recorded in its folder, in epoch ms; undefined when it was not. Default: that of the file. */
  recordedAt?: (dir: string) => number | undefined
}>

const fileTime = (dir: string): number | undefined =>
  statSync(join(dir, FILES.exit), { throwIfNoEntry: false })?.mtimeMs

const WHY: Readonly<Record<StopReason, StopWhy>> = {
  'stop-cancel': 'cancelled',
  'stop-timeout': 'timeout',
  'stop-stall': 'stall',
  'stop-deadline': 'deadline',
  'stop-log-limit': 'log-limit',
}
const REASON: Readonly<Record<RunnerLimit, StopReason>> = {
  timeout: 'stop-timeout',
  stall: 'stop-stall',
  deadline: 'stop-deadline',
  'log-limit': 'stop-log-limit',
}

/** So many inquiries in a row that do not find an attempt with the runner say that it has forgotten it, */
const UNSEEN_MAX = 2
/** and so long: one with much to do, or to judge, comes to each within seconds. */
const UNSEEN_MS = 10_000

/** What a job runs. */
const argvOf = ({ kind, run = '', shell, exec = [] }: JobDefinition): readonly string[] => {
  if (kind === 'exec') return exec
  return shell === 'bash' ? ['bash', '-euo', 'pipefail', '-c', run] : ['sh', '-eu', '-c', run]
}

/** The attempts of jobs that run as processes. */
export const processAttempts = (ports: ProcessPorts): Attempts => {
  const { clock, home, homeId, bootedSince, tell, recordedAt = fileTime } = ports
  /** Attempts that this process was the first to ask for, or that have been found since it asked again. */
  const begun = new Set<string>()
  /** Since when each end is waited for, in epoch ms: one that was on record before is told within moments from then. */
  const askedAt = new Map<string, number>()
  /**
   * How many inquiries in a row have not found an attempt with the runner, and since when, in epoch ms. The first after it was asked for
   * does not count: the runner may not have come to it.
   */
  const unseen = new Map<string, Readonly<{ times: number; since: number }>>()
  const isForgotten = (key: string): boolean => {
    const { times = 0, since = 0 } = unseen.get(key) ?? {}
    return times >= UNSEEN_MAX && clock.now() - since >= UNSEEN_MS
  }
  const forget = (key: string): void => {
    begun.delete(key)
    askedAt.delete(key)
    unseen.delete(key)
  }
  const report = ({
    key,
    plan,
    job,
    attempt,
    generation,
    record,
    outputs,
    warnings,
  }: AttemptReport): void => {
    forget(key)
    tell(plan, job, {
      type: 'attempt.ended',
      attempt,
      generation,
      outcome: record.outcome,
      code: record.code,
      signal: record.signal,
      startedAt: record.startedAt,
      endedAt: record.endedAt,
      pid: record.pid,
      ...(record.error === undefined ? {} : { error: record.error }),
      ...(warnings.length > 0 ? { warnings } : {}),
      ...(record.leftovers > 0 ? { leftovers: record.leftovers } : {}),
      // Those of one that did not succeed are for nobody, and stay in its folder.
      ...(outputs && record.outcome === 'succeeded' ? { outputs } : {}),
    })
  }
  const stopping: ExecutorNews['stopping'] = ({ plan, job, attempt, generation }, why) =>
    tell(plan, job, { type: 'attempt.stopping', attempt, generation, why: REASON[why] })
  const found: ExecutorNews['found'] = ({ key, plan, job, attempt, generation }, how, pid) => {
    begun.add(key)
    tell(plan, job, { type: 'attempt.found', attempt, generation, how, pid })
  }
  const hasBegun: ExecutorNews['begun'] = ({ plan, job, attempt }, pid) =>
    tell(plan, job, { type: 'attempt.begun', attempt, pid })
  const executor = ports.executor({ report, stopping, found, begun: hasBegun })
  /** Attempts whose order is being prepared: what is asked of one attempt is done in the order in which it was asked. */
  const preparing = new Map<string, Promise<void>>()

  const refOf = ({ resident, job, attempt, generation }: AttemptRef) => ({
    key: attemptKey(homeId, resident.id, job, attempt),
    plan: resident.id,
    job,
    attempt,
    generation,
    dir: attemptDir(home, resident.id, job, attempt),
  })
  const isOfEarlierBoot = ({ resident, job }: AttemptRef): boolean => {
    const since = resident.rows[resident.graph.index.get(job) ?? -1]?.since
    return bootedSince !== null && since !== undefined && since < bootedSince
  }
  /** What is known of an attempt beside what its directory says. */
  const knownOf = (ref: AttemptRef): Readonly<{ recovered?: true; begun?: true }> => ({
    ...(begun.has(refOf(ref).key) ? {} : { recovered: true }),
    ...(ref.resident.begun.get(ref.job) === ref.attempt ? { begun: true } : {}),
  })
  const specOf = (
    ref: AttemptRef,
    deadlineAt: number | null,
    rebooted: boolean,
    needs: Needs | null,
    secrets: SecretValues,
  ): Spec => {
    const { definition, environment, row } = ref.resident
    const job = definition.jobs[ref.job] as JobDefinition
    return {
      ...refOf(ref),
      ...LOG_LIMITS,
      argv: argvOf(job),
      cwd: resolve(row.base, job.cwd ?? '.'),
      env: { ...environment, ...definition.env, ...job.env, ...secrets },
      graceMs: job.graceMs,
      ...(needs ? { needs: JSON.stringify(needs) } : {}),
      ...(job.timeoutMs === undefined ? {} : { timeoutMs: job.timeoutMs }),
      ...(job.stallMs === undefined ? {} : { stallMs: job.stallMs }),
      ...(deadlineAt === null ? {} : { deadlineMs: Math.max(0, deadlineAt - clock.now()) }),
      ...(rebooted ? { rebooted } : {}),
      ...knownOf(ref),
    }
  }
  const inOrder = (key: string, act: () => Promise<void>): void => {
    const done = (preparing.get(key) ?? Promise.resolve()).then(act).finally(() => {
      if (preparing.get(key) === done) preparing.delete(key)
    })
    preparing.set(key, done)
  }
  /** What could not even be prepared has provably not begun. */
  const neverStarted = (ref: AttemptRef, error: unknown): void => {
    const { resident, job, attempt, generation } = ref
    forget(refOf(ref).key)
    tell(resident.id, job, {
      type: 'attempt.ended',
      attempt,
      generation,
      outcome: 'never-started',
      code: null,
      signal: null,
      startedAt: null,
      endedAt: clock.now(),
      pid: null,
      ...unprepared(error),
    })
  }
  /** Undefined when they are gone, and with them the attempt. One that was claimed needs none: it is adopted, and never started again. */
  const secretsOf = (ref: AttemptRef): SecretValues | undefined => {
    try {
      return ports.secrets(ref)
    } catch (error) {
      if (existsSync(join(refOf(ref).dir, FILES.claim))) return {}
      neverStarted(ref, error)
      return undefined
    }
  }

  return {
    ensure: (ref, deadlineAt, recovered) => {
      const { definition } = ref.resident
      const { key } = refOf(ref)
      if (!recovered) begun.add(key)
      askedAt.set(key, clock.now())
      unseen.set(key, { times: -1, since: clock.now() })
      const rebooted = !begun.has(key) && isOfEarlierBoot(ref)
      const secrets = secretsOf(ref)
      if (secrets === undefined) return
      if (Object.keys(definition.jobs[ref.job]?.needs ?? {}).length === 0) {
        executor.ensure(specOf(ref, deadlineAt, rebooted, null, secrets))
        return
      }
      inOrder(key, async () => {
        try {
          executor.ensure(specOf(ref, deadlineAt, rebooted, await ports.needs(ref), secrets))
        } catch (error) {
          neverStarted(ref, error)
        }
      })
    },
    stop: (ref, why, now) => {
      const graceMs = now ? 0 : (ref.resident.definition.jobs[ref.job]?.graceMs ?? 0)
      const order = { ...refOf(ref), graceMs, why: WHY[why], ...knownOf(ref) }
      unseen.set(order.key, { times: -1, since: clock.now() })
      if (preparing.has(order.key)) inOrder(order.key, async () => executor.stop(order))
      else executor.stop(order)
    },
    look: (ref) => {
      const { key, dir } = refOf(ref)
      if (!preparing.has(key) && !executor.awaits(key)) return 'unasked'
      const at = recordedAt(dir)
      if (at === undefined) return isForgotten(key) ? 'unwatched' : 'awaited'
      return { endedForMs: Math.max(0, clock.now() - Math.max(at, askedAt.get(key) ?? 0)) }
    },
    inquire: async () => {
      const asked = [...unseen.keys()].filter((key) => !preparing.has(key))
      const watched = asked.length === 0 ? undefined : await executor.watched()
      for (const key of asked) {
        const known = unseen.get(key)
        // Its end has come meanwhile.
        if (known === undefined) continue
        const { times, since } = known
        // A runner that is gone, or says nothing, has forgotten nothing.
        if (watched === undefined || watched.has(key))
          unseen.set(key, { times: Math.min(times, 0), since: clock.now() })
        else unseen.set(key, { times: times + 1, since })
      }
    },
    sweep: (plan) => executor.sweepPlan(plan),
    close: () => executor.close(),
  }
}
