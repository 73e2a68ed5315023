/**
 * The state document: what a holder of a home says of itself and of what it holds, in sections that fail alone.
 */
import type { ModeName } from '../mode.ts'
import type { AnalyticsData, BuildShape, Counts, SectionShape, StorageShape } from './shapes.ts'

/** A job that runs, will be tried again, or waits. */
export type LiveJobShape = Readonly<{
  plan: string
  job: string
  attempt: number
  since: string
  /** Why it does not simply run; null when it does. */
  reason: string | null
}>

/** What each section says. `data` is what was last known where the section does not answer, null where nothing was. */
export type SectionData = Readonly<{
  plans: Readonly<{
    by_state: Counts
    jobs_by_state: Counts
    in_memory: number
    dead_letters: number
    dead_letters_ever: number
  }>
  /** `limit` is null where there is none. */
  slots: Readonly<{ limit: number | null; held: number; queued: number }>
  /** Actors with a timer. */
  timers: Readonly<{ armed: number }>
  /** Parts and actors that are started again, or given up, by their ids; at most 100. */
  supervision: Readonly<{
    restarts: number
    restarting: readonly string[]
    given_up: readonly string[]
    faults: number
  }>
  /** Processes that live, and the attempts that the journal says run. */
  attempts: Readonly<{ live: number; running: number }>
  journal: StorageShape['data'] & Readonly<{ position: number; commits: number }>
  sweep: Readonly<{ repairs: number; last_at: string | null; last_plans: number; last_repaired: number }>
  analytics: AnalyticsData
  inspector: Readonly<{ clients: number }>
  http: Readonly<{
    /** Streams that are open, and all there have been. */
    streams: number
    streams_ever: number
    /** Streams that were refused because what they asked for is gone. */
    resets: number
    /** Streams that were ended because their client did not read. */
    dropped: number
    connections: number
  }>
}>

/** The name of a section. */
export type SectionName = keyof SectionData

/** All sections. */
export type Sections = Readonly<{ [Name in SectionName]: SectionShape<SectionData[Name] | null> }>

/** What the holder takes: `running`, `paused` or `draining`; and, of an order, why, since when and by whom. */
export type ModeShape = Readonly<{
  mode: ModeName
  reason: string | null
  since: string | null
  by: string | null
}>

/** What a holder of a home says of itself and of what it holds. */
export type StateShape = Readonly<{
  schema_version: string
  generated_at: string
  /** The last position that was shown. */
  position: number
  /** Whether a section is not available. */
  degraded: boolean
  build: BuildShape
  daemon: ModeShape &
    Readonly<{
      boot_id: string
      pid: number
      started_at: string
      /** What it calls itself: `tenuto up`, `tenuto run`, a program. */
      command: string
      /** How late the holder came to what was due, the worst of the last ten seconds. */
      loop_lag_ms: number
    }>
  /** Plans, jobs and dead letters are as of `sections.plans`. */
  counts: Readonly<{
    plans: Counts
    jobs: Counts
    attempts_live: number
    /** Of parts and actors, since this holder began. */
    restarts: number
    sweep_repairs: number
    /** Those that are kept, and all there have ever been. */
    dead_letters: number
    dead_letters_ever: number
    /** Messages that said what was known or came too late, since this holder began. */
    duplicates: number
  }>
  /** The first hundred of each, those that have been so for the longest first. */
  running: readonly LiveJobShape[]
  retrying: readonly LiveJobShape[]
  waiting: readonly LiveJobShape[]
  /** How many there are of each beyond those. */
  more: Readonly<{ running: number; retrying: number; waiting: number }>
  sections: Sections
}>
