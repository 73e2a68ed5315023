/**
 * A runner that follows a script: no process is started, and time is that of a clock which the test moves. It keeps `timeout` and
 * `deadline` as the real one does, and its attempts outlive the runtime that asked for them.
 */
import type { AttemptNews, AttemptRef, Attempts, TellAttempt } from '../actors/attempts.ts'
import type { Outcome } from '../attempt.ts'
import type { Clock } from '../clock.ts'
import type { JsonObject } from '../json.ts'
import type { Ports } from '../runtime/contract.ts'
import type { StopReason } from '../states.ts'

/** How an attempt ends; nothing said: it succeeds. */
export type ScriptedEnd = Readonly<{
  /** Default `succeeded`; `exit` with a `code` other than 0, `signal` with a `signal`. */
  outcome?: Outcome
  code?: number
  signal?: string
  /** Why, in words. */
  error?: string
  /** What it wrote; of an attempt that succeeds. */
  outputs?: JsonObject
}>

/** What an attempt does; `runs`: it goes on until the test ends it, or it is stopped. */
export type ScriptedAttempt =
  | 'runs'
  | (ScriptedEnd &
      Readonly<{
        /** How long it takes, in milliseconds; default none. */
        afterMs?: number
        /** How long it goes on after it was asked to end, at most its grace; default not at all. */
        lingersMs?: number
      }>)

/** What attempts do, by the name of their job: the same each time, or one after another, the last for all that follow. */
export type Script = Readonly<Record<string, ScriptedAttempt | readonly ScriptedAttempt[]>>

/** A runner for tests. */
export type ScriptedRunner = Readonly<{
  /** What a runtime takes as `ports.attempts`. The next one that takes it finds what still runs, and what has ended meanwhile. */
  attempts: Ports['attempts']
  /** Every attempt that was started, as `job#attempt`, in order. */
  started: readonly string[]
  /** Every attempt that was asked to end, and why, in order. */
  stopped: readonly Readonly<{ attempt: string; why: StopReason }>[]
  /** The attempts that run now, as `job#attempt`, in the order of their start. */
  running: () => readonly string[]
  /**
   * Ends the attempt of a job that runs. Where plans run jobs of one name it is called `plan/job`.
   * @throws {Error} when there is no such attempt, or more than one.
   */
  end: (job: string, how?: ScriptedEnd) => void
}>

const OUTCOME_OF: Readonly<Record<StopReason, Outcome>> = {
  'stop-cancel': 'cancelled',
  'stop-timeout': 'timeout',
  'stop-stall': 'stall',
  'stop-deadline': 'deadline',
  'stop-log-limit': 'log-limit',
}

type Ended = Extract<AttemptNews, { type: 'attempt.ended' }>
type Played = {
  readonly name: string
  readonly ref: AttemptRef
  readonly act: Exclude<ScriptedAttempt, 'runs'>
  readonly startedAt: number
  /** Of each timer that waits, how to be told no more. */
  readonly timers: (() => void)[]
  stopped?: StopReason
  ended?: Ended
}

