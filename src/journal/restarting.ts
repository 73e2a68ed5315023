/**
 * A journal whose writer is started again. What the store itself says (full, broken, fenced) is its own affair; anything else that a
 * commit throws is a failure of the writer: the commit is undone, and the next one waits for a new connection of the same epoch.
 */
import { isTenutoError, TenutoError } from '../errors.ts'
import type { Journal, Opening } from './journal.ts'

/** Whether a commit failed for want of a store or of its writer, and not for what was in it: nobody need be blamed, it can be tried again. */
export const isStoreAway = (error: unknown): error is TenutoError =>
  isTenutoError(error, 'STORE_FULL') || isTenutoError(error, 'STORE_RESTARTED')

/** A journal, for those who use it, and for whoever supervises its writer. */
export type RestartingJournal = Readonly<{
  journal: Journal
  /** Begins to work, and after a failure again; `exit` hears why it failed. */
  start: (exit: (error: unknown) => void) => Promise<void>
  /** It is started no more: a commit that waits for that is refused. Idempotent. */
  refuse: () => void
  /** Ends it. */
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
  let why: unknown
  let isUp = true

  const fail = (error: unknown): void => {
    isUp = false
    why = error
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
        const failed = current
        // What is read meanwhile is read from one that is open.
        current = await open(failed.opening)
        if (current !== failed) await failed.close()
        isUp = true
        up.resolve()
      }
      exit = heard
      if (!isUp) throw why
    },
    refuse: () => {
      exit = undefined
      up.reject(new TenutoError('STOPPED'))
    },
    stop: (clean) => current.stop(clean && isUp),
  }
}
