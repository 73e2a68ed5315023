/**
 * Keeping a process alive. Node ends one as soon as nothing holds it, and neither a promise that somebody awaits nor a timer of
 * the clock does: a program whose plan waits for its next attempt would end in the middle of it.
 */

/** Reasons to stay alive, by name. */
export type Alive = Readonly<{
  /** Adds or takes away one reason. Idempotent. */
  because: (reason: string, holds: boolean) => void
  /** Stays alive until the promise is settled; answers it. */
  until: <T>(promise: Promise<T>) => Promise<T>
  /** Takes all reasons away, for good. Idempotent. */
  end: () => void
}>

/** Nothing to stay alive for yet. */
export const alive = (): Alive => {
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
