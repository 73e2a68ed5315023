/**
 * A file that is only ever appended to, and bounded: when it is full it is set aside as `FILE.1`, in the place of the one before.
 */
import { appendFileSync, renameSync, statSync } from 'node:fs'

/** It is set aside beyond this. */
const BYTES_MAX = 1_000_000

/** Appends to a file that nobody else may read. What cannot be written, as on a full disk or in a home that is gone, is lost. */
export const appendBounded = (path: string, text: string | Uint8Array): void => {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > BYTES_MAX) renameSync(path, `${path}.1`)
    appendFileSync(path, text, { mode: 0o600 })
  } catch {
    // There is nowhere left to say it.
  }
}
