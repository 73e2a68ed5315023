/**
 * `watchdog.log` in a home: what was seen of a daemon whose loop stood still, a line of JSON each. It is written by the parent and by
 * the lookout, never by the daemon's loop itself.
 */
import { appendFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'

const BYTES_MAX = 1_000_000

/** Where it is. */
export const watchdogLog = (home: string): string => join(home, 'watchdog.log')

/** Appends a line; one full file is kept. What cannot be written is lost: the daemon is ended all the same. */
export const noteIn = (path: string, what: object): void => {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > BYTES_MAX) renameSync(path, `${path}.1`)
    appendFileSync(path, `${JSON.stringify(what)}\n`, { mode: 0o600 })
  } catch {
    // A full disk may be what the loop hangs on.
  }
}
