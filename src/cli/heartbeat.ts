/**
 * Whether a process still turns its loop: it says so every second, and who watches it counts for how long it has said nothing. Time
 * in which the watcher itself stood still, as in a suspended machine, is not held against it.
 */
import type { Clock } from '../clock.ts'

/** How often a process says that it lives, and how often that is looked at. */
export const BEAT_MS = 1_000
/** A loop that has not turned for so long is stuck. */
export const STUCK_MS = 10_000
/** A process that has not served yet has so long for one turn: it may be reading a large journal. */
export const STARTING_MS = 120_000
/** A look that comes later than this found its own process standing still, or the clocks apart. */
const LATE_MS = 2 * BEAT_MS

/** Watches one process. */
export type Heartbeat = Readonly<{
  /** It has said something; from the first time it serves, it is to do so in time. */
  heard: (serves: boolean) => void
  /** Looks no more. Idempotent. */
  stop: () => void
}>

/**
 * Begins to watch. `stands` says whether the process was stopped by somebody, as by SIGSTOP or a debugger: nobody can turn a loop then.
 * `stuck` is told once, with the ms since it was last heard.
 */
export const heartbeat = (
  clock: Clock,
  stands: () => boolean,
  stuck: (silentMs: number) => void,
): Heartbeat => {
  let limit = STARTING_MS
  let heardAt = clock.monotonic()
  let looked = { at: heardAt, wall: clock.now() }
  let cancel = (): void => {}
  const look = (): void => {
    const now = { at: clock.monotonic(), wall: clock.now() }
    const [took, tookByWall] = [now.at - looked.at, now.wall - looked.wall]
    looked = now
    const stoodStill = took > BEAT_MS + LATE_MS || Math.abs(tookByWall - took) > LATE_MS
    if (stoodStill) heardAt = now.at
    const silentMs = now.at - heardAt
    if (silentMs >= limit) {
      if (!stands()) return stuck(silentMs)
      heardAt = now.at
    }
    cancel = clock.setTimeout(look, BEAT_MS)
  }
  cancel = clock.setTimeout(look, BEAT_MS)
  return {
    heard: (serves) => {
      heardAt = clock.monotonic()
      if (serves) limit = STUCK_MS
    },
    stop: () => cancel(),
  }
}
