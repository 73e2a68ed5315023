/**
 * The types of events: what is on record of plans, of jobs, and beside them.
 */

/** Steps that every actor may take: made, and brought up from an older machine. */
const ACTOR_EVENTS = ['created', 'migrated'] as const
/** What the machine of a job is told. */
export const JOB_EVENTS = [
  'recovered',
  'released',
  'slot.granted',
  'attempt.ended',
  'attempt.stopping',
  'timer.fired',
  'plan.paused',
  'plan.continued',
  'cancel.requested',
  'skip.requested',
  'retry.requested',
  'now.requested',
  'approve.requested',
  'reject.requested',
  'withdrawn',
  'reopened',
  'faulted',
] as const
/** What the machine of a plan is told. */
export const PLAN_EVENTS = [
  'recovered',
  'job.settled',
  'more',
  'recheck',
  'pause.requested',
  'continue.requested',
  'cancel.requested',
  'retry.requested',
  'faulted',
] as const
/** What the runtime notes of a plan, of a job, or of the home. */
export const NOTES = [
  'recovered',
  'begun',
  'quarantined',
  'restored',
  'sweep.repaired',
  'letter.redelivered',
  'letter.discarded',
  'secrets.given',
  'mode.changed',
  'sweep.requested',
  'gc.requested',
] as const

/** What the runtime notes. */
export type NoteType = (typeof NOTES)[number]

/** The types of all events, each once. */
export const EVENT_TYPES: readonly string[] = [
  ...new Set([...ACTOR_EVENTS, ...PLAN_EVENTS, ...JOB_EVENTS, ...NOTES]),
]
