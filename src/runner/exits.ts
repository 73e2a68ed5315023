/**
 * The exit records of one home: each is written once and never changed. One that cannot be written yet, as on a full disk, is kept
 * until it can.
 */
import { type AttemptRef, type ExitRecord, isSameAttempt, type Outcome, RECORD_VERSION } from '../attempt.ts'
import { wordsOf } from '../thrown.ts'
import type { Machine } from './machine.ts'

/** What the exit records of a home need. */
export type Ports = Readonly<{
  machine: Pick<Machine, 'exitOf' | 'claimOf' | 'writeExit'>
  /** An end could not be written: `again` is to be called before long. */
  unwritten: () => void
  log: (message: string) => void
}>

/** The exit records of a home. No method throws. */
export type Exits = Readonly<{
  /** Records an end; what is on record then, for another runner may have been first. */
  write: (dir: string, record: ExitRecord) => ExitRecord
  /** The end of an attempt that could not be written yet. */
  unwritten: (key: string) => ExitRecord | undefined
  /** Tries again what could not be written. */
  again: () => void
  /** Whether there is nothing left to write. */
  areWritten: () => boolean
  /** Forgets what could not be written, and writes nothing more. */
  abandon: () => void
}>

/** The exit records of one home. */
export const exitRecords = (ports: Ports): Exits => {
  const { exitOf, claimOf, writeExit } = ports.machine
  const unwritten = new Map<string, Readonly<{ dir: string; record: ExitRecord }>>()
  let abandoned = false

  const write = (dir: string, record: ExitRecord): ExitRecord => {
    if (abandoned) return record
    try {
      const recorded = exitOf(dir)
      const { key } = record
      // One that names another attempt's directory must not be put there.
      if (recorded === undefined && isSameAttempt(claimOf(dir)?.key ?? key, key)) writeExit(dir, record)
      unwritten.delete(key)
      return recorded !== undefined && isSameAttempt(recorded.key, key) ? { ...recorded, key } : record
    } catch (error) {
      if (!unwritten.has(record.key)) ports.log(`${record.key}: its end cannot be written: ${wordsOf(error)}`)
      unwritten.set(record.key, { dir, record })
      ports.unwritten()
      return record
    }
  }

  return {
    write,
    unwritten: (key) => unwritten.get(key)?.record,
    again: () => {
      for (const { dir, record } of [...unwritten.values()]) write(dir, record)
    },
    areWritten: () => unwritten.size === 0,
    abandon: () => {
      abandoned = true
      unwritten.clear()
    },
  }
}

/** The end of an attempt of which no process was seen, ruled at `endedAt`. */
export const unstarted = (
  { key }: AttemptRef,
  outcome: Outcome,
  endedAt: number,
  error?: string,
): ExitRecord => ({
  v: RECORD_VERSION,
  key,
  outcome,
  code: null,
  signal: null,
  startedAt: null,
  endedAt,
  durationMs: null,
  pid: null,
  leftovers: 0,
  log: { bytes: 0 },
  ...(error === undefined ? {} : { error }),
})
