/**
 * An XState actor as a child.
 */
import type { AnyActor } from 'xstate'
import { failure, NORMAL } from './reason.ts'
import type { Context, Ref } from './ref.ts'

/** Starts an actor under a supervisor: when it is done the child has ended, and when it fails, abnormally. */
export const startActor = <A extends AnyActor>(actor: A, { exit }: Pick<Context, 'exit'>): A & Ref => {
  actor.subscribe({
    // It is also called for one that was stopped, which says so by itself.
    complete: () => {
      if (actor.getSnapshot().status === 'done') exit(NORMAL)
    },
    error: (error) => exit(failure(error)),
  })
  actor.start()
  return actor
}
