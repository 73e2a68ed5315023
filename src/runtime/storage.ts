/**
 * Whether the store of a runtime can be written, as it is shown, and who is told when that changes.
 */
import type { StorageState } from '../actors/outage.ts'
import type { Log } from '../log.ts'
import { iso, type StorageShape } from '../views/shapes.ts'

/** What is known of the store. */
export type StorageNews = Readonly<{
  now: () => StorageShape
  /** Tells everybody how it is now. One who throws is dropped. */
  tell: () => void
  /** The answer ends it. */
  on: (told: (storage: StorageShape) => void) => () => void
}>

/** Nobody is told yet. */
export const storageNews = (now: () => StorageShape, log: Pick<Log, 'warn'>): StorageNews => {
  const listeners = new Set<(storage: StorageShape) => void>()
  return {
    now,
    tell: () => {
      for (const told of listeners) {
        try {
          told(now())
        } catch (error) {
          listeners.delete(told)
          log.warn({ error: String(error) }, 'a listener threw and was dropped')
        }
      }
    },
    on: (told) => {
      listeners.add(told)
      return () => void listeners.delete(told)
    },
  }
}

/** The storage section of the state document. */
export const storageShape = (state: StorageState, failedCommits: number, now: number): StorageShape => {
  const outage = state.status === 'ok' ? null : state
  const error = outage?.error ?? null
  return {
    status: state.status,
    as_of: iso(now),
    age_ms: 0,
    error: error && { code: error.code, message: error.message, hint: error.hint },
    data: {
      since: outage && iso(outage.since),
      tries: outage?.tries ?? 0,
      next_try_at: outage && iso(outage.nextTryAt),
      failed_commits: failedCommits,
    },
  }
}
