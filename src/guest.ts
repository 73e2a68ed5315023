/**
 * What the holder of a home and analytics say to each other: lines of JSON on one channel. Analytics is a guest: it asks, one question
 * at a time, and gets committed steps in batches; nothing is ever sent to it that it has not asked for, but a ping and a question of
 * somebody who wants its numbers. Each side takes what the other says for no more than a text that may be anything.
 */

import { isString, readObject } from './json.ts'
import {
  about,
  list,
  moment,
  named,
  number,
  type Of,
  object,
  orNull,
  record,
  text,
  whole,
} from './json-schema.ts'

/** Raised when a message changes its meaning; a guest of another protocol is not spoken to. */
export const GUEST_PROTOCOL = 1

/** At most this many steps are in one batch. */
export const BATCH_STEPS_MAX = 250
/** A batch ends with the step that reaches this many characters of events. */
export const BATCH_CHARACTERS_MAX = 1_000_000
/** A line longer than this is not listened to any further, in either direction. */
export const GUEST_LINE_CHARACTERS_MAX = 4_000_000
/** At most this many jobs, and as many plans, are in one answer. */
export const FIGURES_MAX = 200

/** A step as analytics is told of it: what can be counted, and nothing that a job wrote. */
export type ToldStep = Readonly<{
  position: number
  at: number
  of: 'plan' | 'job' | 'note'
  /** The id of the plan. */
  plan: string
  job: string | null
  seq: number
  type: string
  from: string | null
  to: string
  reason: string | null
  /** Of `created`: the generation, and since when the job is in its state. */
  generation?: number
  since?: number
  /** Of `attempt.ended`. `ranMs` is not there when nobody has seen its beginning or its end. */
  outcome?: string
  ranMs?: number
  /** The jobs that ended by this step without an actor of their own: name, state, reason. */
  ended?: readonly (readonly [job: string, state: string, reason: string | null])[]
}>

/** The steps after a position, up to another: what is not among them is not there, or cannot be read. */
export type Batch = Readonly<{ after: number; upTo: number; head: number; steps: readonly ToldStep[] }>

/** Whose numbers are asked for; of a plan's name, or of all; at most `limit` jobs, those that ended most often first. */
export type FiguresQuery = Readonly<{ plan?: string; limit?: number }>

/** Milliseconds; the percentiles are within 1 % of one that was measured. Null where nothing was. */
const spread = about(
  'Milliseconds; the percentiles are within 1 % of one that was measured. Null where nothing was.',
  object({
    count: whole(),
    p50: orNull(number),
    p95: orNull(number),
    p99: orNull(number),
    max: orNull(number),
  }),
)
const tally = record(whole({ minimum: 0 }))

/** The numbers of all, of plans of one name, or of a job of these. */
export const figures = named(
  'Figures',
  object({
    plan: about('The name of the plans; null for all.', orNull(text())),
    job: about(
      'The name of the job; null for all of them. `(others)` where there are too many names.',
      orNull(text()),
    ),
    ended: about('Jobs by their end.', tally),
    success_rate: about('Of those that succeeded or failed; null when none did.', orNull(number)),
    attempts: about('Ended attempts, by their outcome.', tally),
    lost: whole(),
    retries: about('Attempts after which the policy of the job tried again.', whole()),
    reopened: about('Jobs that were opened again, or decided, by hand.', whole()),
    flaky: about(
      'Jobs that succeeded after an attempt of theirs had failed, with the same definition.',
      whole(),
    ),
    faults: about('Jobs that ended because their actor failed.', whole()),
    repairs: about('What the sweep repaired.', whole()),
    recovered: about(
      'Attempts that were in flight when the runtime was interrupted, by what became of them.',
      tally,
    ),
    waits: about('Waits that are over, by reason.', record(object({ count: whole(), ms: number }))),
    queue_ms: about(
      'From `queued` to `running`, without the time in which the plan was paused or quarantined.',
      spread,
    ),
    duration_ms: about('Of attempts, from their own records.', spread),
    plans: about(
      'Of the plans themselves; null for a job.',
      orNull(
        object({
          ended: tally,
          success_rate: orNull(number),
          restarts: about('How often a plan was taken up again after an interruption.', whole()),
          duration_ms: spread,
        }),
      ),
    ),
  }),
)

const throughput = object({ from: moment, ended: tally })

/** The numbers by plan, by job and by time. */
export const numbers = named(
  'Numbers',
  object({
    total: figures,
    plans: about('Those with the most ended jobs first.', list(figures)),
    jobs: about('Those that ended most often first.', list(figures)),
    per_minute: about('The latest minutes in which something ended, in order.', list(throughput)),
    per_hour: list(throughput),
  }),
)

/** Milliseconds, as a count, percentiles and the longest. */
export type Spread = Of<typeof spread>

/** What was counted of all, of plans of one name, or of a job of these. */
export type Figures = Of<typeof figures>

/** Jobs that ended in a minute or an hour, by their end. */
export type Throughput = Of<typeof throughput>

/** All that analytics has to say. */
export type Numbers = Of<typeof numbers>

/** How far it has counted; `missed` steps were gone before it came to them. */
export type Reckoning = Readonly<{ cursor: number; missed: number; total: Figures }>

/** What a guest says. */
export type FromGuest =
  | Readonly<{ type: 'hello'; v: number; cursor: number }>
  | Readonly<{ type: 'steps'; after: number; limit: number }>
  | (Readonly<{ type: 'counted' }> & Reckoning)
  | Readonly<{ type: 'numbers'; id: number; numbers: Numbers }>
  | Readonly<{ type: 'pong'; id: number }>
  /** Its last words. */
  | Readonly<{ type: 'failed'; error: string }>

/** What a guest is told. */
export type ToGuest =
  | (Readonly<{ type: 'batch' }> & Batch)
  | Readonly<{ type: 'numbers'; id: number; query: FiguresQuery }>
  | Readonly<{ type: 'ping'; id: number }>

const FROM_GUEST: Readonly<
  Record<FromGuest['type'], Readonly<Record<string, 'number' | 'string' | 'object'>>>
> = {
  hello: { v: 'number', cursor: 'number' },
  steps: { after: 'number', limit: 'number' },
  counted: { cursor: 'number', missed: 'number', total: 'object' },
  numbers: { id: 'number', numbers: 'object' },
  pong: { id: 'number' },
  failed: { error: 'string' },
}

/** Reads a line of a guest; undefined when it is none that a guest says. */
export const readFromGuest = (line: string): FromGuest | undefined =>
  readObject(line, (said) => {
    const { type } = said
    if (!isString(type) || !Object.hasOwn(FROM_GUEST, type)) return undefined
    const fields = Object.entries(FROM_GUEST[type as FromGuest['type']])
    const fits = fields.every(([name, kind]) => {
      const value = said[name]
      if (kind === 'number') return Number.isSafeInteger(value) && (value as number) >= 0
      return typeof value === kind && value !== null
    })
    return fits ? (said as FromGuest) : undefined
  })
