/**
 * Attempts of `call` jobs: handlers of the program that embeds the runtime, run in this very process. They have the life of any
 * attempt and one difference: they end with their process. What was in flight then is `lost`, and its job's policy decides.
 */
import type { Clock } from '../clock.ts'
import type { JobDefinition } from '../definition.ts'
import { isObject, type Json, type JsonObject } from '../json.ts'
import type { AttemptEnded } from '../machines/job.ts'
import type { SecretValues } from '../secrets.ts'
import type { StopReason } from '../states.ts'
import { wordsOf } from '../thrown.ts'
import { type AttemptRef, type Attempts, type TellAttempt, unprepared } from './attempts.ts'

/** What a handler is called with. */
export type Call = Readonly<{
  /** What the job says under `with`; null when it says nothing. */
  input: Json
  plan: string
  job: string
  attempt: number
  /** The attempt's idempotency key: the same for the same attempt, never used for another. */
  key: string
  /** Aborted when the attempt is to end: cancelled, out of time, or the runtime stops. */
  signal: AbortSignal
  /** The results and outputs of all jobs before this one, by name. */
  needs: () => Promise<Needs>
  /** The values of the secrets that the job or its plan names. What it throws or answers is masked by them. */
  secrets: SecretValues
}>
/** How the jobs before ended, and what they gave. */
export type Needs = Readonly<Record<string, Readonly<{ result: string; outputs: JsonObject }>>>

/** A handler; its JSON result becomes the job's outputs. A throw or a rejection fails the attempt. */
export type Handler = (call: Call) => unknown

/** What call attempts need. */
export type CallPorts = Readonly<{
  handlers: Readonly<Record<string, Handler>>
  clock: Clock
  keyOf: (plan: string, job: string, attempt: number) => string
  needs: (ref: AttemptRef) => Promise<Needs>
  /** The values that a job gets of the secrets it names; throws when one is not there. */
  secrets: (ref: AttemptRef) => SecretValues
  tell: TellAttempt
  warn: (fields: object, message: string) => void
}>

const OUTCOME_OF: Readonly<Record<StopReason, AttemptEnded['outcome']>> = {
  'stop-cancel': 'cancelled',
  'stop-timeout': 'timeout',
  'stop-stall': 'stall',
  'stop-deadline': 'deadline',
  'stop-log-limit': 'log-limit',
}

type Flight = {
  readonly ref: AttemptRef
  readonly controller: AbortController
  readonly startedAt: number
  readonly cancelTimers: (() => void)[]
  stopped: StopReason | null
  ended: boolean
}

const definitionOf = ({ resident, job }: AttemptRef): JobDefinition =>
  resident.definition.jobs[job] as JobDefinition

/** A result as outputs: an object as it is, nothing as none, anything else under `value`. */
const asOutputs = (result: unknown): JsonObject | undefined => {
  if (result === undefined || result === null) return undefined
  const text = JSON.stringify(result)
  if (text === undefined) throw new TypeError(`a handler's result must be JSON; this is a ${typeof result}`)
  const value = JSON.parse(text) as Json
  return isObject(value) ? (value as JsonObject) : { value }
}

