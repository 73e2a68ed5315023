/**
 * Keeping a process alive. Node ends one as soon as nothing holds it, and neither a promise that somebody awaits nor a timer of
 * the clock does: a program whose plan waits for its next attempt would end in the middle of it.
 */
import { isTenutoError } from './errors.ts'

/** Reasons to stay alive, by name. */
export type Alive = Readonly<{
  /** Adds or takes away one reason. Idempotent. */
  because: (reason: string, holds: boolean) => void
  /** Stays alive until the promise is settled; answers it. What was stopped is told why. */
  until: <T>(promise: Promise<T>) => Promise<T>
  /** Takes all reasons away, for good. Idempotent. */
  end: () => void
}>

/** Nothing to stay alive for yet. `why` says what stopped all of it; undefined while nothing has, or nobody but its owner. */
export const alive = (why: () => unknown = () => undefined): Alive => {
  const { port1: port } = new MessageChannel()
  const reasons = new Set<string>()
  let awaited = 0
  let ended = false
  const judge = (): void => {
    if (!ended && reasons.size + awaited > 0) port.ref()
    else port.unref()
  }
  port.unref()
  return {
    because: (reason, holds) => {
      if (holds) reasons.add(reason)
      else reasons.delete(reason)
      judge()
    },
    until: async (promise) => {
      awaited += 1
      judge()
      try {
        return await promise
      } catch (error) {
        throw isTenutoError(error, 'STOPPED') ? (why() ?? error) : error
      } finally {
        awaited -= 1
        judge()
      }
    },
    end: () => {
      if (ended) return
      ended = true
      port.close()
    },
  }
}
