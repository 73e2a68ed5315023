/**
 * Runners of a world and the way to them. What a runner does is the real `watchAttempts`, on the machine of the world. Lock, socket and
 * the daemon's end of the line are as in `src/runner/main.ts`, `src/runner/connections.ts` and `src/actors/executor.ts`: change them
 * together.
 */

import type { ProcessExecutor } from '../../src/actors/executor.ts'
import type { ExecutorNews } from '../../src/actors/processes.ts'
import {
  type AttemptRef,
  type ExitRecord,
  type Found,
  planKeyPrefix,
  type RunnerLimit,
  type Spec,
  type StopOrder,
} from '../../src/attempt.ts'
import { type Attempts, watchAttempts } from '../../src/runner/attempts.ts'
import type { Choices } from './choices.ts'
import { Gone, machineOf } from './machine.ts'
import type { Premises, Scripts } from './premises.ts'
import type { Life, Timeline } from './timeline.ts'

const STARTS_WITHIN_MS = 15
const AGAIN_MS = 20
const LOOK_AROUND_MS = 1_000
const DELAY_MS_MOST = 1_500
const BLIND_MS = 3_000

/** What the world has and a runner meets. */
export type RunnersPorts = Readonly<{
  time: Timeline
  premises: Premises
  scripts: Scripts
  choices: Choices
  homeId: string
  /** Ends the life of the daemon. */
  crash: (where: string) => void
  tell: (line: string) => void
  /** Told when a report is lost and nobody will ask for it. */
  swallowed: () => void
}>

/** The runners of a home, of which one serves. */
export type Runners = Readonly<{
  /** The daemon's end of the line, for one life of it. */
  executor: (daemon: Life, epoch: number, news: ExecutorNews) => ProcessExecutor
}>

/** What the daemon hears. */
type Ears = Readonly<{
  ended: (record: ExitRecord) => void
  stopping: (key: string, why: RunnerLimit) => void
  found: (key: string, how: Found, pid: number | null) => void
  begun: (key: string, pid: number) => void
  gone: () => void
}>
type Line = { open: boolean; readonly daemon: Life; readonly epoch: number; readonly ears: Ears }
type Runner = {
  readonly life: Life
  readonly pid: number
  readonly attempts: Attempts
  line: Line | undefined
}
type Asked = Readonly<{ ref: AttemptRef; spec?: Spec; order?: StopOrder }>

