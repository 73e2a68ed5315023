/**
 * What the host asks about attempts, as one port. The process executor and the call handlers stand behind it, and in a simulation
 * a scripted one.
 */
import { isTenutoError } from '../errors.ts'
import type { AttemptEnded } from '../machines/job.ts'
import type { StopReason } from '../states.ts'
import { wordsOf } from '../thrown.ts'
import type { Resident } from './directory.ts'

/** One attempt of one job. */
export type AttemptRef = Readonly<{ resident: Resident; job: string; attempt: number; generation: number }>

/** Why an attempt could not even be prepared, as it is told: in words, and by its code where the error is one of ours. */
export const unprepared = (error: unknown): Pick<AttemptEnded, 'error' | 'errorCode'> => ({
  error: wordsOf(error),
  ...(isTenutoError(error) ? { errorCode: error.code } : {}),
})

/** What is told about an attempt. The host refuses what is stale, so telling twice is harmless. */
export type AttemptNews =
  | Omit<AttemptEnded, 'at' | 'draw'>
  | Readonly<{ type: 'attempt.stopping'; attempt: number; generation: number; why: StopReason }>
  | AttemptFound
  | AttemptBegun

/** What an attempt that was in flight when this process began was found to be. It is no message: its job knows that it runs. */
export type AttemptFound = Readonly<{
  type: 'attempt.found'
  attempt: number
  generation: number
  /** It lives and was adopted; or nothing had begun, and it is started now. */
  how: 'adopted' | 'requeued'
  pid: number | null
}>

/** An attempt has lived so long that it is put on record. It is no message either. */
export type AttemptBegun = Readonly<{
  type: 'attempt.begun'
  attempt: number
  pid: number
}>

/** Who is told. */
export type TellAttempt = (plan: string, job: string, news: AttemptNews) => void

/** Performs what jobs ask about attempts. Nothing here throws: what goes wrong comes back as the end of the attempt. */
export type Attempts = Readonly<{
  /** Adopts the attempt, reads its end, or launches it. `recovered`: asked again after an interruption, not for the first time. */
  ensure: (ref: AttemptRef, deadlineAt: number | null, recovered: boolean) => void
  /** Sees to it that the attempt ends. `now` cuts the grace short. */
  stop: (ref: AttemptRef, why: StopReason, now: boolean) => void
  /**
   * What stands of an attempt that its job asks for: nobody has asked here, or somebody is waited for; it is, and whoever is to watch
   * it has twice not known of it (`inquire`); or its end has been on record for so many milliseconds and was not told.
   */
  look: (ref: AttemptRef) => 'unasked' | 'awaited' | 'unwatched' | Readonly<{ endedForMs: number }>
  /** Asks whoever watches attempts which these are, for the looks that follow; once before each sweep. Never rejects. */
  inquire: () => Promise<void>
  /** Ends every process that an ended plan has left. */
  sweep: (plan: string) => void
  /** Lets go; attempts that live in processes of their own go on. */
  close: () => Promise<void>
}>

/** Takes every order and does nothing: what is asked of it is asked again of who comes after. */
export const NO_ATTEMPTS: Attempts = {
  ensure: () => {},
  stop: () => {},
  look: () => 'awaited',
  inquire: async () => {},
  sweep: () => {},
  close: async () => {},
}
