/**
 * Attempts played by hand: the port notes what it is asked, and the test says how each attempt ends. What it noted survives the
 * host, as attempt directories do; but only a host that has asked for an attempt is told of its end.
 */
import type { AttemptNews, Attempts } from '../../src/actors/attempts.ts'
import type { Outcome } from '../../src/attempt.ts'
import type { StopReason } from '../../src/states.ts'

/** What the host asked, in order. */
export type Order =
  | Readonly<{
      do: 'ensure'
      job: string
      attempt: number
      generation: number
      deadlineAt: number | null
      recovered: boolean
      /** Only where it is so. */
      begun?: true
    }>
  | Readonly<{ do: 'stop'; job: string; attempt: number; why: StopReason; now: boolean }>
  | Readonly<{ do: 'sweep'; plan: string }>

/** The hand that plays them. */
export type PlayedAttempts = Readonly<{
  port: (tell: (plan: string, job: string, news: AttemptNews) => void) => Attempts
  orders: Order[]
  /** Every attempt that was ever ensured, once, as `job#attempt`, in order. */
  started: () => readonly string[]
  /** The latest attempt of a job and its generation, as last ensured. */
  latest: (job: string) => Readonly<{ attempt: number; generation: number }>
  /** Tells the present host how the latest attempt of a job ended, or the one given. */
  end: (
    job: string,
    outcome: Outcome,
    more?: Partial<Extract<AttemptNews, { type: 'attempt.ended' }>>,
  ) => void
  /** Tells that the port is stopping the latest attempt by itself. */
  stopping: (job: string, why: StopReason) => void
  /** The port forgets what it was asked; attempts go on. */
  forget: () => void
  /** Tells what the latest attempt of a job was found to be after an interruption. */
  found: (job: string, how: 'adopted' | 'requeued') => void
  /** Tells that the latest attempt of a job, or the one given, has lived for a second. */
  begun: (job: string, attempt?: number) => void
}>

/** Nothing asked yet. `plan` is the one plan it plays. */
export const playedAttempts = (plan: string): PlayedAttempts => {
  const orders: Order[] = []
  const watched = new Set<string>()
  let tell: (plan: string, job: string, news: AttemptNews) => void = () => {}
  const ensured = () => orders.flatMap((order) => (order.do === 'ensure' ? [order] : []))
  const latest = (job: string) => {
    const order = ensured().findLast((each) => each.job === job)
    if (!order) throw new Error(`no attempt of ${job} was ensured`)
    return { attempt: order.attempt, generation: order.generation }
  }
  return {
    port: (given) => {
      tell = given
      watched.clear()
      return {
        ensure: ({ resident, job, attempt, generation }, deadlineAt, recovered) => {
          watched.add(`${job}#${attempt}`)
          const begun = resident.begun.get(job) === attempt ? { begun: true as const } : {}
          orders.push({ do: 'ensure', job, attempt, generation, deadlineAt, recovered, ...begun })
        },
        stop: ({ job, attempt }, why, now) => {
          watched.add(`${job}#${attempt}`)
          orders.push({ do: 'stop', job, attempt, why, now })
        },
        look: ({ job, attempt }) => (watched.has(`${job}#${attempt}`) ? 'awaited' : 'unasked'),
        inquire: async () => {},
        sweep: (swept) => {
          orders.push({ do: 'sweep', plan: swept })
        },
        close: async () => {},
      }
    },
    orders,
    started: () => [...new Set(ensured().map(({ job, attempt }) => `${job}#${attempt}`))],
    latest,
    end: (job, outcome, more = {}) => {
      const { attempt, generation } = latest(job)
      if (!watched.has(`${job}#${attempt}`)) throw new Error(`nobody has asked for ${job}#${attempt}`)
      tell(plan, job, {
        type: 'attempt.ended',
        attempt,
        generation,
        outcome,
        code: outcome === 'exit' ? 1 : outcome === 'succeeded' ? 0 : null,
        signal: null,
        startedAt: null,
        endedAt: null,
        pid: null,
        ...more,
      })
    },
    stopping: (job, why) => tell(plan, job, { type: 'attempt.stopping', ...latest(job), why }),
    forget: () => watched.clear(),
    found: (job, how) => tell(plan, job, { type: 'attempt.found', ...latest(job), how, pid: 42 }),
    begun: (job, attempt = latest(job).attempt) =>
      tell(plan, job, { type: 'attempt.begun', attempt, pid: 42 }),
  }
}
