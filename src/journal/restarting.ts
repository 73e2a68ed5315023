/**
 * A journal whose writer is started again. What the store itself says (full, broken, fenced) is its own affair; anything else that a
 * commit throws is a failure of the writer: the commit is undone, and the next one waits for a new connection of the same epoch.
 */
import { isTenutoError, TenutoError } from '../errors.ts'
import type { Journal, Opening } from './journal.ts'

/** A journal, for those who use it, and for whoever supervises its writer. */
export type RestartingJournal = Readonly<{
  journal: Journal
  /** Begins to work, and after a failure again; `exit` hears why it failed. */
  start: (exit: (error: unknown) => void) => Promise<void>
  /** Ends it; what waits for it is refused. */
  stop: (clean: boolean) => Promise<void>
}>

/** Restarts `first` by `open`, which goes on with what it began. `fault` makes a commit fail, for tests. */
export const restartingJournal = (
  first: Journal,
  open: (again: Opening) => Promise<Journal>,
  fault: () => void = () => {},
): RestartingJournal => {
  let current = first
  let exit: ((error: unknown) => void) | undefined
  let up = Promise.withResolvers<void>()
  up.resolve()
  let failed: unknown
  let isUp = true

  const fail = (error: unknown): void => {
    isUp = false
    failed = error
    up = Promise.withResolvers<void>()
    // Whoever waits hears of it; nobody need.
    up.promise.catch(() => {})
    exit?.(error)
  }
  const commit: Journal['commit'] = async (batch) => {
    await up.promise
    try {
      fault()
      await current.commit(batch)
    } catch (error) {
      if (isTenutoError(error)) throw error
      fail(error)
      throw new TenutoError('STORE_RESTARTED', { why: String(error) }, error)
    }
  }
  // Everything else goes to the connection there is: the failed one can still be read until the next is there.
  const journal = new Proxy(first, {
    get: (_, key) => (key === 'commit' ? commit : Reflect.get(current, key)),
  })

  return {
    journal,
    start: async (heard) => {
      exit = undefined
      if (!isUp) {
        const next = await open(current.opening)
        if (next !== current) await current.close()
        current = next
        isUp = true
        up.resolve()
      }
      exit = heard
      if (!isUp) throw failed
    },
    stop: async (clean) => {
      exit = undefined
      up.reject(new TenutoError('STOPPED'))
      await current.stop(clean && isUp)
    },
  }
}
