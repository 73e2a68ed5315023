/**
 * What machines ask for. A machine names its effects and posts as actions with JSON parameters and performs none of them; the
 * host reads them off each step, commits, and only then lets the ports act.
 */
import type { JobEnd, Reason, StopReason } from '../states.ts'

/** Asks the executor to see to it that an attempt exists: adopt it, read its end, or launch it. Idempotent by attempt. */
export type EnsureAttempt = Readonly<{
  type: 'ensureAttempt'
  attempt: number
  generation: number
  /** Epoch milliseconds at which the job's deadline passes; null without one. */
  deadlineAt: number | null
}>
/** Asks the executor to see to it that an attempt ends; harmless when it has ended. Idempotent by attempt and `now`. */
export type StopAttempt = Readonly<{
  type: 'stopAttempt'
  attempt: number
  generation: number
  why: StopReason
  /** Cuts the grace short. */
  now: boolean
}>
/** `timer.fired` at a moment. */
export type Timer = Readonly<{ name: TimerName; at: number }>
/** Asks for timers, perhaps none. The same name and moment again changes nothing; another moment replaces it. */
export type ArmTimers = Readonly<{ type: 'armTimers'; timers: readonly Timer[] }>

/** The timers a job may have. */
export type TimerName = 'backoff' | 'deadline' | 'approval'

/** Asks for the end of every process that still carries the marker of an ended plan. Idempotent. */
export type SweepProcesses = Readonly<{ type: 'sweepProcesses' }>

/** What a machine may ask of the ports. */
export type Effect = EnsureAttempt | StopAttempt | ArmTimers | SweepProcesses

/** What a job tells its plan: that it has ended, once per generation. */
export type JobSettled = Readonly<{
  type: 'job.settled'
  job: string
  generation: number
  attempt: number
  state: JobEnd
  reason: Reason | null
}>
/** What a plan tells itself: that its walk over the board is not at its end. */
export type More = Readonly<{ type: 'more' }>

/** What a state wants from slots, timers and executor, whenever it is asked. */
export type Asks = Readonly<{
  slot: 'none' | 'wanted' | 'held'
  attempt: EnsureAttempt | StopAttempt | null
  timers: readonly Timer[]
}>

/** What an ended state asks: nothing. */
export const NOTHING: Asks = { slot: 'none', attempt: null, timers: [] }
