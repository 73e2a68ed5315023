/**
 * What carries out the attempts of a runtime: handlers of this program for calls, and the part that starts processes.
 */
import { type Attempts, NO_ATTEMPTS, type TellAttempt } from '../actors/attempts.ts'
import { callAttempts } from '../actors/calls.ts'
import { type Ports as ExecutorPorts, processExecutor } from '../actors/executor.ts'
import { type Faults, type Part, type PartOptions, part } from '../actors/part.ts'
import { type ExecutorNews, type ProcessPorts, processAttempts } from '../actors/processes.ts'
import { routedAttempts } from '../actors/routed.ts'
import { attemptKey, type LiveAttempt } from '../attempt.ts'
import type { Clock } from '../clock.ts'
import type { Journal } from '../journal/journal.ts'
import type { Log } from '../log.ts'
import type { Ports, RuntimeOptions } from './contract.ts'

/** What attempts are carried out with. */
export type ExecutingPorts = Readonly<{
  home: string
  clock: Clock
  log: Log
  opening: Journal['opening']
  /** The source hash of this build, and where the program of its runner is. */
  build: ExecutorPorts['build']
  program: ExecutorPorts['program']
  handlers: NonNullable<RuntimeOptions['handlers']>
  needs: ProcessPorts['needs']
  secrets: ProcessPorts['secrets']
  masked: NonNullable<ExecutorPorts['masked']>
  /** In the place of all of it, for tests and simulations. */
  given: Ports['attempts'] | undefined
  /** Without it what was begun is only ever stopped. */
  starts: boolean
  /** Tells the part, after it was replaced, what is so. */
  again: () => Promise<void>
  fail: (error: unknown) => void
  faults: Faults | undefined
}>

/** The attempts of a runtime. */
export type Execution = Readonly<{
  /** What a host hands its attempts to; made once. */
  attempts: (tell: TellAttempt) => Attempts
  /** The part that can be replaced. Handlers of this program are no part of it: nothing could take them over from one that failed. */
  part: Readonly<{ start: (exit: (error: unknown) => void) => void | Promise<void> }>
  /** The processes that live. */
  live: () => Promise<readonly LiveAttempt[]>
  /** Since when the runner has not answered, epoch ms; undefined while it does. */
  silentSince: () => number | undefined
  /** Whether something about a process of a plan was ordered and is not answered. */
  awaits: (plan: string) => boolean
}>

/** Attempts as a part that is replaced when it fails. One that has yet to be told of an attempt has not missed it. */
export const executorPart = (
  options: Pick<PartOptions<Attempts>, 'make' | 'tell' | 'faults'>,
): Part<Attempts> => {
  const made = part<Attempts>({
    ...options,
    name: 'executor',
    idle: NO_ATTEMPTS,
    drop: (failed) => void failed.close(),
  })
  const look: Attempts['look'] = (ref) => {
    const found = made.port.look(ref)
    return made.isUp() ? found : 'awaited'
  }
  return { ...made, port: { ...made.port, look } }
}

/** Carries out attempts. */
export const executing = (ports: ExecutingPorts): Execution => {
  const { home, clock, log, opening, handlers, needs, secrets } = ports
  const homeId = opening.home
  let executor: Part<Attempts> | undefined
  let live: Execution['live'] = async () => []
  let silentSince: Execution['silentSince'] = () => undefined
  let awaits: Execution['awaits'] = () => false

  const replaceable = (make: () => Attempts): Attempts => {
    executor = executorPart({ make, tell: ports.again, faults: ports.faults })
    return executor.port
  }
  const real = (tell: TellAttempt): Attempts => {
    const calls = callAttempts({
      handlers,
      clock,
      keyOf: (plan, job, attempt) => attemptKey(homeId, plan, job, attempt),
      needs,
      secrets,
      tell,
      warn: (fields, message) => log.warn(fields, message),
    })
    const executor = (news: ExecutorNews) => {
      const made = processExecutor({
        home,
        homeId,
        epoch: opening.epoch,
        clock,
        build: ports.build,
        program: ports.program,
        masked: ports.masked,
        fail: ports.fail,
        ...news,
        log: (level, fields, message) => log[level](fields, message),
      })
      live = made.live
      silentSince = made.silentSince
      awaits = made.awaitsPlan
      return made
    }
    const { bootedSince } = opening
    const processes = replaceable(() =>
      processAttempts({ home, homeId, bootedSince, clock, executor, needs, secrets, tell }),
    )
    return routedAttempts(processes, calls)
  }
  return {
    attempts: (tell) => {
      const { given } = ports
      const made = given ? replaceable(() => given(tell)) : real(tell)
      return ports.starts ? made : { ...made, ensure: () => {}, look: () => 'awaited' }
    },
    part: { start: (exit) => executor?.start(exit) },
    live: () => live(),
    silentSince: () => silentSince(),
    awaits: (plan) => awaits(plan),
  }
}
