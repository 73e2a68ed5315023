/**
 * The state document, from memory: each section by its own look. What it says of jobs that live comes from committed steps.
 */
import type { Host } from '../actors/contract.ts'
import type { LiveAttempt } from '../attempt.ts'
import type { Clock } from '../clock.ts'
import type { JournalReader } from '../journal/journal.ts'
import type { Tree } from '../supervisor/index.ts'
import type { Sweep } from '../sweep.ts'
import type { RuntimeTree } from '../tree.ts'
import type { LiveJob } from '../views/live.ts'
import {
  type AnalyticsData,
  type BuildShape,
  iso,
  type SectionShape,
  type StorageShape,
} from '../views/shapes.ts'
import type {
  LiveJobShape,
  ModeShape,
  SectionData,
  SectionName,
  Sections,
  StateShape,
} from '../views/state.ts'
import type { Living } from './living.ts'
import type { LoopLag } from './loop-lag.ts'
import { type Found, type Look, type Section, section } from './sections.ts'

const STATE_SCHEMA = '1'
/** So many jobs are shown of each kind. */
const SHOWN = 100
/** So many parts and actors are named. */
const NAMED = 100

/** What each section is looked at with. */
export type Looks = Readonly<{ [Name in SectionName]: Look<SectionData[Name] | null> }>

/** What the document says beside its sections; all of it is in memory. */
export type Core = Readonly<{
  clock: Clock
  build: () => BuildShape
  /** Who holds the home. */
  holder: Readonly<Pick<StateShape['daemon'], 'boot_id' | 'pid' | 'started_at' | 'command'>>
  mode: () => ModeShape
  lag: Pick<LoopLag, 'worst'>
  live: Pick<Living, 'now'>
  counts: () => Readonly<{ restarts: number; repairs: number; duplicates: number }>
  /** Throws when the core is gone. */
  check: () => void
}>

/**
 * Makes the document whenever it is asked for.
 * @throws {TenutoError} what `check` throws.
 */
export const stateDocument = (core: Core, looks: Looks): (() => Promise<StateShape>) => {
  const { clock } = core
  const all = Object.entries(looks).map(
    ([name, look]) => [name, section<unknown>(name, look, clock)] as const,
  ) as readonly (readonly [SectionName, Section<unknown>])[]
  const read = async (): Promise<Sections> =>
    Object.fromEntries(
      await Promise.all(all.map(async ([name, { read }]) => [name, await read()] as const)),
    ) as unknown as Sections

  return async () => {
    core.check()
    const sections = await read()
    const live = core.live.now()
    const { restarts, repairs, duplicates } = core.counts()
    const plans = sections.plans.data
    return {
      schema_version: STATE_SCHEMA,
      generated_at: iso(clock.now()),
      position: live.position,
      degraded: Object.values(sections).some(({ status }) => status === 'unavailable'),
      build: core.build(),
      daemon: { ...core.holder, ...core.mode(), loop_lag_ms: Math.round(core.lag.worst()) },
      counts: {
        plans: plans?.by_state ?? {},
        jobs: plans?.jobs_by_state ?? {},
        // What was seen before it could be looked at no more may be long over.
        attempts_live:
          sections.attempts.status === 'ok' ? (sections.attempts.data?.live ?? 0) : live.running.size,
        restarts,
        sweep_repairs: repairs,
        dead_letters: plans?.dead_letters ?? 0,
        dead_letters_ever: plans?.dead_letters_ever ?? 0,
        duplicates,
      },
      running: shapesOf(live.running),
      retrying: shapesOf(live.retrying),
      waiting: shapesOf(live.waiting),
      more: { running: beyond(live.running), retrying: beyond(live.retrying), waiting: beyond(live.waiting) },
      sections,
    }
  }
}

const beyond = (jobs: ReadonlyMap<string, LiveJob>): number => Math.max(0, jobs.size - SHOWN)
const shapesOf = (jobs: ReadonlyMap<string, LiveJob>): readonly LiveJobShape[] => {
  const shapes: LiveJobShape[] = []
  for (const { plan, job, attempt, since, reason } of jobs.values()) {
    if (shapes.length === SHOWN) break
    shapes.push({ plan, job, attempt, since: iso(since), reason })
  }
  return shapes
}

