/**
 * `watchdog.log` in a home: what was seen of a daemon whose loop stood still, a line of JSON each. It is written by the parent and by
 * the lookout, never by the daemon's loop itself.
 */
import { join } from 'node:path'
import { appendBounded } from '../bounded-file.ts'

/** Where it is. */
export const watchdogLog = (home: string): string => join(home, 'watchdog.log')

/** Appends a line; one full file is kept. What cannot be written is lost: the daemon is ended all the same. */
export const noteIn = (path: string, what: object): void => appendBounded(path, `${JSON.stringify(what)}\n`)
