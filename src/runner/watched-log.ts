/**
 * The log of an attempt while it is watched: how long it has been silent, whether it is within its limit, and what the disk did not
 * take. The process writes it itself; nobody stands between.
 */
import type { ExitRecord, Limits } from '../attempt.ts'
import { wordsOf } from '../thrown.ts'
import type { Machine } from './machine.ts'

/** Looks after which a log that stays above its limit although it is punched is given up. */
const OVER_LIMIT_LOOKS_MAX = 40

/** What watching a log needs. */
export type Ports = Readonly<{
  machine: Pick<Machine, 'logOf' | 'holeOf' | 'punchOut' | 'machineMs'>
  dir: string
  limits: Limits
  /** Time between two looks. */
  everyMs: number
  /** What the exit record is to say. */
  warn: (warning: string) => void
  /** It cannot be kept within its limit, and why. */
  overLimit: (why: string) => void
  /** Calls what may fail, which then gives undefined. */
  guarded: <T>(act: () => T) => T | undefined
  log: (message: string) => void
}>

/** The log of an attempt. */
export type WatchedLog = Readonly<{
  /** Looks how far it has come; `isNearLimit` when it may pass its limit before the next look. Pauses of the runner count at most as two looks. */
  look: () => Readonly<{ silentMs: number; isNearLimit: boolean }>
  /** The disk is full, its blocks so large: warns, once, when what the process wrote may have been cut off. */
  noteFull: (block: number) => void
  /** Brings it within its limit when its process is gone; why not, where that cannot be done. Never rejects. */
  boundAtEnd: () => Promise<string | undefined>
  /** What the exit record says about it. */
  record: () => ExitRecord['log']
}>

/** Watches the log of an attempt. */
export const watchLog = (ports: Ports): WatchedLog => {
  const { machine, dir, limits, everyMs, guarded } = ports
  const { logOf, holeOf, punchOut, machineMs } = machine
  let inode: number | undefined
  let bytes = 0
  let silentMs = 0
  let lookedAt = machineMs()
  let punching: Promise<void> | undefined
  let looksOverLimit = 0
  let isCutShort = false

  const look = () => {
    const now = machineMs()
    const watchedMs = Math.min(now - lookedAt, 2 * everyMs)
    lookedAt = now
    const log = logOf(dir)
    const grown = log === undefined ? 0 : log.bytes - bytes
    silentMs = grown === 0 ? silentMs + watchedMs : 0
    if (log === undefined) return { silentMs, isNearLimit: false }
    bytes = log.bytes
    inode ??= log.inode
    // Another file in its place, as a job may put there, is none of ours to punch.
    if (inode === log.inode) bound(log)
    const perLook = (grown / Math.max(1, watchedMs)) * everyMs
    return { silentMs, isNearLimit: log.diskBytes + perLook > limits.logLimitBytes }
  }

  /** A write that was cut off fills its last block, and a log that does not end with a block has lost nothing. */
  const noteFull = (block: number): void => {
    if (isCutShort) return
    const written = guarded(() => logOf(dir))?.bytes
    if (written === undefined || written % block !== 0) return
    isCutShort = true
    ports.warn(`log: the disk was full; what it wrote from byte ${written} on may be missing`)
  }

  const bound = (log: Readonly<{ bytes: number; diskBytes: number }>): void => {
    if (punching !== undefined) return
    if (log.diskBytes <= limits.logLimitBytes) {
      looksOverLimit = 0
      return
    }
    looksOverLimit += 1
    punching = punch(log.bytes)
      .then((why) => {
        punching = undefined
        if (why !== undefined) ports.overLimit(why)
      })
      .catch((error: unknown) => ports.log(wordsOf(error)))
  }

  /** Why it cannot be kept within its limit; undefined when it can. */
  const punch = async (length: number): Promise<string | undefined> => {
    try {
      if (!(await punchOut(dir, length, limits))) {
        return 'the middle of the log could not be punched out on this file system'
      }
      return looksOverLimit > OVER_LIMIT_LOOKS_MAX ? 'punching out the log frees no disk space' : undefined
    } catch (error) {
      // A full disk or a directory that is gone; the next look tries again.
      ports.log(wordsOf(error))
      return undefined
    }
  }

  /** A job can write much and end before anybody looks. */
  const boundAtEnd = async (): Promise<string | undefined> => {
    await punching
    const log = guarded(() => logOf(dir))
    if (log === undefined || log.diskBytes <= limits.logLimitBytes) return undefined
    return inode === undefined || inode === log.inode ? punch(log.bytes) : undefined
  }

  const read = (): ExitRecord['log'] => {
    const length = logOf(dir)?.bytes ?? 0
    // Only a log longer than its head can have been punched.
    const hole = length > limits.headBytes ? holeOf(dir) : undefined
    return hole === undefined ? { bytes: length } : { bytes: length, hole }
  }

  return { look, noteFull, boundAtEnd, record: () => guarded(read) ?? { bytes } }
}
