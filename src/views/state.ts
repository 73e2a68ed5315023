/**
 * The state document: what a holder of a home says of itself and of what it holds, in sections that fail alone.
 */
import {
  about,
  both,
  flag,
  list,
  moment,
  named,
  number,
  type Of,
  object,
  orNull,
  type Schema,
  text,
  whole,
} from '../json-schema.ts'
import { modeSchema } from '../mode.ts'
import { analyticsData, build, counts, reason, section, storageData } from './schemas.ts'

const count = whole({ minimum: 0 })

const liveJob = named(
  'LiveJob',
  object({
    plan: text(),
    job: text(),
    attempt: count,
    since: moment,
    reason: about('Why it does not simply run; null when it does.', orNull(reason)),
  }),
)
/** A job that runs, will be tried again, or waits. */
export type LiveJobShape = Of<typeof liveJob>

const sectionData = {
  plans: object({
    by_state: counts,
    jobs_by_state: counts,
    in_memory: count,
    dead_letters: count,
    dead_letters_ever: count,
  }),
  slots: object({ limit: about('Null where there is none.', orNull(count)), held: count, queued: count }),
  timers: object({ armed: about('Actors with a timer.', count) }),
  supervision: about(
    'Parts and actors that are started again, or given up, by their ids; at most 100.',
    object({ restarts: count, restarting: list(text()), given_up: list(text()), faults: count }),
  ),
  attempts: about(
    'Processes that live, and the attempts that the journal says run.',
    object({ live: count, running: count }),
  ),
  journal: both(storageData, object({ position: count, commits: count })),
  sweep: object({ repairs: count, last_at: orNull(moment), last_plans: count, last_repaired: count }),
  analytics: analyticsData,
  inspector: object({ clients: count }),
  http: object({
    streams: about('Streams that are open.', count),
    streams_ever: about('All there have been.', count),
    resets: about('Streams that were refused because what they asked for is gone.', count),
    dropped: about('Streams that were ended because their client did not read.', count),
    connections: count,
  }),
} as const

/** What each section says. `data` is what was last known where the section does not answer, null where nothing was. */
export type SectionData = Readonly<{ [Name in keyof typeof sectionData]: Of<(typeof sectionData)[Name]> }>

/** The name of a section. */
export type SectionName = keyof SectionData

const held = <Data>(data: Schema<Data>) => section(orNull(data))
const sections = object({
  plans: held(sectionData.plans),
  slots: held(sectionData.slots),
  timers: held(sectionData.timers),
  supervision: held(sectionData.supervision),
  attempts: held(sectionData.attempts),
  journal: held(sectionData.journal),
  sweep: held(sectionData.sweep),
  analytics: held(sectionData.analytics),
  inspector: held(sectionData.inspector),
  http: held(sectionData.http),
})
/** All sections. */
export type Sections = Of<typeof sections>

/** What the holder takes: `running`, `paused` or `draining`; and, of an order, why, since when and by whom. */
export type ModeShape = Of<typeof modeSchema>

/** What the state document is. */
export const state = named(
  'State',
  object({
    schema_version: text(),
    generated_at: moment,
    position: about('The last position that was shown.', count),
    degraded: about('Whether a section is not available.', flag),
    build,
    daemon: both(
      modeSchema,
      object({
        boot_id: text(),
        pid: count,
        started_at: moment,
        command: about('What it calls itself: `tenuto up`, `tenuto run`, a program.', text()),
        loop_lag_ms: about(
          'How late the holder came to what was due, the worst of the last ten seconds.',
          number,
        ),
      }),
    ),
    counts: about(
      'Plans, jobs and dead letters are as of `sections.plans`.',
      object({
        plans: counts,
        jobs: counts,
        attempts_live: count,
        restarts: about('Of parts and actors, since this holder began.', count),
        sweep_repairs: count,
        dead_letters: about('Those that are kept.', count),
        dead_letters_ever: about('All there have ever been.', count),
        duplicates: about(
          'Messages that said what was known or came too late, since this holder began.',
          count,
        ),
      }),
    ),
    running: about(
      'The first hundred of each, those that have been so for the longest first.',
      list(liveJob),
    ),
    retrying: list(liveJob),
    waiting: list(liveJob),
    more: about(
      'How many there are of each beyond those.',
      object({ running: count, retrying: count, waiting: count }),
    ),
    sections,
  }),
)
/** What a holder of a home says of itself and of what it holds. */
export type StateShape = Of<typeof state>
