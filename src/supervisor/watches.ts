/**
 * Watches: who wants to hear that a child has ended and is not restarted. Each is told once, a moment later; who looks away before
 * that moment hears nothing.
 */
import type { Reason } from './reason.ts'

/** The end of a child. */
export type Ended = Readonly<{
  id: string
  incarnation: number
  /** Null when there was nothing to watch. */
  reason: Reason | null
}>

/** Who watches. One that throws watches no longer. */
export type Watcher = (ended: Ended) => void

type Watch = { isOn: boolean }

/** The watches of a supervisor. */
export type Watches = Readonly<{
  /** Watches one child, or with null all, until it is told or looks away. The same watcher of the same child watches once. */
  watch: (id: string | null, watcher: Watcher) => () => void
  /** Tells whoever watches this child, or one watcher of it. */
  tell: (ended: Ended, only?: Watcher) => void
}>

/** No watches; `soon` calls back a moment later. */
export const watches = (soon: (run: () => void) => void): Watches => {
  const ofChildren = new Map<string, Map<Watcher, Watch>>()
  const ofAll = new Map<Watcher, Watch>()

  const tellOne = (watcher: Watcher, watch: Watch, ended: Ended): void => {
    soon(() => {
      if (!watch.isOn) return
      try {
        watcher(ended)
      } catch {
        watch.isOn = false
        ofAll.delete(watcher)
      }
    })
  }

  return {
    watch: (id, watcher) => {
      const those = id === null ? ofAll : (ofChildren.get(id) ?? new Map<Watcher, Watch>())
      if (id !== null) ofChildren.set(id, those)
      const watch = those.get(watcher) ?? { isOn: true }
      those.set(watcher, watch)
      return () => {
        watch.isOn = false
        if (those.get(watcher) === watch) those.delete(watcher)
        if (id !== null && those.size === 0 && ofChildren.get(id) === those) ofChildren.delete(id)
      }
    },
    tell: (ended, only) => {
      const those = ofChildren.get(ended.id)
      if (only !== undefined) {
        const watch = those?.get(only)
        those?.delete(only)
        if (watch) tellOne(only, watch, ended)
        return
      }
      ofChildren.delete(ended.id)
      for (const [watcher, watch] of those ?? []) tellOne(watcher, watch, ended)
      for (const [watcher, watch] of ofAll) tellOne(watcher, watch, ended)
    },
  }
}