/** Nothing started yet. */
export const scriptedRunner = (
  clock: Pick<Clock, 'now' | 'setTimeout' | 'soon'>,
  script: Script = {},
): ScriptedRunner => {
  const played = new Map<string, Played>()
  const started: string[] = []
  const stopped: { attempt: string; why: StopReason }[] = []
  /** Who is told now, and of what it has asked. */
  let audience: Readonly<{ tell: TellAttempt; asked: Set<string> }> | undefined

  const keyOf = ({ resident, job, attempt }: AttemptRef): string => `${resident.id}/${job}#${attempt}`
  const tell = ({ ref }: Played, news: AttemptNews): void => {
    if (audience?.asked.has(keyOf(ref))) audience.tell(ref.resident.id, ref.job, news)
  }
  const actOf = ({ job, attempt }: AttemptRef): ScriptedAttempt => {
    const acts = [Object.hasOwn(script, job) ? (script[job] ?? {}) : {}].flat() as readonly ScriptedAttempt[]
    return acts[attempt - 1] ?? acts.at(-1) ?? {}
  }
  const end = (of: Played, { outputs, error, ...how }: ScriptedEnd): void => {
    if (of.ended) return
    for (const cancel of of.timers) cancel()
    const code = how.code ?? null
    const signal = how.signal ?? null
    const outcome = how.outcome ?? (signal !== null ? 'signal' : code ? 'exit' : 'succeeded')
    const isBegun = outcome !== 'spawn-error' && outcome !== 'never-started'
    const { attempt, generation } = of.ref
    of.ended = {
      type: 'attempt.ended',
      attempt,
      generation,
      outcome,
      code: outcome === 'succeeded' ? 0 : (code ?? (outcome === 'exit' ? 1 : null)),
      signal,
      startedAt: isBegun ? of.startedAt : null,
      endedAt: clock.now(),
      pid: null,
      ...(error === undefined ? {} : { error }),
      ...(outputs === undefined || outcome !== 'succeeded' ? {} : { outputs }),
    }
    tell(of, of.ended)
  }
  const stop = (of: Played, why: StopReason, now: boolean): void => {
    if (of.ended) return
    if (of.stopped !== undefined && !now) return
    if (of.stopped === undefined) stopped.push({ attempt: of.name, why })
    of.stopped ??= why
    const { graceMs = 0 } = of.ref.resident.definition.jobs[of.ref.job] ?? {}
    const outcome = OUTCOME_OF[of.stopped]
    const lingersMs = now ? 0 : Math.min(of.act.lingersMs ?? 0, graceMs)
    if (lingersMs === 0) clock.soon(() => end(of, { outcome }))
    else of.timers.push(clock.setTimeout(() => end(of, { outcome }), lingersMs))
  }
  /** What the runner ends by itself, and says so when it begins to. */
  const limit = (of: Played, afterMs: number | undefined, why: StopReason): void => {
    if (afterMs === undefined) return
    const { attempt, generation } = of.ref
    const pass = (): void => {
      tell(of, { type: 'attempt.stopping', attempt, generation, why })
      stop(of, why, false)
    }
    of.timers.push(clock.setTimeout(pass, afterMs))
  }
  const claim = (ref: AttemptRef): Played => {
    const said = actOf(ref)
    const act = said === 'runs' ? {} : said
    const name = `${ref.job}#${ref.attempt}`
    const of: Played = { name, ref, act, startedAt: clock.now(), timers: [] }
    played.set(keyOf(ref), of)
    return of
  }
  const start = (ref: AttemptRef, deadlineAt: number | null): void => {
    const of = claim(ref)
    const { act, startedAt } = of
    started.push(of.name)
    limit(of, ref.resident.definition.jobs[ref.job]?.timeoutMs, 'stop-timeout')
    limit(of, deadlineAt === null ? undefined : Math.max(0, deadlineAt - startedAt), 'stop-deadline')
    if (actOf(ref) === 'runs') return
    if (act.afterMs === undefined) clock.soon(() => end(of, act))
    else of.timers.push(clock.setTimeout(() => end(of, act), act.afterMs))
  }
  /** Of an attempt that another runtime has begun: it lives, or this is how it ended. */
  const tellAgain = (of: Played): void => {
    const { attempt, generation } = of.ref
    const why = of.stopped
    if (of.ended) tell(of, of.ended)
    else if (why === undefined || why === 'stop-cancel')
      tell(of, { type: 'attempt.found', attempt, generation, how: 'adopted', pid: null })
    else tell(of, { type: 'attempt.stopping', attempt, generation, why })
  }
  const goesOn = (): readonly Played[] => [...played.values()].filter((of) => of.ended === undefined)

  const attempts: Ports['attempts'] = (told): Attempts => {
    const mine = { tell: told, asked: new Set<string>() }
    audience = mine
    return {
      ensure: (ref, deadlineAt, recovered) => {
        const key = keyOf(ref)
        mine.asked.add(key)
        const known = played.get(key)
        if (!known) start(ref, deadlineAt)
        else if (known.ended || recovered) clock.soon(() => tellAgain(known))
      },
      stop: (ref, why, now) => {
        const key = keyOf(ref)
        mine.asked.add(key)
        // One that was never started is not started any more.
        const known = played.get(key) ?? claim(ref)
        if (known.ended) clock.soon(() => tellAgain(known))
        else stop(known, why, now)
      },
      look: (ref) => (mine.asked.has(keyOf(ref)) ? 'awaited' : 'unasked'),
      // A script forgets nothing.
      inquire: async () => {},
      sweep: () => {},
      close: async () => {
        if (audience === mine) audience = undefined
      },
    }
  }
  return {
    attempts,
    started,
    stopped,
    running: () => goesOn().map(({ name }) => name),
    end: (job, how = {}) => {
      const found = goesOn().filter(({ ref }) => ref.job === job || `${ref.resident.id}/${ref.job}` === job)
      const [of] = found
      if (of === undefined || found.length > 1) {
        const names = goesOn().map(({ ref }) => keyOf(ref))
        throw new Error(
          `${found.length === 0 ? 'no' : 'more than one'} attempt of ${job} runs; these do: ${names.join(', ') || 'none'}`,
        )
      }
      end(of, how)
    },
  }
}