/** The attempts of `call` jobs. */
export const callAttempts = (ports: CallPorts): Attempts => {
  const { clock } = ports
  const flights = new Map<string, Flight>()

  const end = (
    key: string,
    flight: Flight,
    more: Partial<AttemptEnded> & Pick<AttemptEnded, 'outcome'>,
  ): void => {
    if (flight.ended) return
    flight.ended = true
    flights.delete(key)
    for (const cancel of flight.cancelTimers) cancel()
    const { resident, job, attempt, generation } = flight.ref
    const { startedAt } = flight
    ports.tell(resident.id, job, {
      type: 'attempt.ended',
      attempt,
      generation,
      code: null,
      signal: null,
      startedAt,
      endedAt: clock.now(),
      pid: null,
      ...more,
    })
  }
  const stop = (key: string, flight: Flight, why: StopReason, graceMs: number): void => {
    const outcome = OUTCOME_OF[why]
    if (flight.stopped === null) {
      flight.stopped = why
      flight.controller.abort(new Error(`the attempt is stopped: ${outcome}`))
    }
    // A handler that does not listen is given up after its grace: its slot is free, its result is ignored.
    if (graceMs <= 0) end(key, flight, { outcome })
    else flight.cancelTimers.push(clock.setTimeout(() => end(key, flight, { outcome }), graceMs))
  }
  const limit = (key: string, flight: Flight, ms: number | null | undefined, why: StopReason): void => {
    if (ms === null || ms === undefined) return
    const { graceMs } = definitionOf(flight.ref)
    const { resident, job, attempt, generation } = flight.ref
    const pass = (): void => {
      ports.tell(resident.id, job, { type: 'attempt.stopping', attempt, generation, why })
      stop(key, flight, why, graceMs)
    }
    flight.cancelTimers.push(clock.setTimeout(pass, ms))
  }
  /** Undefined when they are gone, and with them the attempt. */
  const secretsOf = (key: string, flight: Flight): SecretValues | undefined => {
    try {
      return ports.secrets(flight.ref)
    } catch (error) {
      end(key, flight, { outcome: 'never-started', startedAt: null, ...unprepared(error) })
      return undefined
    }
  }
  const run = async (key: string, flight: Flight): Promise<void> => {
    const { ref } = flight
    const definition = definitionOf(ref)
    const handler = ports.handlers[definition.call ?? '']
    const secrets = secretsOf(key, flight)
    if (secrets === undefined) return
    try {
      if (!handler) throw new Error(`no handler is registered as ${definition.call}`)
      const result = await handler({
        input: definition.with ?? null,
        plan: ref.resident.id,
        job: ref.job,
        attempt: ref.attempt,
        key,
        signal: flight.controller.signal,
        needs: () => ports.needs(ref),
        secrets,
      })
      const outputs = asOutputs(result)
      if (flight.stopped) end(key, flight, { outcome: OUTCOME_OF[flight.stopped] })
      else end(key, flight, { outcome: 'succeeded', code: 0, ...(outputs ? { outputs } : {}) })
    } catch (error) {
      const text = wordsOf(error)
      if (flight.stopped) end(key, flight, { outcome: OUTCOME_OF[flight.stopped] })
      else end(key, flight, { outcome: 'exit', code: 1, error: text })
    }
  }

  return {
    ensure: (ref, deadlineAt, recovered) => {
      const { resident, job, attempt, generation } = ref
      const key = ports.keyOf(resident.id, job, attempt)
      if (flights.has(key)) return
      if (recovered) {
        ports.warn(
          { plan: resident.id, job, attempt },
          'call was in flight when its process ended; its end was not seen',
        )
        const unseen = { code: null, signal: null, startedAt: null, endedAt: null, pid: null }
        ports.tell(resident.id, job, {
          type: 'attempt.ended',
          attempt,
          generation,
          outcome: 'lost',
          ...unseen,
        })
        return
      }
      const flight: Flight = {
        ref,
        controller: new AbortController(),
        startedAt: clock.now(),
        cancelTimers: [],
        stopped: null,
        ended: false,
      }
      flights.set(key, flight)
      limit(key, flight, definitionOf(ref).timeoutMs, 'stop-timeout')
      limit(key, flight, deadlineAt === null ? null : Math.max(0, deadlineAt - clock.now()), 'stop-deadline')
      void run(key, flight)
    },
    stop: (ref, why, now) => {
      const key = ports.keyOf(ref.resident.id, ref.job, ref.attempt)
      const flight = flights.get(key)
      if (flight) {
        stop(key, flight, why, now ? 0 : definitionOf(ref).graceMs)
        return
      }
      // It ended with its process, or never began; either way nothing of it runs.
      const unseen = { code: null, signal: null, startedAt: null, endedAt: clock.now(), pid: null }
      const { attempt, generation } = ref
      ports.tell(ref.resident.id, ref.job, {
        type: 'attempt.ended',
        attempt,
        generation,
        outcome: OUTCOME_OF[why],
        ...unseen,
      })
    },
    look: ({ resident, job, attempt }) =>
      flights.has(ports.keyOf(resident.id, job, attempt)) ? 'awaited' : 'unasked',
    // They live in this program, and with what it knows of them.
    inquire: async () => {},
    sweep: () => {},
    close: async () => {
      for (const flight of flights.values()) {
        for (const cancel of flight.cancelTimers) cancel()
        flight.controller.abort(new Error('the runtime stops'))
      }
      flights.clear()
    },
  }
}
