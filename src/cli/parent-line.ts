/**
 * The line between a daemon and the parent that starts it again: what is said on it, and the daemon's end of it.
 */
import { systemClock } from '../clock.ts'
import { isTenutoError } from '../errors.ts'
import { BEAT_MS } from './heartbeat.ts'
import { lookout } from './lookout.ts'

/** What a worker is, at its latest beat. */
export type Beat = Readonly<{
  /** Bytes. */
  rss: number
  heap: number
  /** What it has done so far; null before it serves. */
  doing: Readonly<Record<string, number>> | null
}>

/** What a worker says. */
export type Said =
  | Readonly<{ type: 'hello' }>
  | Readonly<{ type: 'stopping' }>
  | Readonly<{ type: 'beat'; beat: Beat }>
  | Readonly<{ type: 'failed'; code: string }>

/** The worker's end. */
export type ParentLine = Readonly<{
  /** The parent. */
  pid: number
  /** Resolves when the parent is there no more. */
  gone: Promise<void>
  /** From now on each beat says what it does, and that it is served. */
  serves: (doing: () => Readonly<Record<string, number>>) => void
  /** It is stopped in order. */
  stopping: () => void
  failed: (error: unknown) => void
}>

/**
 * The line to the parent that started this process as its worker; says at once that it is there, and every second that it lives. When
 * it says nothing for long, the lookout writes down why.
 */
export const parentLine = (watchdogLog: string): ParentLine => {
  const turned = lookout(watchdogLog)
  let read: (() => Readonly<Record<string, number>>) | null = null
  // One that waits to be read is enough: a parent that stands still is told nothing more until it goes on.
  let waits = false
  const say = (said: Said): void => {
    if (!process.connected) return
    process.send?.(said, undefined, undefined, () => {
      waits = false
    })
  }
  const beat = (): void => {
    if (waits) return
    waits = true
    const { rss, heapUsed: heap } = process.memoryUsage()
    say({ type: 'beat', beat: { rss, heap, doing: read?.() ?? null } })
  }
  const beatOn = (): void => {
    turned()
    beat()
    systemClock.setTimeout(beatOn, BEAT_MS)
  }
  const gone = new Promise<void>((resolve) => {
    if (process.connected) process.once('disconnect', () => resolve())
    else resolve()
  })
  say({ type: 'hello' })
  beatOn()
  return {
    pid: process.ppid,
    gone,
    serves: (doing) => {
      read = doing
      waits = false
      beat()
    },
    stopping: () => say({ type: 'stopping' }),
    failed: (error) => {
      if (isTenutoError(error)) say({ type: 'failed', code: error.code })
    },
  }
}
