/**
 * Failed authentications: who fails often is answered later. Nobody who brings what is right ever waits for it.
 */
import type { Clock } from '../clock.ts'
import { DELAYED_MAX, FAILURE_DELAY_MS, FAILURES_FREE, SOURCES_MAX } from './limits.ts'

const MINUTE_MS = 60_000

/** What has failed of late. */
export type Failures = Readonly<{
  /**
   * Resolves when somebody at this address who failed may be told so, or when `gone` is aborted; false at once when too many wait for
   * that already.
   */
  wait: (source: string, gone: AbortSignal) => Promise<boolean>
}>

/** Nothing has failed yet. */
export const failures = (clock: Clock): Failures => {
  /** Of each source how much it has failed, less what a minute forgives. */
  const sources = new Map<string, Readonly<{ level: number; at: number }>>()
  let waiting = 0

  const isOften = (source: string): boolean => {
    const now = clock.monotonic()
    const { level, at } = sources.get(source) ?? { level: 0, at: now }
    const left = Math.max(0, level - ((now - at) * FAILURES_FREE) / MINUTE_MS)
    sources.delete(source)
    for (const oldest of sources.keys()) {
      if (sources.size < SOURCES_MAX) break
      sources.delete(oldest)
    }
    // Bounded, so that a source is forgiven within two minutes of its last failure.
    sources.set(source, { level: Math.min(left + 1, 2 * FAILURES_FREE), at: now })
    return left + 1 > FAILURES_FREE
  }

  return {
    wait: async (source, gone) => {
      if (!isOften(source)) return true
      if (waiting >= DELAYED_MAX) return false
      waiting += 1
      await new Promise<void>((resolve) => {
        const cancel = clock.setTimeout(resolve, FAILURE_DELAY_MS)
        const left = (): void => {
          cancel()
          resolve()
        }
        if (gone.aborted) left()
        else gone.addEventListener('abort', left, { once: true })
      })
      waiting -= 1
      return true
    },
  }
}
