/**
 * Attempts by the kind of their job: processes for `run` and `exec`, handlers for `call`.
 */
import type { AttemptRef, Attempts } from './attempts.ts'

/** Sends each order to the attempts of its kind. */
export const routedAttempts = (processes: Attempts, calls: Attempts): Attempts => {
  const of = ({ resident, job }: AttemptRef): Attempts =>
    resident.definition.jobs[job]?.kind === 'call' ? calls : processes
  return {
    ensure: (ref, deadlineAt, recovered) => of(ref).ensure(ref, deadlineAt, recovered),
    stop: (ref, why, now) => of(ref).stop(ref, why, now),
    look: (ref) => of(ref).look(ref),
    inquire: () => processes.inquire(),
    sweep: (plan) => processes.sweep(plan),
    close: async () => {
      await Promise.all([processes.close(), calls.close()])
    },
  }
}
