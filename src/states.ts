/**
 * The states and reasons of plans and jobs, as every part of the house and every client names them.
 */
import type { Outcome } from './attempt.ts'

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
export type WaitReason =
  | 'needs'
  | 'slot'
  | 'pool'
  | 'backoff'
  | 'approval'
  | 'wait'
  | 'paused'
  | 'draining'
  | 'lost'
  | 'quarantined'
/** Why something is being stopped. */
export type StopReason = 'stop-cancel' | 'stop-timeout' | 'stop-stall' | 'stop-deadline' | 'stop-log-limit'
/** Why something ended. */
export type EndReason =
  | Exclude<Outcome, 'succeeded'>
  | 'fault'
  | 'need-failed'
  | 'condition-false'
  | 'on-failure-stop'
  | 'operator'
  | 'approval-denied'
/** Why a plan or a job is not simply running or succeeded. */
export type Reason = WaitReason | StopReason | EndReason

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