/** The runners of a world; none yet. */
export const runners = (ports: RunnersPorts): Runners => {
  const { time, premises, choices, tell } = ports
  /** Who has the lock, and with it the socket. */
  let serving: Runner | undefined
  let starting = false

  const cut = (line: Line | undefined): void => {
    if (!line?.open) return
    line.open = false
    time.at(0, line.daemon, line.ears.gone)
  }
  const kill = (runner: Runner, where: string): void => {
    tell(`the runner ${runner.pid} is killed ${where}`)
    end(runner)
  }
  const end = (runner: Runner): void => {
    runner.life.alive = false
    premises.runners.delete(runner.pid)
    if (serving === runner) serving = undefined
    cut(runner.line)
  }
  /** Somebody has removed lock and socket: another runner serves before this one has noticed. */
  const loseLock = (runner: Runner, where: string): void => {
    if (serving !== runner) return
    tell(`the lock of runner ${runner.pid} is lost ${where}`)
    serving = undefined
    cut(runner.line)
  }
  /** A runner that dies on the way goes no further. */
  const untilDeath = (act: () => void): void => {
    try {
      act()
    } catch (error) {
      if (!(error instanceof Gone)) throw error
    }
  }
  const lookAround = (runner: Runner): void => {
    if (serving !== runner) untilDeath(runner.attempts.abandon)
    if (runner.attempts.isIdle() && (serving !== runner || !runner.line?.open)) return end(runner)
    time.at(LOOK_AROUND_MS, runner.life, () => lookAround(runner))
  }
  const start = (): void => {
    if (serving || starting) return
    starting = true
    time.at(STARTS_WITHIN_MS, { alive: true }, () => {
      starting = false
      const life: Life = { alive: true }
      const self = premises.identityOfNext()
      premises.runners.add(self.pid)
      const point = (where: string): void => {
        if (choices.strike('kill the runner', where) !== undefined) return kill(runner, where)
        if (choices.strike('kill both', where) !== undefined) {
          kill(runner, where)
          return ports.crash(where)
        }
        if (choices.strike('crash beside the runner', where) !== undefined) ports.crash(where)
        if (choices.strike('lose the lock', where) !== undefined) loseLock(runner, where)
      }
      const isFull = (where: string): boolean => {
        const full = choices.strike('fill the disk', where) !== undefined
        if (full) tell(`no room for ${where}`)
        return full
      }
      let blindUntil = 0
      const isBlind = (): boolean => {
        const now = time.monotonic()
        if (now >= blindUntil && choices.strike('blind the runner', 'a look') !== undefined) {
          blindUntil = now + BLIND_MS
          tell(`the runner ${self.pid} cannot see who lives`)
        }
        return now < blindUntil
      }
      const say = (act: (ears: Ears) => void, ms = 0): void => {
        const { line } = runner
        if (life.alive && line?.open) time.at(ms, line.daemon, () => line.open && act(line.ears))
      }
      const attempts = watchAttempts(
        {
          self,
          epoch: () => runner.line?.epoch ?? 0,
          stopping: (key, why) => say((ears) => ears.stopping(key, why)),
          found: (key, how, pid) => say((ears) => ears.found(key, how, pid)),
          begun: (key, pid) => say((ears) => ears.begun(key, pid)),
          ended: (record) => {
            if (!life.alive) return
            if (choices.strike('swallow a report', record.key) !== undefined) {
              ports.swallowed()
              return tell(`the end of ${record.key} is swallowed`)
            }
            if (choices.strike('cut the line', record.key) !== undefined) {
              tell(`the line is cut before the end of ${record.key}`)
              return cut(runner.line)
            }
            const late = choices.strike('delay a report', record.key)
            say((ears) => ears.ended(record), (late ?? 0) * DELAY_MS_MOST)
          },
          log: () => {},
        },
        machineOf(life, premises, time, ports.scripts, { point, isFull, isBlind }),
      )
      const runner: Runner = { life, pid: self.pid, attempts, line: undefined }
      serving = runner
      tell(`a runner ${self.pid} serves`)
      time.at(LOOK_AROUND_MS, life, () => lookAround(runner))
    })
  }

  const executor = (daemon: Life, epoch: number, news: ExecutorNews): ProcessExecutor => {
    const asked = new Map<string, Asked>()
    const sweeps = new Set<string>()
    let connection: Readonly<{ line: Line; runner: Runner }> | undefined
    let connecting = false
    let closed = false

    const say = (act: (attempts: Attempts) => void): void => {
      if (closed) return
      if (!connection) return connect()
      const { line, runner } = connection
      time.at(0, runner.life, () => line.open && act(runner.attempts))
    }
    const connect = (): void => {
      if (connecting || connection) return
      connecting = true
      const tryOnce = (): void => {
        if (closed) return
        if (serving?.life.alive) return connected(serving)
        start()
        time.at(AGAIN_MS, daemon, tryOnce)
      }
      time.at(1, daemon, tryOnce)
    }
    const connected = (runner: Runner): void => {
      connecting = false
      // It accepts one daemon.
      cut(runner.line)
      const line: Line = { open: true, daemon, epoch, ears }
      runner.line = line
      connection = { line, runner }
      for (const { spec, order } of asked.values()) {
        if (order) say((attempts) => attempts.stop(order))
        else if (spec) say((attempts) => attempts.ensure(spec))
      }
      for (const prefix of sweeps) sweep(prefix)
    }
    const sweep = (prefix: string): void =>
      say((attempts) => {
        attempts.sweep(prefix).then(
          () => sweeps.delete(prefix),
          () => {},
        )
      })
    const ears: Ears = {
      gone: () => {
        connection = undefined
        if (!closed && asked.size + sweeps.size > 0) connect()
      },
      ended: (record) => {
        const found = asked.get(record.key)
        if (!found) return
        asked.delete(record.key)
        const { key, plan, job, attempt, generation, dir } = found.ref
        const warnings = record.warnings ?? []
        news.report({ key, plan, job, attempt, generation, dir, record, outputs: undefined, warnings })
      },
      stopping: (key, why) => {
        const found = asked.get(key)
        if (found && !found.order) news.stopping(found.ref, why)
      },
      found: (key, how, pid) => {
        const before = asked.get(key)
        if (!before || !(before.spec?.recovered || before.order?.recovered)) return
        const { recovered: _, ...spec } = before.spec ?? {}
        const { recovered: __, ...order } = before.order ?? {}
        asked.set(key, {
          ref: before.ref,
          ...(before.spec ? { spec: spec as Spec } : {}),
          ...(before.order ? { order: order as StopOrder } : {}),
        })
        news.found(before.ref, how, pid)
      },
      begun: (key, pid) => {
        const before = asked.get(key)
        if (!before) return
        asked.set(key, {
          ref: before.ref,
          ...(before.spec ? { spec: { ...before.spec, begun: true } } : {}),
          ...(before.order ? { order: { ...before.order, begun: true } } : {}),
        })
        news.begun(before.ref, pid)
      },
    }
    return {
      ensure: (spec) => {
        if (!daemon.alive) return
        asked.set(spec.key, { ...asked.get(spec.key), ref: spec, spec })
        say((attempts) => {
          if (choices.strike('forget an attempt', spec.key) === undefined) return attempts.ensure(spec)
          ports.swallowed()
          tell(`${spec.key} is forgotten`)
        })
      },
      stop: (order) => {
        if (!daemon.alive) return
        asked.set(order.key, { ref: order, ...asked.get(order.key), order })
        say((attempts) => attempts.stop(order))
      },
      awaits: (key) => asked.has(key),
      awaitsPlan: (plan) =>
        [...asked.keys()].some((key) => key.startsWith(planKeyPrefix(ports.homeId, plan))),
      sweepPlan: (plan) => {
        const prefix = planKeyPrefix(ports.homeId, plan)
        if (!daemon.alive) return
        if (!connection && !premises.living().some(({ key }) => key.startsWith(prefix))) return
        sweeps.add(prefix)
        sweep(prefix)
      },
      live: async () => [],
      silentSince: () => undefined,
      watched: () =>
        new Promise((resolve) => {
          const { line, runner } = connection ?? {}
          if (!line?.open || !runner?.life.alive) return resolve(undefined)
          const keys = runner.attempts.live().map(({ key }) => key)
          time.at(1, daemon, () => resolve(line.open ? new Set(keys) : undefined))
        }),
      // It is told nothing any more; what it was told last is not unsaid.
      close: async () => {
        closed = true
        if (connection) connection.line.open = false
      },
    }
  }
  return { executor }
}
