/**
 * The sweep of a home that is held: what the host finds in its plans, together with what only the runtime can see, now and by itself.
 */
import type { Host } from './actors/contract.ts'
import type { Faults } from './actors/part.ts'
import type { Missed } from './actors/sweeping.ts'
import { parseAttemptKey } from './attempt.ts'
import type { Clock } from './clock.ts'
import type { Journal } from './journal/journal.ts'
import { isStoreAway } from './journal/restarting.ts'
import { markedProcesses } from './process.ts'
import { type Rounds, rounds } from './rounds.ts'
import { isPlanEnd, UNSETTLED } from './states.ts'
import type { SweepShape } from './views/shapes.ts'

/** What a sweep needs. */
export type SweepPorts = Readonly<{
  journal: Pick<Journal, 'plan' | 'plans' | 'opening'>
  clock: Clock
  host: Pick<Host, 'sweep' | 'residents'>
  /** Whether plans of this home are taken up at all. */
  takesUp: boolean
  /** Whether a plan is left to another program. */
  isForeign: (plan: string) => boolean
  /** Makes a round fail, for tests. */
  faults?: Faults | undefined
}>

/** The sweep of a home, for whoever asks for one, and for whoever supervises those that it makes by itself. */
export type Sweep = Rounds &
  Readonly<{
    /** Sweeps now, whatever its age. */
    now: () => Promise<SweepShape>
    /** What was left has been taken up: before, all of it would seem to have been missed. */
    ready: () => void
    /** When the latest one ended, in epoch ms, and what it looked at; null before the first. */
    last: () => SweepLook | null
  }>

/** A sweep that is over. */
export type SweepLook = Readonly<{ at: number; plans: number; repaired: number }>

/** How often it looks by itself where nobody says otherwise, in milliseconds. */
export const SWEEP_MS = 5_000
/** Processes are looked at in every so many sweeps: where no runner serves, all of the machine must be looked over. */
const PROCESSES_EVERY = 6

/** Sweeps every `everyMs` milliseconds once it is ready; 0 never. What is younger than twice that is left alone then. */
export const sweeper = (ports: SweepPorts, everyMs: number): Sweep => {
  const { journal, clock, host } = ports

  /** What the host cannot see: plans that nobody has taken up, and processes of plans that have ended. */
  const missed = async (minAgeMs: number, withProcesses: boolean): Promise<readonly Missed[]> => {
    const old = (since: number): boolean => clock.now() - since >= minAgeMs
    const found: Missed[] = []
    const open = ports.takesUp ? await journal.plans({ states: UNSETTLED }) : []
    for (const { id, aside, since, submittedAt } of open) {
      const from = since ?? submittedAt
      if (aside === null && !host.residents.has(id) && !ports.isForeign(id) && old(from))
        found.push({ kind: 'not-taken-up', plan: id, job: null, since: from })
    }
    const marked = withProcesses ? markedProcesses(`${journal.opening.home}/`) : []
    const strays = new Map(
      marked.flatMap(({ key }) => {
        const of = parseAttemptKey(key)
        return of ? [[of.plan, of.job] as const] : []
      }),
    )
    for (const [plan, job] of strays) {
      const head = await journal.plan(plan)
      if (head && isPlanEnd(head.state) && head.since !== null && old(head.since))
        found.push({ kind: 'stray-process', plan, job, since: head.since })
    }
    return found
  }
  const sweep = async (minAgeMs: number, withProcesses: boolean): Promise<SweepShape> => {
    const { plans, repaired } = await host.sweep(minAgeMs, await missed(minAgeMs, withProcesses))
    last = { at: clock.now(), plans, repaired: repaired.length }
    return {
      plans,
      repaired: repaired.map(({ kind, plan, job, ageMs }) => ({ kind, plan, job, age_ms: ageMs })),
    }
  }

  let isReady = false
  let last: SweepLook | null = null
  const alone = rounds({
    clock,
    firstMs: everyMs,
    everyMs,
    round: async (count) => {
      if (!isReady) return
      ports.faults?.({ part: 'sweeper', call: 'round' })
      try {
        await sweep(2 * everyMs, count % PROCESSES_EVERY === 0)
      } catch (error) {
        // What a store that is away keeps from being swept is said once, by the host.
        if (!isStoreAway(error)) throw error
      }
    },
  })

  return {
    ...alone,
    now: () => sweep(0, true),
    ready: () => {
      isReady = true
    },
    last: () => last,
  }
}
