/**
 * The states and reasons of plans and jobs, as every part of the house and every client names them.
 */
import { OUTCOMES, type Outcome } from './attempt.ts'

/** The states of a job. The last four are ends. */
export const JOB_STATES = [
  'held',
  'queued',
  'running',
  'backoff',
  'waiting',
  'stopping',
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
] as const
/** A state of a job. */
export type JobState = (typeof JOB_STATES)[number]
/** An end of a job. */
export type JobEnd = 'succeeded' | 'failed' | 'cancelled' | 'skipped'

/** The states of a plan. The last three are ends. */
export const PLAN_STATES = [
  'running',
  'paused',
  'cancelling',
  'quarantined',
  'succeeded',
  'failed',
  'cancelled',
] as const
/** A state of a plan. */
export type PlanState = (typeof PLAN_STATES)[number]
/** An end of a plan. */
export type PlanEnd = 'succeeded' | 'failed' | 'cancelled'

/** Why something waits. */
export const WAIT_REASONS = [
  'needs',
  'slot',
  'pool',
  'backoff',
  'approval',
  'wait',
  'paused',
  'draining',
  'lost',
  'quarantined',
] as const
/** Why something is being stopped. */
export const STOP_REASONS = [
  'stop-cancel',
  'stop-timeout',
  'stop-stall',
  'stop-deadline',
  'stop-log-limit',
] as const
/** Why something is being stopped. */
export type StopReason = (typeof STOP_REASONS)[number]
/** Why something ended. */
export const END_REASONS = [
  ...OUTCOMES.filter((outcome): outcome is Exclude<Outcome, 'succeeded'> => outcome !== 'succeeded'),
  'fault',
  'need-failed',
  'condition-false',
  'on-failure-stop',
  'operator',
  'approval-denied',
] as const
/** Why a plan or a job is not simply running or succeeded, each once: what was lost waits for somebody, or has ended. */
export const REASONS = [...new Set([...WAIT_REASONS, ...STOP_REASONS, ...END_REASONS])]
/** Why a plan or a job is not simply running or succeeded. */
export type Reason = (typeof REASONS)[number]

const KNOWN: ReadonlySet<string> = new Set(JOB_STATES)
/** Whether this is the state of a job. */
export const isJobState = (state: string): state is JobState => KNOWN.has(state)

/** Whether a job in this state has ended. */
export const isJobEnd = (state: string): state is JobEnd =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled' || state === 'skipped'

/** Whether a plan in this state has ended. */
export const isPlanEnd = (state: string): state is PlanEnd =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'

/** The states in which a plan wants to be taken up. */
export const UNSETTLED: readonly PlanState[] = PLAN_STATES.filter((state) => !isPlanEnd(state))