/** What the looks of a runtime stand on. */
export type LookPorts = Readonly<{
  journal: Pick<JournalReader, 'totals'>
  host: Pick<Host, 'counts' | 'parts' | 'residents'>
  live: Living
  /** Attempts at once; infinite where there is no limit. */
  maxParallel: number
  attempts: () => Promise<readonly LiveAttempt[]>
  storage: () => StorageShape
  tree: Pick<RuntimeTree, 'show' | 'restarts'>
  sweep: Pick<Sweep, 'last'>
  /** Whether it sweeps by itself. */
  sweeps: boolean
  analytics: () => SectionShape<AnalyticsData | null>
  /** How many inspectors look. */
  inspectors: () => number
  /** How the server of this runtime is; undefined where there is none. */
  http: () => SectionData['http'] | undefined
}>

/** The looks of a runtime. */
export const looksOf = (ports: LookPorts): Looks => {
  const { host, live, tree } = ports
  /** A part that is being replaced, or was given up, does what it should for nobody. */
  const ofPart = <Data>(id: string, data: Data): Found<Data> => {
    const part = tree.show().children.find((child) => child.id === id)
    if (part === undefined || part.state === 'running') return { data }
    throw new Error(`its part is ${part.state}${part.lastError === null ? '' : `: ${part.lastError}`}`)
  }
  return {
    plans: async () => {
      const { plans, jobs, deadLetters, deadLettersEver } = await ports.journal.totals()
      return {
        data: {
          by_state: plans,
          jobs_by_state: jobs,
          in_memory: host.residents.size,
          dead_letters: deadLetters,
          dead_letters_ever: deadLettersEver,
        },
      }
    },
    slots: () => {
      const { port } = host.parts.slots
      const limit = Number.isFinite(ports.maxParallel) ? ports.maxParallel : null
      return ofPart('slots', { limit, held: port.held(), queued: port.queued() })
    },
    timers: () => ofPart('timers', { armed: host.parts.timers.port.armed() }),
    supervision: () => {
      const { restarting, given_up } = troubled(tree.show())
      return { data: { restarts: tree.restarts(), restarting, given_up, faults: host.counts().faults } }
    },
    attempts: async () => {
      if (live.trouble() !== undefined) throw live.trouble()
      const found = await ports.attempts()
      return ofPart('executor', { live: found.length, running: live.now().running.size })
    },
    journal: () => {
      const now = ports.storage()
      const data = { ...now.data, position: live.now().position, commits: host.counts().commits }
      if (now.status !== 'ok') return { ...now, data }
      return ofPart('journal', data)
    },
    sweep: () => {
      const last = ports.sweep.last()
      const data = {
        repairs: host.counts().repairs,
        last_at: last && iso(last.at),
        last_plans: last?.plans ?? 0,
        last_repaired: last?.repaired ?? 0,
      }
      return ports.sweeps ? ofPart('sweeper', data) : { status: 'disabled', data }
    },
    analytics: ports.analytics,
    inspector: () => {
      const clients = ports.inspectors()
      return clients === 0 ? { status: 'disabled', data: { clients } } : { data: { clients } }
    },
    http: () => {
      const data = ports.http()
      return data === undefined ? { status: 'disabled', data: null } : { data }
    },
  }
}

/** What is not as it should be, of parts and actors. */
const troubled = (root: Tree): Readonly<{ restarting: readonly string[]; given_up: readonly string[] }> => {
  const restarting: string[] = []
  const givenUp: string[] = []
  const look = ({ id, state, children }: Tree): void => {
    if (state === 'given-up') givenUp.push(id)
    else if (state !== 'running' && state !== 'stopped') restarting.push(id)
    for (const child of children) look(child)
  }
  for (const child of root.children) look(child)
  return { restarting: restarting.slice(0, NAMED), given_up: givenUp.slice(0, NAMED) }
}
